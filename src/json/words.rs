//! Many bytes of a text looked at together: as words of eight, and blocks of thirty-two.

/// How many bytes at the start of `bytes`, the first of which is of them, are outside of strings
/// and no bracket: words of them are passed over whole.
#[inline(always)]
pub(super) fn bytes_between(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Every bracket has the bits of 0x59, and no other byte outside of strings has them all.
        let brackets = (word | (ONES * 0x26)) ^ (ONES * 0x7F);
        let found = (zeros(brackets) | zeros(word ^ (ONES * u64::from(b'"')))) & TOPS;
        if found != 0 {
            return 8 * index + found.trailing_zeros() as usize / 8;
        }
    }
    let is_between = |byte: &&u8| !matches!(byte, b'"' | b'[' | b']' | b'{' | b'}');
    8 * words.len() + rest.iter().take_while(is_between).count()
}

/// The top bits of the bytes that are zero. Above the lowest of them bits may be wrong.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// How many digits `bytes` begins with.
#[inline(always)]
pub(super) fn leading_digits(bytes: &[u8]) -> usize {
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

pub(super) fn is_plain_byte(byte: &&u8) -> bool {
    !matches!(byte, b'"' | b'\\' | ..0x20)
}

/// How many bytes at the start of `bytes` stand for themselves in a string: blocks and words of
/// them are passed over whole.
#[inline(never)]
pub(super) fn plain_bytes(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks();
    let plain_blocks = blocks.iter().take_while(|block| !has_special(block));
    let at = BLOCK_BYTES * plain_blocks.count();

    let (words, rest) = bytes[at..].as_chunks();
    for (index, word) in words.iter().enumerate() {
        if let Some(special) = first_special(*word) {
            return at + 8 * index + special;
        }
    }
    at + 8 * words.len() + rest.iter().take_while(is_plain_byte).count()
}

/// A word with one in each byte, and one with the top bit of each.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// As many bytes of a string as are looked at one by one.
pub(super) const FEW_BYTES: u32 = 8;

/// As many bytes as are looked at together where the processor can.
const BLOCK_BYTES: usize = 32;

pub(super) fn has_special(block: &[u8; BLOCK_BYTES]) -> bool {
    // Without a way out in between, and by minima, which processors have for vectors of bytes.
    let least = block.iter().fold(u8::MAX, |least, byte| {
        let control = byte & !0x1F;
        least.min(byte ^ b'"').min(byte ^ b'\\').min(control)
    });
    least == 0
}

/// Where in `word` the first byte is that is a quotation mark, a backslash or a control character.
pub(super) fn first_special(word: [u8; 8]) -> Option<usize> {
    let (special, _) = specials(word);
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

/// How many bytes stand for themselves before the quotation mark that ends them within `word`.
#[inline(always)]
pub(super) fn plain_until_quote(word: [u8; 8]) -> Option<usize> {
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
