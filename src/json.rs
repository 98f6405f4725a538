//! The one strict way to read JSON: a text is a single object without repeated members, or
//! it is refused. Values stay where they are in the text and are lent out.
//!
//! serde's derive would take an array for a struct and `null` for an absent member, and a
//! `RawValue` keeps a stack on the heap; so objects are read by hand here. Only the decoding
//! and encoding of strings is serde_json's.

mod name;
mod scan;
mod words;

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

use self::name::{Decoded, Name, Names};
use self::scan::Scanner;
use crate::limits::{JSON_DEPTH_MAX, JSON_MEMBERS_MAX};

/// The most bytes that a string's escape takes for one byte of what it says (RFC 8259 §7).
const ESCAPED_BYTES_MAX: usize = 6;
const QUOTES_BYTES: usize = 2;

/// So many digits are no number past `u64`, whatever they are.
const DIGITS_THAT_FIT: usize = 19;

/// Hands each member of the object that is `text` to `each`, in the order of the text; the
/// names come with their escapes decoded, but for one with escapes that is longer than any of ours:
/// that comes as it is written, which is no name of ours either.
///
/// The text is read to its end whatever `each` says, so that a text which is not such an
/// object is told as that. Work is linear in the bytes of the text, and nothing is allocated for
/// up to eight members.
///
/// # Errors
///
/// A [`JsonError`] when the text is not one object of at most [`JSON_MEMBERS_MAX`] members, none of
/// them repeated, nested at most [`JSON_DEPTH_MAX`] deep, with white space around it at most; else
/// the first error of `each`.
pub fn members<'a, E: From<JsonError>>(
    text: &'a str,
    each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    members_of(Scanner::new(text), each)
}

/// As [`members`], of a text that is a value which was handed out before: what is nested in it was
/// read then, and is passed over.
///
/// # Errors
///
/// As [`members`]; what is wrong with something nested need not be found.
pub fn members_again<'a, E: From<JsonError>>(
    text: &'a str,
    each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    members_of(Scanner::again(text), each)
}

/// As [`members`], where it is seldom called: the scanner is compiled once for all of these callers,
/// where `members` has one of its own for each.
///
/// # Errors
///
/// As [`members`].
pub fn members_seldom<'a, E: From<JsonError>>(
    text: &'a str,
    mut each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut outcome = Ok(());
    each_member(text, &mut |name, value| {
        if outcome.is_ok() {
            outcome = each(name, value);
        }
    })?;
    outcome
}

#[inline(never)]
fn each_member<'a>(text: &'a str, each: &mut dyn FnMut(&str, Value<'a>)) -> Result<(), JsonError> {
    members(text, |name, value| {
        each(name, value);
        Ok(())
    })
}

#[inline(always)]
fn members_of<'a, E: From<JsonError>>(
    scanner: Scanner<'a>,
    mut each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut names = Names::default();
    let mut outcome = Ok(());
    walk(scanner, |name, value| {
        names.push(name);
        if outcome.is_ok() {
            let decoded = name.has_escape.then(|| name.decoded()).flatten();
            let name = decoded.as_ref().map_or(name.text, Decoded::text);
            outcome = each(name, value);
        }
        Ok(())
    })?;
    names.check()?;
    outcome
}

/// Hands the name and the value of each member of the object that is the scanner's text to `each`.
#[inline(always)]
fn walk<'a>(
    mut scanner: Scanner<'a>,
    mut each: impl FnMut(Name<'a>, Value<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    scanner.space();
    if !scanner.take(b'{') {
        return Err(not_an_object(scanner));
    }
    scanner.space();
    let mut is_more = !scanner.take(b'}');
    while is_more {
        let name = scanner.name()?;
        let value = scanner.value()?;
        each(name, value)?;
        is_more = scanner.comma_or(b'}')?;
    }
    scanner.end()
}

/// What is wrong with a text that does not start like an object.
fn not_an_object(mut scanner: Scanner<'_>) -> JsonError {
    match scanner.value().and_then(|_| scanner.end()) {
        Ok(()) => JsonError::NotAnObject,
        Err(error) => error,
    }
}

/// Appends `text` as a JSON string, with its quotation marks.
pub fn push_string(json: &mut Vec<u8>, text: &str) {
    if words::is_plain(text) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        // A Vec takes every byte, and every str is a JSON string: this cannot fail.
        let _ = serde_json::to_writer(json, text);
    }
}

/// Why a text is not an object the program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON, or something after the object.
    Syntax,
    /// JSON, but an array or a scalar.
    NotAnObject,
    /// Two members of one name.
    RepeatedMember,
    /// More members than [`JSON_MEMBERS_MAX`].
    TooManyMembers,
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
    /// Half of a surrogate pair, as in `"\ud800"`.
    LoneSurrogate,
}

