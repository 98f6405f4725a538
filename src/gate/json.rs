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

/// Names compared where they lie; an object with more of them, or with an escape in one,
/// takes memory for the rest.
const NAMES_WITHOUT_HEAP: usize = 16;

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
    let mut scanner = Scanner::new(text);
    scanner.space();
    if !scanner.take(b'{') {
        return Err(not_an_object(scanner).into());
    }
    scanner.space();
    let mut names = Names::default();
    let mut outcome = Ok(());
    let mut is_more = !scanner.take(b'}');
    while is_more {
        let name = scanner.name()?.string().ok_or(JsonError::Syntax)?;
        let value = scanner.value()?;
        if outcome.is_ok() {
            outcome = each(&name, value);
        }
        names.push(name);
        is_more = scanner.comma_or(b'}')?;
    }
    scanner.end()?;
    match names.have_repeat() {
        true => Err(JsonError::RepeatedMember.into()),
        false => outcome,
    }
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
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(Cow::Borrowed(inside))
    }

    /// The string with an escape in it that the value is, without.
    #[cold]
    fn decoded(self) -> Option<String> {
        serde_json::from_str(self.text).ok()
    }

    /// The number the value is, when decimal digits are all it is written with: no sign, no
    /// fraction, no exponent, and nothing past `u64`.
    pub fn integer(self) -> Option<u64> {
        // `parse` would take a leading `+` or zero too, but JSON has neither.
        self.text.parse().ok()
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

/// The names of an object's members. The first are compared one with another, at most
/// [`NAMES_WITHOUT_HEAP`] each; the others are sorted at the end, so that no number of
/// members makes the work quadratic.
#[derive(Default)]
struct Names<'a> {
    /// The first `few_count` are set.
    few: [&'a str; NAMES_WITHOUT_HEAP],
    few_count: usize,
    /// The bits of `few` ([`bit`]).
    bits: u64,
    /// From the first name on that is escaped or finds `few` full.
    more: Vec<Cow<'a, str>>,
    /// True exactly when a name came that `few` had.
    repeated: bool,
}

/// A bit of the name's: names with other bits are other names, and need not be compared.
fn bit(name: &str) -> u64 {
    let first = name
        .as_bytes()
        .first()
        .map_or(0, |first| usize::from(*first));
    1 << ((first + 7 * name.len()) % u64::BITS as usize)
}

impl<'a> Names<'a> {
    #[inline(always)]
    fn push(&mut self, name: Cow<'a, str>) {
        let bit = bit(&name);
        match name {
            Cow::Borrowed(name) if self.bits & bit == 0 && self.has_room() => self.keep(bit, name),
            name => self.compare(bit, name),
        }
    }

    /// A name that may have come before.
    fn compare(&mut self, bit: u64, name: Cow<'a, str>) {
        let few = &self.few[..self.few_count];
        self.repeated |= few.iter().any(|earlier| *earlier == name);
        match name {
            Cow::Borrowed(name) if self.has_room() => self.keep(bit, name),
            name => self.more.push(name),
        }
    }

    fn has_room(&self) -> bool {
        self.more.is_empty() && self.few_count < self.few.len()
    }

    fn keep(&mut self, bit: u64, name: &'a str) {
        self.bits |= bit;
        self.few[self.few_count] = name;
        self.few_count += 1;
    }

    /// Whether two of the names are the same.
    fn have_repeat(&mut self) -> bool {
        self.repeated || !self.more.is_empty() && self.more_have_repeat()
    }

    fn more_have_repeat(&mut self) -> bool {
        self.more.sort_unstable();
        self.more.windows(2).any(|pair| pair[0] == pair[1])
    }
}

#[cfg(test)]
mod tests;
