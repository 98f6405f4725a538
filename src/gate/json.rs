//! The one strict way to read JSON: a text is a single object without repeated members, or
//! it is refused. Values stay where they are in the text and are lent out.
//!
//! serde's derive would take an array for a struct, the last of two members of one name, and
//! `null` for an absent one; a gate must not, so members are read by hand here.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::JSON_DEPTH_MAX;

/// Names compared where they lie; an object with more of them, or with an escape in one,
/// takes memory for the rest.
const NAMES_WITHOUT_HEAP: usize = 16;

/// Hands each member of the object that is `text` to `each`, in the order of the text; the
/// names come with their escapes decoded.
///
/// The text is read to its end whatever `each` says, so that a text which is not such an
/// object is told as that. Work is O(n log n) in the bytes of the text, and nothing is
/// allocated for up to sixteen members with plain names and values nested but once.
///
/// # Errors
///
/// A [`JsonError`] when the text is not one object without repeated members, nested at most
/// [`JSON_DEPTH_MAX`] deep, with white space around it at most; else the first error of `each`.
pub fn members<'a, E: From<JsonError>>(
    text: &'a str,
    each: impl FnMut(&str, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    if is_too_deep(text) {
        return Err(JsonError::TooDeep.into());
    }
    // RFC 8259 §8.2: what a lone surrogate means is unpredictable, so it means nothing here.
    if !surrogates_are_paired(text) {
        return Err(JsonError::LoneSurrogate.into());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut names = Names::default();
    let mut outcome = Ok(());
    let object = Object {
        each,
        names: &mut names,
        outcome: &mut outcome,
    };
    reader
        .deserialize_map(object)
        .and_then(|()| reader.end())
        .map_err(JsonError::from)?;
    if names.repeat() {
        return Err(JsonError::RepeatedMember.into());
    }
    outcome
}

/// Appends `text` as a JSON string, with its quotation marks.
pub fn push_string(json: &mut Vec<u8>, text: &str) {
    // A Vec takes every byte, and every str is a JSON string: this cannot fail.
    let _ = serde_json::to_writer(json, text);
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

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> JsonError {
        match error.is_data() {
            true => JsonError::NotAnObject,
            false => JsonError::Syntax,
        }
    }
}

/// What a JSON value is (RFC 8259 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number of any size and form.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value of a member, as it stands in the text: well-formed, and not yet interpreted.
#[derive(Clone, Copy)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The value's text.
    pub const fn raw(self) -> &'a str {
        self.0
    }

    /// What the value is, told by its first byte.
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// The string the value is; lent when it holds no escape.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        match inside.contains('\\') {
            false => Some(Cow::Borrowed(inside)),
            true => serde_json::from_str(self.0).ok().map(Cow::Owned),
        }
    }

    /// The number the value is, when decimal digits are all it is written with: no sign, no
    /// fraction, no exponent, and nothing past `u64`.
    pub fn integer(self) -> Option<u64> {
        // `parse` would take a leading `+` or zero too, but JSON has neither.
        self.0.parse().ok()
    }

    /// The truth value the value is.
    pub fn boolean(self) -> Option<bool> {
        self.0.parse().ok()
    }

    /// The elements of the array the value is. Allocates for them.
    pub fn elements(self) -> Option<Vec<Value<'a>>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.0).ok()?;
        Some(
            elements
                .into_iter()
                .map(|element| Value(element.get()))
                .collect(),
        )
    }
}

/// Reads an object, keeping what must be known at its end.
struct Object<'o, 'a, Each, E> {
    each: Each,
    names: &'o mut Names<'a>,
    outcome: &'o mut Result<(), E>,
}

impl<'a, Each, E> Visitor<'a> for Object<'_, 'a, Each, E>
where
    Each: FnMut(&str, Value<'a>) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &'a RawValue = map.next_value()?;
            if self.outcome.is_ok() {
                *self.outcome = (self.each)(&name, Value(value.get()));
            }
            self.names.push(name);
        }
        Ok(())
    }
}

/// Reads a member's name, lent where it can be: serde's own `Cow` is always owned.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: de::Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
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
    /// From the first name on that is escaped or finds `few` full.
    more: Vec<Cow<'a, str>>,
    /// True exactly when a name came that `few` had.
    repeated: bool,
}

impl<'a> Names<'a> {
    fn push(&mut self, name: Cow<'a, str>) {
        let few = &self.few[..self.few_count];
        self.repeated |= few.iter().any(|earlier| *earlier == name);
        match name {
            Cow::Borrowed(name) if self.more.is_empty() && self.few_count < self.few.len() => {
                self.few[self.few_count] = name;
                self.few_count += 1;
            }
            name => self.more.push(name),
        }
    }

    /// Whether two of the names are the same.
    fn repeat(mut self) -> bool {
        self.more.sort_unstable();
        self.repeated || self.more.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Whether objects and arrays lie more than [`JSON_DEPTH_MAX`] deep in one another. Decided
/// before the parser starts, which keeps a stack of them.
fn is_too_deep(text: &str) -> bool {
    // `[` and `{` differ in one bit. Few of them cannot be deep: most texts end here.
    let openings = text.bytes().filter(|byte| byte | 0x20 == b'{').count();
    openings > JSON_DEPTH_MAX && depth(text) > JSON_DEPTH_MAX
}

/// The deepest nesting of a JSON text; of any other text, some number.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Moves behind the quotation mark that ends a string.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

/// Whether each `\uD800`–`\uDBFF` is followed by one of `\uDC00`–`\uDFFF`, and none of those
/// stands alone (RFC 8259 §7). Backslashes occur nowhere but in strings, so the whole text is
/// looked at; for a text that is not JSON the answer does not matter.
fn surrogates_are_paired(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        let taken = match code_unit(escape) {
            Some(0xD800..=0xDBFF) => match escape.get(6..).and_then(code_unit) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => return false,
            },
            Some(0xDC00..=0xDFFF) => return false,
            Some(_) => 6,
            None => 2,
        };
        rest = escape.get(taken..).unwrap_or_default();
    }
    true
}

/// The UTF-16 code unit of an escape like `\u0061` at the start of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
