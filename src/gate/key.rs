//! HMAC-SHA256 (RFC 2104) by the `hmac` crate, under a key whose part of the work is done once.
//!
//! A token lies there whole, so the crate's block functions are called here and not its `Hmac`,
//! which takes a message in pieces and keeps a buffer for what is left of each.

use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::block_api::{Buffer, FixedOutputCore, UpdateCore};
use hmac::digest::{CtOutput, Digest, Output};
use sha2::Sha256;
use zeroize::Zeroizing;

type HmacSha256 = HmacCore<Sha256>;

/// The bytes of a tag.
pub(super) const TAG_BYTES: usize = 32;
/// The bytes SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;

/// A key, as HMAC's two hashes stand after it. It lies on the heap, so that it is never moved and
/// leaves no copy of itself, and is wiped when it is dropped.
#[derive(Clone)]
pub(super) struct Key(Box<HmacSha256>);

impl Key {
    pub(super) fn new(secret: &[u8]) -> Key {
        // RFC 2104 §2: zeros fill a key up to a block; a longer key is hashed first.
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        match block.get_mut(..secret.len()) {
            Some(start) => start.copy_from_slice(secret),
            None => block[..TAG_BYTES].copy_from_slice(&Sha256::digest(secret)),
        }
        Key(Box::new(HmacSha256::new((&*block).into())))
    }

    /// The tag of `message`, which compares itself with another in constant time.
    #[inline(always)]
    pub(super) fn tag(&self, message: &[u8]) -> CtOutput<HmacSha256> {
        let mut hmac = HmacSha256::clone(&self.0);
        let mut rest = Buffer::<HmacSha256>::default();
        rest.digest_blocks(message, |blocks| hmac.update_blocks(blocks));
        let mut tag = Output::<HmacSha256>::default();
        hmac.finalize_fixed_core(&mut rest, &mut tag);
        CtOutput::new(tag)
    }

    /// Whether `tag` is that of `message`, in a time that depends on no byte of the two.
    #[inline(always)]
    pub(super) fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        self.tag(message) == CtOutput::new((*tag).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Key {
        fn tag_bytes(&self, message: &[u8]) -> [u8; TAG_BYTES] {
            self.tag(message).into_bytes().into()
        }
    }

    #[test]
    fn a_key_wipes_itself() {
        fn assert_wiped<T: zeroize::ZeroizeOnDrop>() {}
        assert_wiped::<<Sha256 as hmac::digest::block_api::CoreProxy>::Core>();
        assert_wiped::<Buffer<HmacSha256>>();
        assert_wiped::<CtOutput<HmacSha256>>();
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
            let tag = key.tag_bytes(message);
            let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(hex.starts_with(wanted), "{hex}");
            assert!(key.verify(message, &tag));
            assert!(!key.verify(message, &[0; TAG_BYTES]));
            assert!(!key.verify(&message[1..], &tag));
        }
    }

    /// Every length of padding and of a key, against the crate's other way to the same tag.
    #[test]
    fn tags_are_those_of_the_buffered_hmac_at_every_length() {
        use hmac::{Hmac, Mac};
        let bytes: Vec<u8> = (0..=255).collect();
        for (key_bytes, message_bytes) in (0..=200).flat_map(|n| [(n, n), (32, n), (n, 100)]) {
            let (key, message) = (&bytes[..key_bytes], &bytes[..message_bytes]);
            let buffered = Hmac::<Sha256>::new_from_slice(key).unwrap();
            let buffered = buffered.chain_update(message).finalize().into_bytes();
            let tag = Key::new(key).tag_bytes(message);
            assert_eq!(tag[..], buffered[..], "{key_bytes} and {message_bytes}");
        }
    }

    #[test]
    fn each_bit_of_a_tag_counts() {
        let key = Key::new(b"k");
        let tag = key.tag_bytes(b"m");
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
        let long = Key::new(&[b'x'; 65]);
        assert_eq!(long.tag_bytes(b"m"), hashed.tag_bytes(b"m"));
        let hashed = Key::new(&Sha256::digest([b'x'; 64]));
        let block = Key::new(&[b'x'; 64]);
        assert_ne!(block.tag_bytes(b"m"), hashed.tag_bytes(b"m"));
    }
}
