//! What is looked at: a token under two keys, its tags right and wrong, and a comparison that
//! leaks.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use framegate::internals::gate::{ClaimRules, Keys, Secret, Signer, Verifier};
use framegate::internals::time::UnixSeconds;

pub const TAG_BYTES: usize = 32;
pub type Tag = [u8; TAG_BYTES];

pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// Two secrets, a token's header and claims, and the tag that each secret gives them.
pub struct Subject {
    pub current: &'static str,
    pub previous: &'static str,
    pub signed: String,
    pub right: Tag,
    pub right_before: Tag,
}

impl Subject {
    /// With secrets as `framegate secret` makes them.
    pub fn new() -> Subject {
        Subject::of(
            "Zk0c1nE3vJ9mQw7xTtUoYb5LrS2dGhAe8fPiK4XyNC6",
            "q7Hs0WzR4uVbM1tLk8JxPn3DyEoC9gFa5IiT2dXeG6U",
        )
    }

    /// With secrets longer than a block of the hash, which are hashed before use.
    pub fn with_long_secrets() -> Subject {
        Subject::of(
            "a secret of more than sixty-four bytes, which HMAC takes the hash of and not itself",
            "and the one that stood before it, which is as long as that is, or within a few bytes",
        )
    }

    fn of(current: &'static str, previous: &'static str) -> Subject {
        let (signed, right) = mint(current);
        let (signed_before, right_before) = mint(previous);
        assert_eq!(signed, signed_before);
        assert_ne!(right, right_before);
        Subject {
            current,
            previous,
            signed,
            right,
            right_before,
        }
    }

    pub fn keys(&self) -> Keys {
        Keys::new(&secret_of(self.current), Some(&secret_of(self.previous)))
    }

    /// The right tag with one byte changed.
    pub fn wrong_at(&self, index: usize) -> Tag {
        let mut tag = self.right;
        tag[index] ^= 1;
        tag
    }

    pub fn is_right(&self, tag: &Tag) -> bool {
        [self.right, self.right_before].contains(tag)
    }

    pub fn token(&self, tag: &Tag) -> String {
        format!("{}.{}", self.signed, URL_SAFE_NO_PAD.encode(tag))
    }
}

/// A tag wrong in each of its bytes, and those that are right.
pub fn tags(subject: &Subject) -> Vec<Tag> {
    let wrong = (0..TAG_BYTES).map(|at| subject.wrong_at(at));
    wrong.chain([subject.right, subject.right_before]).collect()
}

pub fn verifier(keys: Keys) -> Verifier {
    Verifier::new(keys, ClaimRules::default())
}

pub fn secret_of(text: &str) -> Secret {
    Secret::parse(text).expect("the secrets above are fit")
}

fn mint(text: &str) -> (String, Tag) {
    let keys = Keys::new(&secret_of(text), None);
    let signer = Signer::new(&keys, &ClaimRules::default(), 3600);
    let minted = signer.mint("alice", NOW).expect("alice is a subject");
    let (signed, tag) = minted.token.rsplit_once('.').expect("a token has dots");
    let tag = URL_SAFE_NO_PAD.decode(tag).expect("a tag is base64url");
    let tag = tag.try_into().expect("a tag has 32 bytes");
    (signed.to_owned(), tag)
}

/// How tags must not be compared: it ends at the first wrong byte. Without the black box the
/// compiler sees that all the bytes are there, and compares them at once.
#[inline(never)]
pub fn equal_until_wrong(right: &Tag, tag: &Tag) -> bool {
    for (right, byte) in right.iter().zip(tag) {
        if black_box(right) != byte {
            return false;
        }
    }
    true
}
