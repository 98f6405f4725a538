//! The gate as the bodies ask it, and the keys it holds.

use super::super::reference::{self, Verdict};
use super::super::told::assert_told;
use crate::gate::{
    Cause, ClaimRules, Directory, Gate, Keys, Secret, Standing, TokenError, Unavailable,
};
use crate::time::UnixSeconds;

/// The key of RFC 7515 appendix A.1, with which the gate signs: as long as a block of SHA-256.
pub(super) const CURRENT: [u8; 64] = [
    3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123, 166, 143, 90, 179, 40, 230, 240,
    84, 201, 40, 169, 15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71, 239, 150, 138,
    180, 195, 119, 98, 61, 34, 61, 46, 33, 114, 5, 46, 79, 8, 192, 205, 154, 245, 103, 208, 128,
    163,
];
/// The key of RFC 4231 §4.7: longer than a block.
pub(super) const PREVIOUS: [u8; 131] = [0xaa; 131];
/// A key the gate does not hold.
pub(super) const FOREIGN: [u8; 32] = [b'f'; 32];

/// What the reference says, with the keys of the gate.
pub(super) fn reference_verdict(token: &str, rules: &ClaimRules, now: UnixSeconds) -> Verdict {
    reference::verdict(token, &[&CURRENT, &PREVIOUS], rules, now.0)
}

/// A gate, and a directory in which everybody stands well.
pub(super) struct Door {
    gate: Gate,
    everybody: Everybody,
}

impl Door {
    pub(super) fn new(rules: &ClaimRules) -> Door {
        Door::of(keys(), rules)
    }

    pub(super) fn of(keys: Keys, rules: &ClaimRules) -> Door {
        Door {
            gate: Gate::new(keys, rules.clone()),
            everybody: Everybody { asked: 0 },
        }
    }

    /// What the gate says. The directory is asked about whom it lets in, and about nobody else.
    pub(super) fn verdict(&mut self, token: &str, now: UnixSeconds) -> Verdict {
        let asked_before = self.everybody.asked;
        let verdict = match self.gate.admit_token(token, None, &mut self.everybody, now) {
            Ok(pass) => Verdict::Accepted {
                subject: pass.subject().to_owned(),
                issued_at: pass.issued_at().0,
                expires_at: pass.expires_at().0,
            },
            Err(Cause::TokenExpired) => Verdict::Expired,
            Err(cause) => {
                assert_told(cause.word(), &cause);
                assert!(matches!(cause, Cause::TokenRejected(_)), "{cause:?}");
                Verdict::Refused
            }
        };
        let is_accepted = matches!(verdict, Verdict::Accepted { .. });
        assert_eq!(self.everybody.asked - asked_before, u64::from(is_accepted));
        verdict
    }

    /// Why the gate rejects `token`, if it does.
    pub(super) fn rejection(&mut self, token: &str, now: UnixSeconds) -> Option<TokenError> {
        match self.gate.admit_token(token, None, &mut self.everybody, now) {
            Err(Cause::TokenRejected(error)) => {
                assert_told(error.word(), &error);
                Some(error)
            }
            _ => None,
        }
    }

    pub(super) fn verifications(&self) -> u64 {
        self.gate.verifications()
    }
}

#[expect(clippy::expect_used, reason = "a harness may panic, and these are fit")]
pub(super) fn keys() -> Keys {
    let secret = |bytes: &[u8]| Secret::from_bytes(bytes).expect("a secret");
    Keys::new(&secret(&CURRENT), Some(&secret(&PREVIOUS)))
}

struct Everybody {
    asked: u64,
}

impl Directory for Everybody {
    fn standing(&mut self, _: &str) -> Result<Option<Standing>, Unavailable> {
        self.asked += 1;
        Ok(Some(Standing::default()))
    }
}
