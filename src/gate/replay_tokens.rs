//! Replay tokens: what a recording holds in the place of tokens. They are judged as the tokens are,
//! by a gate that has the keys of a replay, and let nobody in anywhere else.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jws::{Decoder, Parts, TAG_CHARACTERS};
use super::key::Key;
use super::secret::Keys;
use super::token::TokenError;

/// The secret of every replay. It is public on purpose: nobody is to sign with it but a
/// recording.
pub const REPLAY_SECRET: &[u8] = b"the secret of framegate's recordings is no secret at all";

/// How many places are tried where a header seems to begin, when something may be glued to its front: one
/// who has more of them there hid a token on purpose.
const BEGINNINGS_MAX: usize = 8;

/// Makes the replay tokens for the tokens of one server.
pub struct ReplayTokens {
    keys: Keys,
    replay: Key,
    decoder: RefCell<Decoder>,
}

/// Those of a replay: each is its own.
impl Default for ReplayTokens {
    fn default() -> ReplayTokens {
        ReplayTokens::new(ReplayTokens::keys())
    }
}

impl ReplayTokens {
    /// For the tokens that `keys` verify.
    pub fn new(keys: Keys) -> ReplayTokens {
        let replay = Key::new(REPLAY_SECRET);
        ReplayTokens {
            keys,
            replay,
            decoder: RefCell::new(Decoder::new()),
        }
    }

    /// The keys under which a replay token is what its token was.
    pub fn keys() -> Keys {
        Keys::of(Key::new(REPLAY_SECRET))
    }

    /// The replay token for `token`, as long as that in bytes. The signature never stays: where it
    /// was right it is right under the keys of a replay, else it is wrong there in the same way, and
    /// of all that nobody reads then, the dots are left.
    pub fn token_for(&self, token: &str) -> String {
        let (message, _) = token.rsplit_once('.').unwrap_or_default();
        match self.judge(token) {
            Ok(()) => self.signed(message.to_owned(), 0),
            Err(TokenError::Signature) => self.signed(dots(message), 1),
            // 43 of them set a bit that no tag has, so that they are no signature either.
            Err(_) => dots(token),
        }
    }

    /// True when the signature of `token` is right, so that there is a replay token that is good.
    pub fn are_for(&self, token: &str) -> bool {
        self.judge(token).is_ok()
    }

    fn judge(&self, token: &str) -> Result<(), TokenError> {
        let mut decoder = self.decoder.borrow_mut();
        let signed = Parts::split(token, &mut decoder)?.check(&self.keys);
        signed.map(drop)
    }

    /// Puts replay tokens in the places of all tokens in `text` whose signatures are right. What else
    /// looks like a token stays: somebody may go by it.
    pub fn replace_in(&self, text: &mut [u8]) {
        for dot_at in 0..text.len() {
            if text[dot_at] == b'.'
                && let Some((start, token)) = self.find(text, dot_at)
            {
                text[start..start + token.len()].copy_from_slice(token.as_bytes());
            }
        }
    }

    /// The replay token for the token whose signature follows a dot, and where that token begins.
    fn find(&self, text: &[u8], dot_at: usize) -> Option<(usize, String)> {
        let end = dot_at + 1 + TAG_CHARACTERS;
        let signature = text.get(dot_at + 1..end)?;
        let payload_at = part_before(text, dot_at);
        let header_end = payload_at.checked_sub(1).filter(|at| text[*at] == b'.')?;
        let is_form = signature.iter().all(is_part_byte) && payload_at < dot_at;
        let header_at = is_form.then(|| part_before(text, header_end))?;
        let beginnings = (header_at..header_end).filter(|at| begins_header(&text[*at..]));
        let mut beginnings = beginnings.take(BEGINNINGS_MAX);
        beginnings.find_map(|at| {
            let token = str::from_utf8(&text[at..end]).ok()?;
            self.are_for(token).then(|| (at, self.token_for(token)))
        })
    }

    /// A replay token with these bits of its signature changed.
    fn signed(&self, message: String, wrong_bits: u8) -> String {
        let mut tag = self.replay.tag(message.as_bytes()).into_bytes();
        tag[0] ^= wrong_bits;
        message + "." + &URL_SAFE_NO_PAD.encode(tag)
    }
}

/// True when this may be the beginning of a header in base64url: of an object, with white space perhaps.
fn begins_header(text: &[u8]) -> bool {
    let mut decoded = [0; 3];
    let is_decoded = text
        .get(..4)
        .is_some_and(|four| URL_SAFE_NO_PAD.decode_slice(four, &mut decoded).is_ok());
    let [first, second, _] = decoded;
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    is_decoded
        && match first {
            b'{' => second == b'"' || is_space(second),
            space => is_space(space) && (second == b'{' || is_space(second)),
        }
}

/// Where the part of a token begins that ends at `end`.
fn part_before(text: &[u8], end: usize) -> usize {
    let part = text[..end]
        .iter()
        .rev()
        .take_while(|byte| is_part_byte(byte));
    end - part.count()
}

/// RFC 4648 §5.
fn is_part_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(byte)
}

