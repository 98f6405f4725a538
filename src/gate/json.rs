//! The one strict way to read JSON: a text is a single object without repeated members, or
//! it is refused. Values stay where they are in the text and are lent out.
//!
//! serde's derive would take an array for a struct and `null` for an absent member, and a
//! `RawValue` keeps a stack on the heap; so objects are read by hand here. Only the decoding
//! and encoding of strings is serde_json's.

mod scan;

use std::borrow::Cow;
use std::fmt;

use self::scan::Scanner;
use crate::limits::JSON_DEPTH_MAX;

/// Names compared where they lie; for more of them memory is taken.
const NAMES_WITHOUT_HEAP: usize = 16;

/// So many digits are no number past `u64`, whatever they are.
const DIGITS_THAT_FIT: usize = 19;

/// Hands each member of the object that is `text` to `each`, in the order of the text; the
/// names come with their escapes decoded.
///
/// The text is read to its end whatever `each` says, so that a text which is not such an
/// object is told as that. Work is O(n log n) in the bytes of the text, and nothing is
/// allocated for up to sixteen members without escapes in their names.
///
/// # Errors
///
/// A [`JsonError`] when the text is not one object without repeated members, nested at most
/// [`JSON_DEPTH_MAX`] deep, with white space around it at most; else the first error of `each`.
pub fn members<'a, E: From<JsonError>>(
    text: &'a str,
    mut each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut bits = NameBits::default();
    let mut outcome = Ok(());
    walk(text, |name, value| {
        bits.push(name);
        let name = name.decoded().ok_or(JsonError::Syntax)?;
        if outcome.is_ok() {
            outcome = each(&name, value);
        }
        Ok(())
    })?;
    match bits.may_repeat && has_repeat(text)? {
        true => Err(JsonError::RepeatedMember.into()),
        false => outcome,
    }
}

/// Hands the name and the value of each member of the object that is `text` to `each`.
#[inline(always)]
fn walk<'a>(
    text: &'a str,
    mut each: impl FnMut(Name<'a>, Value<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text);
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

/// A bit for each name that came: while no two have the same, no name was repeated, and none
/// need be compared or kept.
#[derive(Default)]
struct NameBits {
    bits: u64,
    /// True when a name had a bit that was taken, or an escape, with which it may be written in
    /// more than one way.
    may_repeat: bool,
}

impl NameBits {
    #[inline(always)]
    fn push(&mut self, name: Name<'_>) {
        let first = name.text.as_bytes().first().copied().unwrap_or_default();
        let bit = 1 << ((usize::from(first) + 7 * name.text.len()) % u64::BITS as usize);
        self.may_repeat |= name.has_escape || self.bits & bit != 0;
        self.bits |= bit;
    }
}

/// Whether two names of the object that is `text` are the same. They are sorted, so that no
/// number of members makes the work quadratic.
#[cold]
fn has_repeat(text: &str) -> Result<bool, JsonError> {
    let mut few = [""; NAMES_WITHOUT_HEAP];
    let mut few_count = 0;
    let mut more = Vec::new();
    walk(text, |name, _| {
        match (name.decoded(), few.get_mut(few_count)) {
            (Some(Cow::Borrowed(name)), Some(place)) => {
                *place = name;
                few_count += 1;
            }
            (name, _) => more.extend(name),
        }
        Ok(())
    })?;
    let few = &mut few[..few_count];
    if more.is_empty() {
        few.sort_unstable();
        return Ok(few.windows(2).any(|pair| pair[0] == pair[1]));
    }
    more.extend(few.iter().map(|name| Cow::Borrowed(*name)));
    more.sort_unstable();
    Ok(more.windows(2).any(|pair| pair[0] == pair[1]))
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
    if scan::is_plain(text) {
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
    /// Not JSON, or something behind the object.
    Syntax,
    /// JSON, but an array or a scalar.
    NotAnObject,
    /// Two members of one name.
    RepeatedMember,
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
            JsonError::TooDeep => write!(f, "JSON nested deeper than {JSON_DEPTH_MAX}"),
            JsonError::LoneSurrogate => f.write_str("JSON with half of a surrogate pair"),
        }
    }
}

impl std::error::Error for JsonError {}

/// A name of a member, as it stands between its quotation marks.
#[derive(Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    has_escape: bool,
}

impl<'a> Name<'a> {
    /// The name; lent when it holds no escape.
    #[inline(always)]
    fn decoded(self) -> Option<Cow<'a, str>> {
        match self.has_escape {
            true => serde_json::from_str(&format!("\"{}\"", self.text)).ok(),
            false => Some(Cow::Borrowed(self.text)),
        }
    }
}

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
        let is_string = self.text.as_bytes().first() == Some(&b'"');
        // No value is empty, and a string has two quotation marks.
        let inside = self.text.get(1..self.text.len() - 1);
        inside.filter(|_| is_string).map(Cow::Borrowed)
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
            Some((eight, rest)) => (scan::number_of(*eight)?, rest),
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
