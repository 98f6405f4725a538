//! By branches and addresses, as ctgrind does it: the secrets are made undefined in the eyes of
//! valgrind's memcheck, which then speaks of every branch and address that depends on them.

use framegate::internals::gate::{Keys, Secret};

use crate::requests::{declassify, errors, poison};
use crate::row::{Of, Row};
use crate::subject::{NOW, Subject, Tag, equal_until_wrong, secret_of, tags, verifier};

struct Check {
    name: &'static str,
    /// Looks at one tag, and counts what memcheck has to say.
    errors: fn(&Subject, &Tag) -> usize,
    errors_wanted: usize,
    of: Of,
}

const CHECKS: &[Check] = &[
    Check {
        name: "MAC, keys and all",
        errors: mac_errors,
        errors_wanted: 0,
        of: Of::Program,
    },
    // The verdict is made of the secret, and told to everybody.
    Check {
        name: "whole token: the verdict and nothing else",
        errors: token_errors,
        errors_wanted: 1,
        of: Of::Program,
    },
    Check {
        name: "control: an early exit",
        errors: early_exit_errors,
        errors_wanted: 0,
        of: Of::Control,
    },
];

pub fn rows(level: &str) -> Vec<Row> {
    CHECKS.iter().map(|check| row(check, level)).collect()
}

fn row(check: &Check, level: &str) -> Row {
    let mut counts = Vec::new();
    for subject in [Subject::new(), Subject::with_long_secrets()] {
        for tag in tags(&subject) {
            counts.push((check.errors)(&subject, &tag));
        }
    }
    let wanted = check.errors_wanted;
    let all: usize = counts.iter().sum();
    Row {
        way: "memcheck",
        check: check.name,
        of: check.of,
        level: level.to_owned(),
        seen: format!("{all} errors at {} tags", counts.len()),
        bound: format!("{wanted} for each"),
        leaks: counts.iter().any(|count| *count != wanted),
    }
}

fn mac_errors(subject: &Subject, tag: &Tag) -> usize {
    let before = errors();
    let verdict = poisoned_keys(subject).verify(subject.signed.as_bytes(), tag);
    let verdict = u8::from(verdict);
    let seen = errors() - before;
    // A verdict that was branched on is no longer poisoned, but then there are errors.
    assert!(
        declassify(&verdict) || seen > 0,
        "what was poisoned does not reach the verdict: memcheck is not there, or sees nothing"
    );
    assert_eq!(verdict == 1, subject.is_right(tag));
    seen
}

fn token_errors(subject: &Subject, tag: &Tag) -> usize {
    let token = subject.token(tag);
    let mut verifier = verifier(poisoned_keys(subject));
    let before = errors();
    let taken = verifier.verify(&token, NOW).is_ok();
    let seen = errors() - before;
    assert_eq!(taken, subject.is_right(tag));
    seen
}

fn early_exit_errors(subject: &Subject, tag: &Tag) -> usize {
    let right = subject.right;
    poison(&right);
    let before = errors();
    let verdict = u8::from(equal_until_wrong(&right, tag));
    let seen = errors() - before;
    declassify(&verdict);
    seen
}

/// Keys made of secrets that memcheck holds for undefined; from here on their bytes may decide
/// nothing. What is asked of a secret's text when it is set, once, comes before.
fn poisoned_keys(subject: &Subject) -> Keys {
    let [current, previous] = [subject.current, subject.previous].map(|text| {
        let secret = secret_of(text);
        let bytes = bytes_of(&secret);
        assert_eq!(bytes, text.as_bytes());
        poison(bytes);
        secret
    });
    Keys::new(&current, Some(&previous))
}

/// A secret lends its bytes to nobody, and shall not for this.
fn bytes_of(secret: &Secret) -> &[u8] {
    const { assert!(size_of::<Secret>() == size_of::<Box<[u8]>>()) };
    // SAFETY: a Secret is one boxed slice in two wrappers of one field each.
    unsafe { &*(&raw const *secret).cast::<Box<[u8]>>() }
}
