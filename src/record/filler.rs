//! Filler: what stands in a recording for what nobody is to read there. It is as long as what
//! it stands for, has the same kinds of characters and escapes, and says nothing.

/// A character of each length in UTF-8.
const CHARACTERS: [&str; 4] = ["x", "é", "€", "😀"];
/// Escapes of a UTF-16 unit, by the length in UTF-8 of what they stand for.
const ESCAPES: [&str; 3] = [r"\u0078", r"\u00e9", r"\u20ac"];
const ESCAPED_PAIR: &str = r"\ud83d\ude00";

/// Fills every character. Control characters and bytes that are no UTF-8 stay, for they decide
/// where a head or a text fails.
pub(super) fn blank(bytes: &mut [u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let valid_bytes = match str::from_utf8(rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let (valid, behind) = rest.split_at_mut(valid_bytes);
        let mut at = 0;
        while at < valid.len() {
            at += fill_character(&mut valid[at..]);
        }
        let invalid_bytes = match str::from_utf8(behind) {
            Ok(_) => 0,
            Err(error) => error.error_len().unwrap_or(behind.len()),
        };
        rest = &mut behind[invalid_bytes..];
    }
}

/// Fills the value of a header field: every byte but blanks and what no value may hold.
pub(super) fn blank_value(value: &mut [u8]) {
    for byte in value {
        if matches!(*byte, b'!'..=b'~' | 0x80..) {
            *byte = b'x';
        }
    }
}

/// Fills every string and every number of a JSON text, but for the names of members. The text
/// may end within a string.
pub(super) fn fill(json: &mut [u8]) {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                let inside = at + 1..string_end(json, at + 1);
                at = inside.end + 1;
                if !is_name(json, at) {
                    fill_string(&mut json[inside]);
                }
            }
            b'0'..=b'9' => {
                json[at] = b'1';
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Writes `text` into a JSON string of as many decoded bytes, a byte for a byte; a character
/// that is written otherwise than as itself or by an escape for ASCII stays as it was.
pub(super) fn write_string(string: &mut [u8], text: &[u8]) {
    let end = string.len().saturating_sub(1);
    let (mut at, mut text_at) = (1, 0);
    while at < end {
        let unit = Unit::read(&string[at..end]);
        let raw = &mut string[at..at + unit.raw_bytes];
        match text.get(text_at..text_at + unit.text_bytes) {
            Some(new) if unit.raw_bytes == unit.text_bytes => raw.copy_from_slice(new),
            Some([byte]) if unit.raw_bytes == ESCAPES[0].len() => {
                raw.copy_from_slice(format!("\\u{byte:04x}").as_bytes());
            }
            _ => {}
        }
        at += unit.raw_bytes;
        text_at += unit.text_bytes;
    }
}

/// Where the string that is open at `at` ends: its closing quotation mark, or the text's end.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while at < json.len() && json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at.min(json.len())
}

/// True when a colon follows: what ended at `at` is a member's name.
fn is_name(json: &[u8], at: usize) -> bool {
    let behind = json.get(at..).unwrap_or_default();
    behind.trim_ascii_start().first() == Some(&b':')
}

fn fill_string(inside: &mut [u8]) {
    let mut at = 0;
    while at < inside.len() {
        let unit = Unit::read(&inside[at..]);
        let raw = &mut inside[at..at + unit.raw_bytes];
        at += unit.raw_bytes;
        let filler = match (raw.len(), unit.text_bytes) {
            // It is what it says: a password must not hold it.
            (6, 1) if raw.ends_with(b"0000") => continue,
            (6, text_bytes @ 1..=3) => ESCAPES[text_bytes - 1],
            (12, 4) => ESCAPED_PAIR,
            (2, 1) => r"\/",
            // Half of a pair, or an escape there is not.
            (_, 0) => continue,
            _ => {
                fill_character(raw);
                continue;
            }
        };
        raw.copy_from_slice(filler.as_bytes());
    }
}

/// Fills the character at the front, and says how long it is.
fn fill_character(bytes: &mut [u8]) -> usize {
    let len = character_bytes(bytes);
    match (len, bytes[0]) {
        (1, 0..=0x1F | 0x7F) => {}
        _ => bytes[..len].copy_from_slice(CHARACTERS[len - 1].as_bytes()),
    }
    len
}

/// RFC 3629 §3: the first byte says how long a character is.
fn character_bytes(bytes: &[u8]) -> usize {
    let len = match bytes[0] {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0.. => 4,
        _ => 1,
    };
    len.min(bytes.len())
}

/// A character of a JSON string, as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    raw_bytes: usize,
    /// Its length decoded, in UTF-8; 0 for what stands for no character.
    text_bytes: usize,
}

impl Unit {
    /// The one at the front of `raw`, which is not empty. RFC 8259 §7.
    fn read(raw: &[u8]) -> Unit {
        let (raw_bytes, text_bytes) = match raw {
            [b'\\', b'u', ..] => match (code_unit(raw), raw.get(6..).and_then(code_unit)) {
                (None, _) => (2, 0),
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, 4),
                (Some(0xD800..=0xDFFF), _) => (6, 0),
                (Some(unit), _) => (6, char::from_u32(unit).map_or(0, char::len_utf8)),
            },
            [b'\\', _, ..] => (2, 1),
            [b'\\'] => (1, 0),
            _ => (character_bytes(raw), character_bytes(raw)),
        };
        Unit {
            raw_bytes,
            text_bytes,
        }
    }
}

/// The number of the escape `\uXXXX` at the front.
fn code_unit(raw: &[u8]) -> Option<u32> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, change: fn(&mut [u8])) -> String {
        let mut bytes = text.as_bytes().to_vec();
        change(&mut bytes);
        let once = String::from_utf8(bytes.clone()).expect("it stays text");
        assert_eq!(once.len(), text.len());
        change(&mut bytes);
        assert_eq!(bytes, once.as_bytes(), "filled twice is filled once");
        once
    }

    #[test]
    fn strings_and_numbers_are_filled_in_their_own_form() {
        for (text, wanted) in [
            (
                r#"{"a":"secret","b":[-12.5e3,true]}"#,
                r#"{"a":"xxxxxx","b":[-11.1e1,true]}"#,
            ),
            (r#""a\"b\\\u00e9\u4e00""#, r#""x\/x\/\u00e9\u20ac""#),
            (
                r#""\ud83d\ude01\ud800x\u0000\u0041""#,
                r#""\ud83d\ude00\ud800x\u0000\u0078""#,
            ),
            ("\"naïve 日本 🎉\"", "\"xxéxxx€€x😀\""),
            (r#"["open\"#, r#"["xxxx\"#),
            (r#"["open \u12"#, r#"["xxxxx\uxx"#),
        ] {
            assert_eq!(after(text, fill), wanted, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_where_they_are() {
        let mut bytes = b"ab\xFFcd\xE2\x82\xACe\xE2\x82".to_vec();
        blank(&mut bytes);
        assert_eq!(bytes, b"xx\xFFxx\xE2\x82\xACx\xE2\x82");
        assert_eq!(after("tok en\n", blank), "xxxxxx\n");
    }

    #[test]
    fn a_text_is_written_into_a_string_in_its_own_form() {
        let mut string = br#""ab\u0063\n\u00e9d""#.to_vec();
        write_string(&mut string, b"xyz?\xC3\xA9w");
        assert_eq!(string, br#""xy\u007a\n\u00e9w""#);
    }
}
