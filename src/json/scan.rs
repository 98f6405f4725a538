//! The grammar of JSON (RFC 8259), walked over once from left to right: no recursion, nothing
//! decoded, nothing kept on the heap.

use super::name::Name;
use super::words::{FEW_BYTES, bytes_between, leading_digits, plain_bytes, plain_until_quote};
use super::{JsonError, Value};
use crate::limits::JSON_DEPTH_MAX;

/// A place in a text. Each method moves after what it names, or says why that is not there.
pub(super) struct Scanner<'a> {
    text: &'a str,
    /// Where the next byte lies; ≤ `text.len()`.
    at: usize,
    /// True when the text was scanned before, so that what is nested in it is well-formed.
    is_again: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            is_again: false,
        }
    }

    pub(super) fn again(text: &'a str) -> Scanner<'a> {
        Scanner {
            is_again: true,
            ..Scanner::new(text)
        }
    }

    /// RFC 8259 §2: white space is these four.
    #[inline(always)]
    pub(super) fn space(&mut self) {
        // Between the parts of what programs write there is none.
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.some_space();
        }
    }

    #[cold]
    fn some_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// White space, and then no more.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(JsonError::Syntax),
        }
    }

    /// The byte `byte`, if that comes next.
    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        // A branch, so that where the next byte lies hangs on no byte before it: that is foretold
        // while the bytes are still being read (a fifth of an envelope's time).
        if self.peek() != Some(byte) {
            return false;
        }
        self.at += 1;
        true
    }

    /// A comma, or the bracket that closes; true exactly when it was the comma.
    #[inline(always)]
    pub(super) fn comma_or(&mut self, closing: u8) -> Result<bool, JsonError> {
        self.space();
        if self.take(b',') {
            self.space();
            return Ok(true);
        }
        self.expect(closing).map(|()| false)
    }

    /// RFC 8259 §4: a member up to its value. Returns the name, a string.
    // Inlined, as `value`: what they return does not fit registers, and the way over memory took a
    // third of a token's check.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<Name<'a>, JsonError> {
        let start = self.at;
        let has_escape = self.string()?;
        let text = &self.text[start + 1..self.at - 1];
        self.colon()?;
        Ok(Name { text, has_escape })
    }

    #[inline(always)]
    fn colon(&mut self) -> Result<(), JsonError> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

    /// RFC 8259 §3: a value of any kind, inside of the one container the caller is in.
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        let has_escape = match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{' | b'[') if self.is_again => self.container_again().map(|()| false)?,
            Some(b'{' | b'[') => self.container().map(|()| false)?,
            _ => self.scalar().map(|()| false)?,
        };
        let text = &self.text[start..self.at];
        Ok(Value { text, has_escape })
    }

    /// RFC 8259 §4, §5: an array or an object, to its end.
    fn container(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let mut open = Open::default();
        loop {
            // A value is to begin here.
            let mut is_more = false;
            at = match bytes.get(at) {
                Some(b'0'..=b'9' | b'-') => number_end(bytes, at)?,
                Some(b'"') => string_end(bytes, at + 1, &mut false)?,
                Some(bracket @ (b'[' | b'{')) => {
                    open.push(*bracket)?;
                    let inside = space_end(bytes, at + 1);
                    is_more = bytes.get(inside) != Some(&open.closing());
                    inside
                }
                _ => literal_end(bytes, at)?,
            };
            while !is_more {
                // Between the parts of what programs write there is no white space.
                match bytes.get(at) {
                    Some(b',') => {
                        at = space_end(bytes, at + 1);
                        is_more = true;
                    }
                    Some(byte) if *byte == open.closing() => {
                        at += 1;
                        open.pop();
                        if open.depth == 0 {
                            self.at = at;
                            return Ok(());
                        }
                    }
                    _ => {
                        let end = space_end(bytes, at);
                        if end == at {
                            return Err(JsonError::Syntax);
                        }
                        at = end;
                    }
                }
            }
            if open.is_object() {
                at = name_end(bytes, at)?;
            }
        }
    }

    /// As [`Scanner::container`], of one that was scanned before: up to the bracket that closes it.
    fn container_again(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let mut depth = 0_usize;
        loop {
            match bytes.get(at) {
                Some(b'{' | b'[') => {
                    depth += 1;
                    at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.checked_sub(1).ok_or(JsonError::Syntax)?;
                    at += 1;
                    if depth == 0 {
                        self.at = at;
                        return Ok(());
                    }
                }
                Some(b'"') => at = string_end(bytes, at + 1, &mut false)?,
                Some(b',' | b':') => at += 1,
                Some(_) => at += bytes_between(&bytes[at..]),
                None => return Err(JsonError::Syntax),
            }
        }
    }

    /// A number or a literal.
    #[inline(always)]
    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    #[inline(never)]
    fn literal(&mut self) -> Result<(), JsonError> {
        self.at = literal_end(self.text.as_bytes(), self.at)?;
        Ok(())
    }

    /// RFC 8259 §6. Of a number with a leading zero it takes the zero, after which no digit
    /// can stand.
    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        match self.peek() {
            Some(b'.' | b'e' | b'E') => self.fraction_and_exponent(),
            _ => Ok(()),
        }
    }

    #[cold]
    fn fraction_and_exponent(&mut self) -> Result<(), JsonError> {
        self.at = fraction_and_exponent_end(self.text.as_bytes(), self.at)?;
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), JsonError> {
        let count = leading_digits(&self.text.as_bytes()[self.at..]);
        self.at += count;
        match count {
            0 => Err(JsonError::Syntax),
            _ => Ok(()),
        }
    }

    /// RFC 8259 §7: all of a string that is not an escape, a quotation mark or a control
    /// character stands for itself. Returns whether there is an escape in it.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, JsonError> {
        // Most names, and many values, end within a word.
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if let Some([b'"', word @ ..]) = rest.first_chunk::<9>()
            && let Some(plain) = plain_until_quote(*word)
        {
            self.at += plain + 2;
            return Ok(false);
        }
        self.long_string()
    }

    #[inline(never)]
    fn long_string(&mut self) -> Result<bool, JsonError> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let mut has_escape = false;
        let at = self.at + plain_bytes(&bytes[self.at..]);
        self.at = string_end(bytes, at, &mut has_escape)?;
        Ok(has_escape)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(JsonError::Syntax),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The containers a value has open at a place in it.
