//! Bytes that wait for the rest of what they belong to. A password or a token may be among them, so
//! they are wiped wherever they are given up: when they are dropped, and when they outgrow the place
//! where they lie.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, Zeroizing};

/// Bytes of a request that is not whole yet.
#[derive(Default)]
pub struct Held(Zeroizing<Vec<u8>>);

impl Held {
    /// Appends `bytes`. Where they do not fit, the room doubles, so that all copying together is
    /// linear.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Held({} bytes)", self.len())
    }
}

/// Makes room in `text` for exactly `additional` bytes more, and leaves none of it where it lay.
pub(super) fn make_room(text: &mut String, additional: usize) {
    if text.capacity() - text.len() < additional {
        let mut larger = String::with_capacity(text.len() + additional);
        larger.push_str(text);
        std::mem::replace(text, larger).zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_what_came_however_it_came() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        for piece_bytes in [1, 2, 7, 64, 5_000] {
            let mut held = Held::default();
            for piece in bytes.chunks(piece_bytes) {
                held.extend_from_slice(piece);
                assert!(held.capacity() <= 2 * held.len().max(8));
            }
            assert_eq!(held[..], bytes);
        }
    }

    #[test]
    fn a_text_keeps_its_characters_when_it_gets_more_room() {
        let mut text = String::new();
        for count in 1..100 {
            make_room(&mut text, 2);
            assert!(text.capacity() >= 2 * count);
            text.push('é');
        }
        assert_eq!(text, "é".repeat(99));
    }
}
