//! Stand-ins for tokens: what a recording holds in their place. They are judged as the tokens
//! are, by a gate that has the keys of a replay, and let nobody in anywhere else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jws::{Decoder, Parts};
use super::key::Key;
use super::secret::Keys;
use super::token::TokenError;

/// The secret of every replay. It is public on purpose: nobody is to sign with it but a
/// recording.
const REPLAY_SECRET: &[u8] = b"the secret of framegate's recordings is no secret at all";

/// Makes stand-ins for the tokens of one server.
pub struct StandIns {
    keys: Keys,
    replay: Key,
}

impl StandIns {
    /// For the tokens that `keys` verify.
    pub fn new(keys: Keys) -> StandIns {
        let replay = Key::new(REPLAY_SECRET);
        StandIns { keys, replay }
    }

    /// The keys under which a stand-in is what its token was.
    pub fn replay_keys() -> Keys {
        Keys::of(Key::new(REPLAY_SECRET))
    }

    /// The stand-in for `token`, as long as that in bytes. Header and claims stay, the
    /// signature never does: where it was right it is right under the keys of a replay, else it
    /// is wrong there in the same way. Of what is no token at all, its dots are left.
    pub fn stand_in(&self, token: &str) -> String {
        let (message, signature) = token.rsplit_once('.').unwrap_or_default();
        let mut tag = self.replay.tag(message.as_bytes()).into_bytes();
        match Parts::split(token, &mut Decoder::new()).and_then(|parts| parts.check(&self.keys)) {
            Ok(_) => format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)),
            Err(TokenError::Signature) => {
                tag[0] ^= 1;
                format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
            }
            // 43 of them set a bit that no tag has, so that they are none either.
            Err(TokenError::SignatureForm) => format!("{message}.{}", "x".repeat(signature.len())),
            Err(_) => token
                .bytes()
                .map(|byte| if byte == b'.' { '.' } else { 'x' })
                .collect(),
        }
    }
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
    fn a_stand_in_is_judged_as_its_token_is() {
        let keys = || Keys::new(&secret(b'k'), Some(&secret(b'p')));
        let stand_ins = StandIns::new(keys());
        for token in tokens() {
            let stand_in = stand_ins.stand_in(&token);
            assert_eq!(stand_in.len(), token.len(), "{token}");
            for now in [NOW, NOW.plus(60)] {
                let judged = verdict(StandIns::replay_keys(), &stand_in, now);
                assert_eq!(judged, verdict(keys(), &token, now), "{token}");
            }
            let here = verdict(keys(), &stand_in, NOW);
            assert!(here.is_err(), "{token} is worth something still");
            for real in [(b'k', "alice"), (b'p', "bob"), (b'f', "alice")] {
                let real = self::token(real.0, real.1);
                let signature = real.rsplit('.').next().unwrap();
                assert!(!stand_in.contains(&signature[2..40]), "{token}");
            }
        }
    }

    /// Whatever bits the right signature has.
    #[test]
    fn no_stand_in_of_a_forged_token_is_right() {
        let stand_ins = StandIns::new(Keys::new(&secret(b'k'), None));
        for number in 0..1_000 {
            let stand_in = stand_ins.stand_in(&token(b'f', &number.to_string()));
            let judged = verdict(StandIns::replay_keys(), &stand_in, NOW);
            assert_eq!(judged, Err(TokenError::Signature), "{number}");
        }
    }

    #[test]
    fn a_stand_in_stands_for_itself_in_a_replay() {
        let stand_ins = StandIns::new(Keys::new(&secret(b'k'), None));
        let again = StandIns::new(StandIns::replay_keys());
        for token in tokens() {
            let stand_in = stand_ins.stand_in(&token);
            assert_eq!(again.stand_in(&stand_in), stand_in, "{token}");
        }
    }
}
