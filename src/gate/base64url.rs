//! base64url without padding (RFC 4648 §5), read strictly: each text of bytes has one spelling.
//!
//! Written here since it is a tenth of what a frame costs, and a token is so short that a decoder
//! for texts of any size spends most of its time on their ends. No byte decides where the code
//! goes: a block is decoded whatever it holds, and what was wrong is asked once.

/// Characters that are decoded together, and the bytes they make.
const BLOCK_CHARACTERS: usize = 16;
const BLOCK_BYTES: usize = 12;
/// Stands for six bits of zero.
const ZERO: u8 = b'A';

/// Decodes `text` to the start of `decoded`, which is to have [`room`] for it. What lies behind the
/// decoded bytes is overwritten, to the end of a block.
///
/// `None` when `text` is not base64url: another character, a length that no bytes have, or bits
/// set where none are used (RFC 4648 §3.5).
#[inline(always)]
pub(super) fn decode<'d>(text: &[u8], decoded: &'d mut [u8]) -> Option<&'d [u8]> {
    let (blocks, rest) = text.as_chunks();
    let (bytes_of_blocks, _) = decoded.as_chunks_mut();
    let (places, last_place) = bytes_of_blocks.split_at_mut_checked(blocks.len())?;
    let mut last = [ZERO; BLOCK_CHARACTERS];
    last[..rest.len()].copy_from_slice(rest);

    let mut right = [u8::MAX; BLOCK_CHARACTERS];
    for (block, place) in blocks.iter().zip(places) {
        *place = decode_block(block, &mut right);
    }
    let last = decode_block(&last, &mut right);
    *last_place.first_mut()? = last;

    // The first byte that is not whole holds the bits of the last character that are not used.
    let unused = last[bytes_of(rest.len())];
    let is_right = right == [u8::MAX; BLOCK_CHARACTERS] && unused == 0 && text.len() % 4 != 1;
    is_right.then(|| &decoded[..bytes_of(text.len())])
}

/// The bytes to be had for decoding `characters`.
pub(super) const fn room(characters: usize) -> usize {
    (characters / BLOCK_CHARACTERS + 1) * BLOCK_BYTES
}

/// How many bytes are whole in so many characters of six bits.
const fn bytes_of(characters: usize) -> usize {
    characters * 6 / 8
}

/// Decodes a block. Where a character is none of the 64, `right` loses bits.
#[inline(always)]
fn decode_block(
    block: &[u8; BLOCK_CHARACTERS],
    right: &mut [u8; BLOCK_CHARACTERS],
) -> [u8; BLOCK_BYTES] {
    let mut sextets = [0; BLOCK_CHARACTERS];
    for ((character, sextet), right) in block.iter().zip(&mut sextets).zip(right) {
        let (value, is_one) = value_of(*character);
        *sextet = value;
        *right &= is_one;
    }
    let mut packed = [0; BLOCK_CHARACTERS / 8];
    for (packed, sextets) in packed.iter_mut().zip(sextets.as_chunks().0) {
        *packed = pack(u64::from_le_bytes(*sextets));
    }
    let [high, low] = packed;
    let [bytes @ .., _, _, _, _] = (u128::from(high) << 80 | u128::from(low) << 32).to_be_bytes();
    bytes
}

/// The six bits that `character` stands for, and all bits set where it is one of the 64.
#[inline(always)]
const fn value_of(character: u8) -> (u8, u8) {
    // As masks: processors have them for vectors of bytes.
    let upper = mask(character.wrapping_sub(b'A') < 26);
    let lower = mask(character.wrapping_sub(b'a') < 26);
    let digit = mask(character.wrapping_sub(b'0') < 10);
    let minus = mask(character == b'-');
    let underscore = mask(character == b'_');
    let value = upper & character.wrapping_sub(b'A')
        | lower & character.wrapping_sub(b'a' - 26)
        | digit & character.wrapping_add(52 - b'0')
        | minus & 62
        | underscore & 63;
    (value, upper | lower | digit | minus | underscore)
}

#[inline(always)]
const fn mask(is_set: bool) -> u8 {
    if is_set { u8::MAX } else { 0 }
}

/// Packs six bits of each byte into the 48 lowest, the first byte's being the highest: pairs of them,
/// pairs of pairs, and those.
#[inline(always)]
const fn pack(sextets: u64) -> u64 {
    let pairs = (sextets & 0x003f_003f_003f_003f) << 6 | sextets >> 8 & 0x003f_003f_003f_003f;
    let fours = (pairs & 0x0000_0fff_0000_0fff) << 12 | pairs >> 16 & 0x0000_0fff_0000_0fff;
    (fours & 0x00ff_ffff) << 24 | fours >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut place = vec![0xEE; room(text.len())];
        decode(text, &mut place).map(<[u8]>::to_vec)
    }

    #[test]
    fn bytes_of_every_length_come_back() {
        let bytes: Vec<u8> = (0..=255).rev().chain(0..=255).collect();
        for start in 0..=255 {
            for length in 0..=70 {
                let bytes = &bytes[start..start + length];
                let text = URL_SAFE_NO_PAD.encode(bytes);
                assert_eq!(decoded(text.as_bytes()).as_deref(), Some(bytes), "{text}");
            }
        }
    }

    /// Every pair of bytes, at the start and at the end of a block, before each kind of an end.
    #[test]
    fn what_is_taken_is_what_the_base64_crate_takes() {
        let pairs = (0..=255).flat_map(|first| (0..=255).map(move |second| [first, second]));
        for pair in pairs {
            for (before, behind) in [
                ("", ""),
                ("", "A"),
                ("", "AB"),
                ("abc", ""),
                ("abcdefghijklmno", ""),
                ("abcdefghijklmno", "AQ"),
            ] {
                let text = [before.as_bytes(), &pair, behind.as_bytes()].concat();
                let theirs = URL_SAFE_NO_PAD.decode(&text).ok();
                assert_eq!(decoded(&text), theirs, "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_and_one_that_does_is_not() {
        for characters in [0, 2, 15, 16, 43, 64] {
            let text = vec![ZERO; characters];
            let mut place = vec![0; room(characters)];
            assert!(decode(&text, &mut place).is_some(), "{characters}");
            place.pop();
            assert!(decode(&text, &mut place).is_none(), "{characters}");
        }
    }
}
