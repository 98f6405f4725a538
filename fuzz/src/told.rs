//! What may be said: to a person, in a metric, in a log.

use std::fmt::{Debug, Display};

/// What is told of an error is a word for a metric and a line for a person.
pub(super) fn assert_told(word: &str, line: &dyn Display) {
    let is_sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(!word.is_empty() && word.bytes().all(is_sound), "{word:?}");
    let line = line.to_string();
    assert!(
        !line.is_empty() && !line.contains(char::is_control),
        "{line}"
    );
}

/// What can be printed of a value is this text, which is made without the secrets that it holds. To look
/// for a secret in what is printed is no proof: a peer may say as its secret what is printed beside it.
pub(super) fn assert_prints(value: &dyn Debug, text: &str) {
    assert_eq!(format!("{value:?}"), text);
}

/// What can be printed of a value is what it is and how long, not what it holds.
pub(super) fn assert_brief(value: &dyn Debug) {
    assert!(format!("{value:?}").len() <= 32, "{value:?}");
}