impl JsonError {
    /// The error in a word, for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            JsonError::Syntax => "json_syntax",
            JsonError::NotAnObject => "json_not_an_object",
            JsonError::RepeatedMember => "json_repeated_member",
            JsonError::TooManyMembers => "json_too_many_members",
            JsonError::TooDeep => "json_too_deep",
            JsonError::LoneSurrogate => "json_lone_surrogate",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax => f.write_str("not one JSON object and nothing else"),
            JsonError::NotAnObject => f.write_str("JSON, but not an object"),
            JsonError::RepeatedMember => f.write_str("an object with a repeated member"),
            JsonError::TooManyMembers => {
                write!(f, "an object with more than {JSON_MEMBERS_MAX} members")
            }
            JsonError::TooDeep => write!(f, "JSON nested deeper than {JSON_DEPTH_MAX}"),
            JsonError::LoneSurrogate => f.write_str("JSON with half of a surrogate pair"),
        }
    }
}

impl std::error::Error for JsonError {}

/// A value of a member, as it stands in the text: well-formed, and not yet interpreted.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    text: &'a str,
    /// True exactly when it is a string with an escape in it.
    has_escape: bool,
}

impl<'a> Value<'a> {
    /// The value's text.
    pub const fn raw(self) -> &'a str {
        self.text
    }

    /// Whether the value is a number, of any size and form. RFC 8259 §3: its first byte says so.
    pub fn is_number(self) -> bool {
        matches!(self.text.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
    }

    /// The string the value is; lent when it holds no escape.
    #[inline]
    pub fn string(self) -> Option<Cow<'a, str>> {
        if self.has_escape {
            return self.decoded().map(Cow::Owned);
        }
        self.inside().map(Cow::Borrowed)
    }

    /// As [`Value::string`], of one with at most `bytes_max` bytes; a longer one is not decoded.
    #[inline]
    pub fn short_string(self, bytes_max: usize) -> Option<Cow<'a, str>> {
        let may_be_short = self.text.len() <= ESCAPED_BYTES_MAX * bytes_max + QUOTES_BYTES;
        let string = may_be_short.then(|| self.string()).flatten();
        string.filter(|string| string.len() <= bytes_max)
    }

    /// As [`Value::string`], wiped when it is dropped. serde_json would leave a copy of one with
    /// escapes in memory that it frees, so it is not asked.
    pub fn secret_string(self) -> Option<Zeroizing<String>> {
        let inside = self.inside()?;
        // What is decoded is never longer than what it is written with, so that nothing is moved.
        let mut secret = Zeroizing::new(String::with_capacity(inside.len()));
        match self.has_escape {
            true => name::characters(inside).for_each(|character| secret.push(character)),
            false => secret.push_str(inside),
        }
        Some(secret)
    }

    /// Whether the value is a string, and so what [`Value::string`] gives.
    pub fn is_string(self) -> bool {
        self.text.as_bytes().first() == Some(&b'"')
    }

    /// What stands between the quotation marks of the string the value is, its escapes as they are.
    #[inline]
    pub fn inside(self) -> Option<&'a str> {
        // No value is empty, and a string has two quotation marks.
        let inside = self.text.get(1..self.text.len() - 1);
        inside.filter(|_| self.is_string())
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.text == "null"
    }

    /// The string with an escape in it that the value is, without.
    #[cold]
    fn decoded(self) -> Option<String> {
        serde_json::from_str(self.text).ok()
    }

    /// The number the value is, when decimal digits are all it is written with: no sign, no
    /// fraction, no exponent, and nothing past `u64`.
    pub fn integer(self) -> Option<u64> {
        if self.text.len() > DIGITS_THAT_FIT {
            // `parse` would take a leading `+` or zero too, but JSON has neither.
            return self.text.parse().ok();
        }
        let (first, rest) = match self.text.as_bytes().split_first_chunk() {
            Some((eight, rest)) => (words::number_of(*eight)?, rest),
            None => (0, self.text.as_bytes()),
        };
        rest.iter().try_fold(first, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then_some(number * 10 + u64::from(digit))
        })
    }

    /// Hands each element of the array the value is to `each`; false when it is none.
    pub fn elements(self, mut each: impl FnMut(Value<'a>)) -> bool {
        let mut scanner = Scanner::new(self.text);
        if !scanner.take(b'[') {
            return false;
        }
        scanner.space();
        let mut is_more = !scanner.take(b']');
        while is_more {
            // The text was scanned before, so that it ends here only as an array does.
            let Ok(element) = scanner.value() else {
                return false;
            };
            each(element);
            is_more = scanner.comma_or(b']').unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests;
