//! An object, member by member, as serde_json reads them.

use serde_json::{Deserializer, Value};

/// RFC 8259 §2.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A member of the object that a text is.
pub(super) struct Member<'t> {
    pub(super) name: String,
    pub(super) raw: &'t str,
    pub(super) value: Value,
}

/// The members in the order of the text, those of one name too; `None` when it is no object.
/// The text must be JSON.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut rest = text.trim_start_matches(SPACE).strip_prefix('{')?;
    let mut members = Vec::new();
    while let Some((_, Value::String(name))) = next(&mut rest) {
        rest = rest.trim_start_matches(SPACE).strip_prefix(':')?;
        let (raw, value) = next(&mut rest)?;
        members.push(Member { name, raw, value });
        rest = rest.trim_start_matches(SPACE);
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(members)
}

/// The value that `rest` begins with, and its text.
fn next<'t>(rest: &mut &'t str) -> Option<(&'t str, Value)> {
    let mut values = Deserializer::from_str(rest).into_iter();
    let value = values.next()?.ok()?;
    let (raw, behind) = rest.split_at(values.byte_offset());
    *rest = behind;
    Some((raw.trim_start_matches(SPACE), value))
}
