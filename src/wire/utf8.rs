//! Text that comes in pieces, checked as it comes (RFC 6455 §8.1, RFC 3629).

use std::mem;

use zeroize::Zeroize;

use super::held::make_room;

/// Bytes that are no UTF-8, or that end in the middle of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// A text under way. Where a piece ends inside a character, that character's first bytes are
/// kept apart until the rest comes. It has no `Debug`, for a text may hold a token.
#[derive(Default)]
pub(super) struct PartialText {
    text: String,
    /// The first bytes of a character that may still become valid; the rest is zero.
    tail: [u8; 4],
    /// How many of them count, ≤ 3.
    tail_bytes: u8,
}

impl PartialText {
    /// Appends a piece.
    ///
    /// # Errors
    /// At the first byte that no text can have there, without waiting for the rest of its
    /// character.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let rest = self.complete_tail(piece)?;
        let (whole, tail) = split_tail(rest)?;
        self.text.push_str(whole);
        for &byte in tail {
            self.push_tail(byte);
        }
        Ok(())
    }

    /// The text, when no character of it is unfinished.
    ///
    /// # Errors
    /// When one is.
    pub(super) fn finish(mut self) -> Result<String, NotUtf8> {
        if self.tail_bytes == 0 {
            Ok(mem::take(&mut self.text))
        } else {
            Err(NotUtf8)
        }
    }

    /// Bytes taken so far.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_bytes)
    }

    /// Bytes allocated.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for exactly `additional` bytes more.
    pub(super) fn reserve_exact(&mut self, additional: usize) {
        make_room(&mut self.text, additional + usize::from(self.tail_bytes));
    }

    /// Takes from `piece` what the unfinished character lacks, and lends the rest.
    fn complete_tail<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], NotUtf8> {
        while self.tail_bytes > 0
            && let Some((&byte, rest)) = piece.split_first()
        {
            self.push_tail(byte);
            piece = rest;
            let tail = self.tail;
            let (whole, unfinished) = split_tail(&tail[..usize::from(self.tail_bytes)])?;
            if unfinished.is_empty() {
                self.text.push_str(whole);
                self.tail_bytes = 0;
            }
        }
        Ok(piece)
    }

    /// A character has at most four bytes, and one with four is never unfinished.
    fn push_tail(&mut self, byte: u8) {
        if let Some(slot) = self.tail.get_mut(usize::from(self.tail_bytes)) {
            *slot = byte;
            self.tail_bytes += 1;
        }
    }
}

/// A login may be in it that is never finished.
impl Drop for PartialText {
    fn drop(&mut self) {
        self.text.zeroize();
        self.tail.zeroize();
    }
}

/// Splits off the first bytes of a character that `bytes` ends in.
fn split_tail(bytes: &[u8]) -> Result<(&str, &[u8]), NotUtf8> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok((text, &[])),
        // The end came too early, and all there is could still become valid.
        Err(error) if error.error_len().is_none() => {
            let (whole, tail) = bytes.split_at(error.valid_up_to());
            Ok((str::from_utf8(whole).map_err(|_| NotUtf8)?, tail))
        }
        Err(_) => Err(NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of bytes taken before the text was refused, one byte at a time.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut text = PartialText::default();
        bytes.iter().position(|byte| text.push(&[*byte]).is_err())
    }

    #[test]
    fn text_in_any_three_pieces_is_the_text() {
        let text = "aß€\u{10ffff}𝄞z\u{0}\u{7ff}\u{800}\u{ffff}\u{10000}";
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut partial = PartialText::default();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    partial.push(piece).unwrap();
                }
                assert_eq!(partial.len(), bytes.len());
                assert_eq!(partial.finish().as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn a_bad_byte_is_refused_where_it_stands() {
        let cases: [(&[u8], usize); 12] = [
            (b"a\x80", 1),
            (b"\xc0\x80", 0),
            (b"\xc1\xbf", 0),
            (b"\xc3a", 1),
            (b"\xe0\x9f\xbf", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xe2\x82a", 2),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (b"\xff", 0),
            // Autobahn 6.4.4: κόσμε, then a surrogate's first half.
            (
                b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
                12,
            ),
        ];
        for (bytes, at) in cases {
            assert_eq!(refused_at(bytes), Some(at), "{bytes:x?}");
        }
    }

    #[test]
    fn every_pair_of_bytes_is_judged_as_by_the_standard_library() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let bytes = [first, second];
                let mut partial = PartialText::default();
                let verdict = bytes.iter().try_for_each(|byte| partial.push(&[*byte]));
                let verdict = verdict.and_then(|()| partial.finish());
                assert_eq!(
                    verdict.is_ok(),
                    str::from_utf8(&bytes).is_ok(),
                    "{bytes:x?}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_ends_inside_a_character_is_refused() {
        for bytes in [&b"\xc3"[..], b"a\xe2\x82", b"\xf0\x9d\x84"] {
            let mut partial = PartialText::default();
            partial.push(bytes).unwrap();
            assert_eq!(partial.finish(), Err(NotUtf8));
        }
    }
}
