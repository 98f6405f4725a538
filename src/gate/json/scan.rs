//! The grammar of JSON (RFC 8259), walked over once from left to right: no recursion, nothing
//! decoded, nothing kept on the heap.

use super::{JsonError, Name, Value};
use crate::limits::JSON_DEPTH_MAX;

/// A place in a text. Each method moves behind what it names, or says why that is not there.
pub(super) struct Scanner<'a> {
    text: &'a str,
    /// Where the next byte lies; ≤ `text.len()`.
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0 }
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
            Some(b'{' | b'[') => self.container().map(|()| false)?,
            _ => self.scalar().map(|()| false)?,
        };
        let text = &self.text[start..self.at];
        Ok(Value { text, has_escape })
    }

    fn container(&mut self) -> Result<(), JsonError> {
        let mut open = Open::default();
        loop {
            let mut is_more = match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.space();
                    open.push(bracket)?;
                    self.peek() != open.closing()
                }
                Some(b'"') => self.string().map(|_| false)?,
                _ => self.scalar().map(|()| false)?,
            };
            while !is_more {
                let Some(closing) = open.closing() else {
                    return Ok(());
                };
                is_more = self.comma_or(closing)?;
                if !is_more {
                    open.pop();
                }
            }
            if open.closing() == Some(b'}') {
                self.string()?;
                self.colon()?;
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
        let rest = &self.text.as_bytes()[self.at..];
        let mut words = ["null", "true", "false"].into_iter();
        let word = words.find(|word| rest.starts_with(word.as_bytes()));
        self.at += word.ok_or(JsonError::Syntax)?.len();
        Ok(())
    }

    /// RFC 8259 §6. Of a number with a leading zero it takes the zero, behind which no digit
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

    fn fraction_and_exponent(&mut self) -> Result<(), JsonError> {
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
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
        let mut has_escape = false;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.next() {
                Some(b'"') => return Ok(has_escape),
                Some(b'\\') => self.escape()?,
                _ => return Err(JsonError::Syntax),
            }
            has_escape = true;
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.next() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.code_unit()? {
                0xD800..=0xDBFF => self.low_surrogate(),
                // RFC 8259 §8.2: what a lone surrogate means nobody can tell, so we do not.
                0xDC00..=0xDFFF => Err(JsonError::LoneSurrogate),
                _ => Ok(()),
            },
            _ => Err(JsonError::Syntax),
        }
    }

    fn low_surrogate(&mut self) -> Result<(), JsonError> {
        let is_escape = self.take(b'\\') && self.take(b'u');
        match is_escape && (0xDC00..=0xDFFF).contains(&self.code_unit()?) {
            true => Ok(()),
            false => Err(JsonError::LoneSurrogate),
        }
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or(JsonError::Syntax)?;
        }
        Ok(unit)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(JsonError::Syntax),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
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

    /// The bracket that closes the innermost.
    fn closing(&self) -> Option<u8> {
        let bracket = if self.objects & 1 == 1 { b'}' } else { b']' };
        (self.depth > 0).then_some(bracket)
    }
}

/// How many digits `bytes` begins with.
#[inline(always)]
fn leading_digits(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let others = not_digits(u64::from_le_bytes(*word));
        if others != 0 {
            return 8 * index + others.trailing_zeros() as usize / 8;
        }
    }
    let at = 8 * words.len();
    let rest = bytes[at..].iter();
    at + rest.take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number that eight digits are, first to last; `None` when one of them is no digit.
#[inline(always)]
pub(super) fn number_of(digits: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(digits);
    if not_digits(word) != 0 {
        return None;
    }
    let digits = word & (ONES * 0x0F);
    // Pairs, each in the lower of its two bytes; then fours from two pairs, and both in the upper
    // half, which is all that is left. What runs over in between is masked or shifted out.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let outer = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(1_000_000 << 32 | 100);
    let inner = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(10_000 << 32 | 1);
    Some(outer.wrapping_add(inner) >> 32)
}

/// The top bits of the bytes that are no digits. Above the lowest of them bits may be wrong: a
/// sum runs over, a difference borrows.
#[inline(always)]
fn not_digits(word: u64) -> u64 {
    let past_nine = word.wrapping_add(ONES * (0x80 - u64::from(b'9' + 1)));
    let below_zero = word.wrapping_sub(ONES * u64::from(b'0'));
    (past_nine | below_zero) & TOPS
}

/// Whether all of `text` stands for itself in a string.
pub(super) fn is_plain(text: &str) -> bool {
    plain_bytes(text.as_bytes()) == text.len()
}

/// How many bytes at the start of `bytes` stand for themselves in a string: blocks and words of
/// them are passed over whole.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks();
    let plain_blocks = blocks.iter().take_while(|block| !has_special(block));
    let at = BLOCK_BYTES * plain_blocks.count();

    let (words, rest) = bytes[at..].as_chunks();
    for (index, word) in words.iter().enumerate() {
        if let Some(special) = first_special(*word) {
            return at + 8 * index + special;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | ..0x20);
    at + 8 * words.len() + rest.iter().take_while(is_plain).count()
}

/// A word with one in each byte, and one with the top bit of each.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// As many bytes as are looked at together where the processor can.
const BLOCK_BYTES: usize = 32;

fn has_special(block: &[u8; BLOCK_BYTES]) -> bool {
    // Without a way out in between, and by minima, which processors have for vectors of bytes.
    let least = block.iter().fold(u8::MAX, |least, byte| {
        let control = byte & !0x1F;
        least.min(byte ^ b'"').min(byte ^ b'\\').min(control)
    });
    least == 0
}

/// Where in `word` the first byte is that is a quotation mark, a backslash or a control character.
fn first_special(word: [u8; 8]) -> Option<usize> {
    let (special, _) = specials(word);
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

/// How many bytes stand for themselves before the quotation mark that ends them within `word`.
#[inline(always)]
fn plain_until_quote(word: [u8; 8]) -> Option<usize> {
    let (special, quote) = specials(word);
    let first = special & special.wrapping_neg();
    (quote & first != 0).then(|| first.trailing_zeros() as usize / 8)
}

/// The top bits of the bytes that [`first_special`] means, and of the quotation marks among them.
/// Above the lowest such byte bits may be wrong: a subtraction borrows from there.
#[inline(always)]
fn specials(word: [u8; 8]) -> (u64, u64) {
    let word = u64::from_le_bytes(word);
    // The top bit of each byte below the bound.
    let less_than = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = less_than(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = less_than(word ^ (ONES * u64::from(b'\\')), 1);
    let special = quote | backslash | less_than(word, 0x20);
    (special & TOPS, quote)
}
