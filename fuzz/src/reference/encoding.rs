//! Base64url (RFC 4648 §5), a bit at a time.

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Decodes `text`: the alphabet and nothing else, no lone last character, unused bits zero.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for c in text.chars() {
        let value = ALPHABET.find(c)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    let (bytes, unused) = bits.split_at(bits.len() / 8 * 8);
    let is_canonical = unused.len() < 6 && unused.iter().all(|bit| *bit == 0);
    is_canonical.then(|| bytes.chunks(8).map(|bits| number(bits) as u8).collect())
}

/// Encodes `bytes`, without padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut bits = Vec::new();
    for byte in bytes {
        bits.extend((0..8).rev().map(|bit| usize::from(byte >> bit & 1)));
    }
    bits.resize(bits.len().div_ceil(6) * 6, 0);
    let letters = bits.chunks(6).map(number);
    letters.map(|at| &ALPHABET[at..=at]).collect()
}

fn number(bits: &[usize]) -> usize {
    bits.iter().fold(0, |number, bit| number << 1 | bit)
}
