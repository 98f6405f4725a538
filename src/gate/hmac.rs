//! HMAC-SHA256 (RFC 2104): a key whose part of the work is done once, over the block function of
//! SHA-256.
//!
//! Written here and not taken from a crate since it is half of what a frame costs, and a token
//! lies there whole: what takes its message in pieces copies and wipes a buffer for each
//! (docs/benchmarks.md has the difference).

use std::hint;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The bytes of a tag.
pub(super) const TAG_BYTES: usize = 32;
/// The bytes SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;
/// FIPS 180-4 §5.1.1: behind the message a bit that is set and, at the end of a block, its length.
const LENGTH_BYTES: usize = 8;

/// SHA-256 between two blocks.
type State = [u32; TAG_BYTES / 4];

/// FIPS 180-4 §5.3.3: before the first block.
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// FIPS 180-4 §5.1.1: the block in which a tag ends a message of one block before it.
const END_BEHIND_TAG: [u8; BLOCK_BYTES] = {
    let mut block = [0; BLOCK_BYTES];
    block[TAG_BYTES] = 0x80;
    let [.., high, low] = (8 * (BLOCK_BYTES + TAG_BYTES)).to_be_bytes();
    block[BLOCK_BYTES - 2] = high;
    block[BLOCK_BYTES - 1] = low;
    block
};

/// A key, as the two hashes of HMAC stand behind it; wiped when it is dropped.
#[derive(Clone)]
pub(super) struct Key {
    inner: Zeroizing<State>,
    outer: Zeroizing<State>,
}

impl Key {
    pub(super) fn new(secret: &[u8]) -> Key {
        // RFC 2104 §2: a key fills a block with zeros behind it; one that is longer is hashed
        // first.
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        match block.get_mut(..secret.len()) {
            Some(start) => start.copy_from_slice(secret),
            None => block[..TAG_BYTES].copy_from_slice(&Sha256::digest(secret)),
        }
        Key {
            inner: behind(&block, 0x36),
            outer: behind(&block, 0x5c),
        }
    }

    pub(super) fn tag(&self, message: &[u8]) -> [u8; TAG_BYTES] {
        bytes(self.output(message))
    }

    /// Whether `tag` is that of `message`, in a time that hangs on no byte of the two.
    pub(super) fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        let right = self.output(message);
        let (given, _) = tag.as_chunks();
        // All words are looked at, whatever the first ones say.
        let difference = right
            .iter()
            .zip(given)
            .fold(0, |difference, (right, given)| {
                difference | (right ^ u32::from_be_bytes(*given))
            });
        hint::black_box(difference) == 0
    }

    /// RFC 2104 §2: H(key ⊕ opad, H(key ⊕ ipad, message)). What stands on the stack of a key is
    /// hashed over where it stands.
    fn output(&self, message: &[u8]) -> State {
        let inner = hash(*self.inner, message);
        let mut last = END_BEHIND_TAG;
        last[..TAG_BYTES].copy_from_slice(&bytes(inner));
        let mut state = *self.outer;
        compress256(&mut state, &[last]);
        state
    }
}

/// RFC 2104 §2: the state behind the key with each of its bytes changed by `pad`.
fn behind(key: &[u8; BLOCK_BYTES], pad: u8) -> Zeroizing<State> {
    let mut block = Zeroizing::new([*key]);
    block[0].iter_mut().for_each(|byte| *byte ^= pad);
    let mut state = Zeroizing::new(INITIAL);
    compress256(&mut state, &*block);
    state
}

/// Hashes `message` behind the one block that `state` has seen, to the end.
fn hash(mut state: State, message: &[u8]) -> State {
    let (blocks, rest) = message.as_chunks();
    // FIPS 180-4 §5.1.1. Written before anything is hashed, so that it need not be waited for.
    let mut last = [0; 2 * BLOCK_BYTES];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = match rest.len() < BLOCK_BYTES - LENGTH_BYTES {
        true => BLOCK_BYTES,
        false => 2 * BLOCK_BYTES,
    };
    let bits = 8 * (BLOCK_BYTES + message.len()) as u64;
    last[end - LENGTH_BYTES..end].copy_from_slice(&bits.to_be_bytes());
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    compress256(&mut state, last[..end].as_chunks().0);
    state
}

fn bytes(state: State) -> [u8; TAG_BYTES] {
    let mut bytes = [0; TAG_BYTES];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hmac::{Hmac, Mac};

    #[test]
    fn a_key_wipes_itself() {
        fn assert_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let key = Key::new(b"k");
        assert_wiped(&key.inner);
        assert_wiped(&key.outer);
    }

    /// RFC 4231 §4; the fifth case is a truncated tag.
    #[test]
    fn tags_are_those_of_rfc_4231() {
        let counting: Vec<u8> = (1..=25).collect();
        let rows: [(&[u8], &[u8], &str); 7] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (secret, message, wanted) in rows {
            let key = Key::new(secret);
            let tag = key.tag(message);
            let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(hex.starts_with(wanted), "{hex}");
            assert!(key.verify(message, &tag));
            assert!(!key.verify(message, &[0; TAG_BYTES]));
            assert!(!key.verify(&message[1..], &tag));
        }
    }

    /// Every length of padding, and of a key, against another's HMAC.
    #[test]
    fn tags_are_those_of_the_hmac_crate_at_every_length() {
        use ::hmac::KeyInit;
        let bytes: Vec<u8> = (0..=255).collect();
        for (key_bytes, message_bytes) in (0..=200).flat_map(|n| [(n, n), (32, n), (n, 100)]) {
            let (key, message) = (&bytes[..key_bytes], &bytes[..message_bytes]);
            let theirs = Hmac::<Sha256>::new_from_slice(key).unwrap();
            let theirs = theirs.chain_update(message).finalize().into_bytes();
            let ours = Key::new(key).tag(message);
            assert_eq!(ours[..], theirs[..], "{key_bytes} and {message_bytes}");
        }
    }

    #[test]
    fn each_bit_of_a_tag_counts() {
        let key = Key::new(b"k");
        let tag = key.tag(b"m");
        assert!(key.verify(b"m", &tag));
        for bit in 0..8 * TAG_BYTES {
            let mut wrong = tag;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(b"m", &wrong), "bit {bit}");
            // Nor do two that are wrong alike make up for each other.
            wrong[(bit / 8 + 4) % TAG_BYTES] ^= 1 << (bit % 8);
            assert!(!key.verify(b"m", &wrong), "bit {bit} in two words");
        }
    }

    #[test]
    fn a_key_of_64_bytes_is_not_hashed_and_one_of_65_is() {
        let hashed = Key::new(&Sha256::digest([b'x'; 65]));
        assert_eq!(Key::new(&[b'x'; 65]).tag(b"m"), hashed.tag(b"m"));
        let hashed = Key::new(&Sha256::digest([b'x'; 64]));
        assert_ne!(Key::new(&[b'x'; 64]).tag(b"m"), hashed.tag(b"m"));
    }
}
