//! The gate as the bodies ask it, and the keys it holds.

use std::sync::LazyLock;

use super::super::reference::{self, Verdict};
use crate::told::{assert_prints, assert_told};
use framegate::internals::gate::{
    AccountStatus, Admission, Bound, ClaimRules, Denied, Directory, Forbidden, Gate, Keys, Secret,
    TokenError, Unavailable, VerifiedToken,
};
use framegate::internals::json;
use framegate::internals::time::UnixSeconds;

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

/// A password that is sent in a frame beside the token.
const PASSWORD: &str = "correct horse battery staple";

/// What the reference says, with the keys of the gate.
pub(super) fn reference_verdict(token: &str, rules: &ClaimRules, now: UnixSeconds) -> Verdict {
    reference::verdict(token, &[&CURRENT, &PREVIOUS], rules, now.0)
}

/// A gate, and a directory in which everybody stands alike: well, unless a body says otherwise.
pub(super) struct Door {
    gate: Gate,
    people: People,
}

impl Door {
    pub(super) fn new(rules: &ClaimRules) -> Door {
        Door::with(keys(), rules)
    }

    /// A door with other keys.
    pub(super) fn with(keys: Keys, rules: &ClaimRules) -> Door {
        Door {
            gate: Gate::new(keys, rules.clone()),
            people: People {
                standing: Ok(Some(AccountStatus::default())),
                asked: 0,
            },
        }
    }

    /// What the gate says. The directory is asked about whom it lets in, and about nobody else.
    pub(super) fn verdict(&mut self, token: &str, now: UnixSeconds) -> Verdict {
        let asked_before = self.people.asked;
        let outcome = self.gate.admit_token(token, None, &mut self.people, now);
        let verdict = verdict(outcome.as_ref());
        let is_accepted = matches!(verdict, Verdict::Accepted { .. });
        assert_eq!(self.people.asked - asked_before, u64::from(is_accepted));
        verdict
    }

    /// Why the gate rejects `token`, if it does.
    pub(super) fn rejection(&mut self, token: &str, now: UnixSeconds) -> Option<TokenError> {
        match self.gate.admit_token(token, None, &mut self.people, now) {
            Err(Denied::TokenRejected(error)) => Some(error),
            _ => None,
        }
    }

    /// In a frame a token is worth what it is worth alone, and nothing that comes of the frame
    /// shows the token or the password beside it.
    pub(super) fn assert_framed(&mut self, token: &str, now: UnixSeconds, alone: &Verdict) {
        let mut frame = br#"{"event":"getUser","data":"#.to_vec();
        json::push_string(&mut frame, PASSWORD);
        frame.extend_from_slice(br#","token":"#);
        json::push_string(&mut frame, token);
        frame.push(b'}');
        let frame = String::from_utf8(frame).unwrap_or_default();
        let framed = match self.gate.admit(&frame, None, &mut self.people, now) {
            Ok(Admission::Admitted(admitted)) => {
                let subject = admitted.subject();
                let shown = format!(r#"Admitted {{ subject: {subject:?}, event: "getUser", .. }}"#);
                assert_prints(&admitted, &shown);
                verdict(Ok(admitted.pass()))
            }
            Ok(Admission::Login(_)) => verdict(Err(&Denied::TokenMissing)),
            Err(denial) => {
                let (cause, event) = (denial.cause, Some("getUser"));
                let shown = format!("Denial {{ cause: {cause:?}, id: None, event: {event:?} }}");
                assert_prints(&denial, &shown);
                assert_told(cause.word(), &cause);
                verdict(Err(&denial.cause))
            }
        };
        assert_eq!(framed, *alone);
    }

    /// A good token lets its user in who stands well and was not revoked since, on a connection
    /// that is nobody else's; and nobody of whom that cannot be told.
    pub(super) fn assert_standing(&mut self, token: &str, now: UnixSeconds, whose: (&str, u64)) {
        let (subject, issued_at) = whose;
        let standing = |disabled, from: Option<u64>| AccountStatus {
            disabled,
            tokens_valid_from: from.map(UnixSeconds),
        };
        let unknown = Denied::Forbidden(Forbidden::UnknownUser);
        let disabled = Denied::Forbidden(Forbidden::DisabledUser);
        for (standing, cause) in [
            (Ok(Some(standing(false, Some(issued_at)))), None),
            (
                Ok(Some(standing(false, Some(issued_at + 1)))),
                Some(Denied::TokenRevoked),
            ),
            (Ok(Some(standing(true, None))), Some(disabled)),
            (Ok(None), Some(unknown)),
            (Err(Unavailable), Some(Denied::Unavailable)),
        ] {
            self.people.standing = standing;
            assert_eq!(self.cause(token, None, now), cause);
            let asked_before = self.people.asked;
            let other = Denied::Forbidden(Forbidden::OtherSubject);
            if let Ok(Some(standing)) = standing {
                let bound = |subject| Some(Bound { subject, standing });
                assert_eq!(self.cause(token, bound(subject), now), cause);
                assert_eq!(self.cause(token, bound(""), now), Some(other));
            }
            assert_eq!(self.people.asked, asked_before);
        }
        assert_eq!(unknown.to_string(), disabled.to_string());
        assert_told("unavailable", &Unavailable);
    }

    /// Why the bearer may not come in on the connection of `bound`.
    fn cause(&mut self, token: &str, bound: Option<Bound<'_>>, now: UnixSeconds) -> Option<Denied> {
        let outcome = self.gate.admit_token(token, bound, &mut self.people, now);
        let cause = outcome.err();
        if let Some(cause) = cause {
            assert_told(cause.word(), &cause);
        }
        cause
    }

    pub(super) fn verifications(&self) -> u64 {
        self.gate.verifications()
    }
}

fn verdict(outcome: Result<&VerifiedToken<'_>, &Denied>) -> Verdict {
    match outcome {
        Ok(pass) => Verdict::Accepted {
            subject: pass.subject().to_owned(),
            issued_at: pass.issued_at().0,
            expires_at: pass.expires_at().0,
        },
        Err(cause) => {
            assert_told(cause.word(), cause);
            match cause {
                Denied::TokenExpired => return Verdict::Expired,
                Denied::TokenRejected(error) => assert_told(error.word(), error),
                cause => assert_eq!(*cause, Denied::TokenExpired),
            }
            Verdict::Refused
        }
    }
}

/// The keys of the gate.
pub(super) fn keys() -> Keys {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| keys_of(&CURRENT, Some(&PREVIOUS)));
    KEYS.clone()
}

#[expect(clippy::expect_used, reason = "a harness may panic, and these are fit")]
pub(super) fn keys_of(current: &[u8], previous: Option<&[u8]>) -> Keys {
    let secret = |bytes: &[u8]| Secret::from_bytes(bytes).expect("a secret");
    Keys::new(&secret(current), previous.map(secret).as_ref())
}

struct People {
    standing: Result<Option<AccountStatus>, Unavailable>,
    asked: u64,
}

impl Directory for People {
    fn standing(&mut self, _: &str) -> Result<Option<AccountStatus>, Unavailable> {
        self.asked += 1;
        self.standing
    }
}
