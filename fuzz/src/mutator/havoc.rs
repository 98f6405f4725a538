//! Changes of bytes of which nothing is known, for engines that lend us none.

use super::random::Random;

/// Changes for one mutation with this seed: each is as [`havoc`] makes it, with a seed of its own.
pub fn havocs(seed: u64) -> impl FnMut(&mut Vec<u8>) {
    // Not the sequence that the mutation itself takes its choices from.
    let mut seeds = Random::new(!seed);
    move |bytes| havoc(bytes, seeds.next())
}

/// Changes, adds or takes away a few bytes.
pub fn havoc(bytes: &mut Vec<u8>, seed: u64) {
    const ODD: [u8; 8] = [0, 1, 0x7F, 0x80, 0xFF, b' ', b'"', b'0'];
    let mut random = Random::new(seed);
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        let end = bytes.len().min(at + 1 + random.below(8));
        let range = at.min(end)..end;
        match (random.below(6), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << random.below(8),
            (1, Some(byte)) => *byte = random.one_of(&ODD),
            (2, Some(byte)) => *byte = byte.wrapping_add(random.one_of(&[1, 0xFF])),
            (3, _) => _ = bytes.drain(range),
            (4, _) => {
                let again = bytes[range].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, again);
            }
            _ => bytes.insert(at, random.below(256) as u8),
        }
    }
}