/// What is left of a text that nobody reads.
fn dots(text: &str) -> String {
    let shown = |byte| if byte == b'.' { '.' } else { 'x' };
    text.bytes().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{ClaimRules, Secret, Signer, Verifier};
    use crate::time::UnixSeconds;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn secret(letter: u8) -> Secret {
        Secret::from_bytes(&[letter; 32]).unwrap()
    }

    fn token(letter: u8, subject: &str) -> String {
        let keys = Keys::new(&secret(letter), None);
        let signer = Signer::new(&keys, &ClaimRules::default(), 60);
        signer.mint(subject, NOW).unwrap().token
    }

    fn verdict(keys: Keys, token: &str, now: UnixSeconds) -> Result<String, TokenError> {
        let mut verifier = Verifier::new(keys, ClaimRules::default());
        let verified = verifier.verify(token, now)?;
        Ok(verified.subject().to_owned())
    }

    /// Our tokens, those of another, and tokens spoiled in every way there is.
    fn tokens() -> Vec<String> {
        let (good, foreign) = (token(b'k', "alice"), token(b'f', "alice"));
        let previous = token(b'p', "bob");
        let (signed, signature) = good.rsplit_once('.').unwrap();
        vec![
            format!("{signed}.{signature}="),
            format!("{signed}.{}", &signature[1..]),
            format!("{signed}.{}", signature.to_uppercase()),
            format!("{signed}.{}+", &signature[1..]),
            format!("{signed}.{}z", &signature[1..]),
            format!("{signed}.é{}", &signature[2..]),
            format!("{signed}."),
            format!("{good}.{signature}"),
            signed.to_owned(),
            signature.to_owned(),
            format!(".{signed}"),
            format!("{good}{}", "x".repeat(5_000)),
            format!("e30.{}", good.split_once('.').unwrap().1),
            String::new(),
            "..".to_owned(),
            good,
            previous,
            foreign,
        ]
    }

    #[test]
    fn a_replay_token_is_judged_as_its_token_is() {
        let keys = || Keys::new(&secret(b'k'), Some(&secret(b'p')));
        let replay_tokens = ReplayTokens::new(keys());
        for token in tokens() {
            let replay_token = replay_tokens.token_for(&token);
            assert_eq!(replay_token.len(), token.len(), "{token}");
            for now in [NOW, NOW.plus(60)] {
                let judged = verdict(ReplayTokens::keys(), &replay_token, now);
                assert_eq!(judged, verdict(keys(), &token, now), "{token}");
            }
            let here = verdict(keys(), &replay_token, NOW);
            assert!(here.is_err(), "{token} is worth something still");
            for real in [(b'k', "alice"), (b'p', "bob"), (b'f', "alice")] {
                let real = self::token(real.0, real.1);
                let signature = real.rsplit('.').next().unwrap();
                assert!(!replay_token.contains(&signature[2..40]), "{token}");
            }
        }
    }

    /// Whatever bits the right signature has.
    #[test]
    fn no_replay_token_of_a_forged_token_is_right() {
        let replay_tokens = ReplayTokens::new(Keys::new(&secret(b'k'), None));
        for number in 0..1_000 {
            let replay_token = replay_tokens.token_for(&token(b'f', &number.to_string()));
            let judged = verdict(ReplayTokens::keys(), &replay_token, NOW);
            assert_eq!(judged, Err(TokenError::Signature), "{number}");
        }
    }

    #[test]
    fn good_tokens_are_replaced_wherever_they_stand_and_nothing_else_is() {
        let keys = Keys::new(&secret(b'k'), Some(&secret(b'p')));
        let replay_tokens = ReplayTokens::new(keys);
        let replaced = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            replay_tokens.replace_in(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        let spaced = {
            let claims = token(b'k', "alice").split('.').nth(1).unwrap().to_owned();
            let message = format!(
                "{}.{claims}",
                URL_SAFE_NO_PAD.encode("\n{ \"alg\":\"HS256\"}")
            );
            let tag = Key::new(&[b'k'; 32]).tag(message.as_bytes()).into_bytes();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
        };
        for good in [token(b'k', "alice"), token(b'p', "bob"), spaced] {
            let shown = replay_tokens.token_for(&good);
            assert_ne!(shown, good);
            for around in [
                "TOKEN",
                "/the_token_type_bearer_access_token_value_TOKEN.json",
                r#"["x\nTOKEN","TOKENx",{"TOKEN":0}]"#,
                "eyJ.a.TOKEN.b",
                "..TOKEN..TOKEN",
                "TOKENTOKEN",
                "eeeeeeeeeeeeeeeeeeeeeeeTOKEN",
            ] {
                let seen = replaced(&around.replace("TOKEN", &good));
                assert_eq!(seen, around.replace("TOKEN", &shown), "{around}");
            }
        }
        let foreign = token(b'f', "alice");
        for other in [&*foreign, &foreign[1..], "eyJ.a.b", ".", ""] {
            assert_eq!(replaced(other), other);
        }
    }

    #[test]
    fn a_replay_token_is_its_own_in_a_replay() {
        let replay_tokens = ReplayTokens::new(Keys::new(&secret(b'k'), None));
        let again = ReplayTokens::default();
        for token in tokens() {
            let replay_token = replay_tokens.token_for(&token);
            assert_eq!(again.token_for(&replay_token), replay_token, "{token}");
        }
    }
}