#[derive(Default)]
struct Open {
    /// How many; < [`JSON_DEPTH_MAX`].
    depth: usize,
    /// Bit 0 is set exactly when the innermost is an object, bit 1 for the one around it.
    objects: u32,
}

const _: () = assert!(JSON_DEPTH_MAX <= u32::BITS as usize);

impl Open {
    fn push(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.depth += 1;
        self.objects = self.objects << 1 | u32::from(bracket == b'{');
        // The caller's container is one more.
        match self.depth < JSON_DEPTH_MAX {
            true => Ok(()),
            false => Err(JsonError::TooDeep),
        }
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// The bracket that closes the innermost.
    fn closing(&self) -> u8 {
        if self.is_object() { b'}' } else { b']' }
    }
}

/// Where the white space ends that is at `at`.
#[inline(always)]
fn space_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value begins whose name is at `at`.
#[inline(always)]
fn name_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let Some(b'"') = bytes.get(at) else {
        return Err(JsonError::Syntax);
    };
    let end = string_end(bytes, at + 1, &mut false)?;
    let colon = space_end(bytes, end);
    match bytes.get(colon) {
        Some(b':') => Ok(space_end(bytes, colon + 1)),
        _ => Err(JsonError::Syntax),
    }
}

/// Where the number ends that is at `at` (RFC 8259 §6). Of a number with a leading zero it is the
/// zero, after which no digit can stand.
#[inline(always)]
fn number_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let first = match bytes.get(at) {
        Some(b'-') => at + 1,
        _ => at,
    };
    let end = match bytes.get(first) {
        Some(b'0') => first + 1,
        _ => digits_end(bytes, first)?,
    };
    match bytes.get(end) {
        Some(b'.' | b'e' | b'E') => fraction_and_exponent_end(bytes, end),
        _ => Ok(end),
    }
}

#[inline(never)]
fn fraction_and_exponent_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut end = at;
    if let Some(b'.') = bytes.get(end) {
        end = digits_end(bytes, end + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits_end(bytes, end + 1 + usize::from(sign))?;
    }
    Ok(end)
}

/// Where the digits end that are at `at`, of which there is to be one.
#[inline(always)]
fn digits_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let Some(b'0'..=b'9') = bytes.get(at) else {
        return Err(JsonError::Syntax);
    };
    let mut end = at + 1;
    while let Some(b'0'..=b'9') = bytes.get(end) {
        end += 1;
    }
    Ok(end)
}

/// Where the literal ends that is at `at` (RFC 8259 §3).
#[inline(always)]
fn literal_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest {
        [b'n', b'u', b'l', b'l', ..] | [b't', b'r', b'u', b'e', ..] => Ok(at + 4),
        [b'f', b'a', b'l', b's', b'e', ..] => Ok(at + 5),
        _ => Err(JsonError::Syntax),
    }
}

/// Where the string ends whose first character is at `at` (RFC 8259 §7). All that is no escape,
/// quotation mark or control character stands for itself. An escape sets `has_escape`.
// Inlined, as the others: what they return does not fit registers.
#[inline(always)]
fn string_end(bytes: &[u8], mut at: usize, has_escape: &mut bool) -> Result<usize, JsonError> {
    // One by one, so that where the next lies hangs on none of them: that is foretold.
    let mut few_left = FEW_BYTES;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                at = escape_end(bytes, at + 1)?;
                *has_escape = true;
            }
            Some(..0x20) | None => return Err(JsonError::Syntax),
            Some(_) if few_left > 0 => {
                at += 1;
                few_left -= 1;
            }
            Some(_) => {
                at += plain_bytes(&bytes[at..]);
                few_left = FEW_BYTES;
            }
        }
    }
}

/// Where the escape ends whose backslash is before `at`.
#[inline(always)]
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match code_unit(bytes, at + 1)? {
            0xD800..=0xDBFF => low_surrogate_end(bytes, at + 5),
            // RFC 8259 §8.2: what a lone surrogate means nobody can tell, so we do not.
            0xDC00..=0xDFFF => Err(JsonError::LoneSurrogate),
            _ => Ok(at + 5),
        },
        _ => Err(JsonError::Syntax),
    }
}

fn low_surrogate_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let Some([b'\\', b'u', ..]) = bytes.get(at..) else {
        return Err(JsonError::LoneSurrogate);
    };
    match code_unit(bytes, at + 2)? {
        0xDC00..=0xDFFF => Ok(at + 6),
        _ => Err(JsonError::LoneSurrogate),
    }
}

/// The number that the four hexadecimal digits at `at` are.
#[inline(always)]
fn code_unit(bytes: &[u8], at: usize) -> Result<u32, JsonError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let digits = rest.first_chunk::<4>().ok_or(JsonError::Syntax)?;
    let [a, b, c, d] = digits.map(|digit| u32::from(HEXADECIMAL[usize::from(digit)]));
    match a | b | c | d {
        ..16 => Ok(a << 12 | b << 8 | c << 4 | d),
        _ => Err(JsonError::Syntax),
    }
}

/// What a byte is worth as a hexadecimal digit; more than 15 when it is none.
const HEXADECIMAL: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
