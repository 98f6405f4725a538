//! What may become of a token.

/// What may become of a token, or of a login: a set, since for 50 ms after a commit the server
/// may go by what was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes(u8);

impl Outcomes {
    pub(super) const PASSES: Outcomes = Outcomes(1);
    pub(super) const UNAUTHORIZED: Outcomes = Outcomes(2);
    pub(super) const EXPIRED: Outcomes = Outcomes(4);
    pub(super) const REVOKED: Outcomes = Outcomes(8);
    pub(super) const FORBIDDEN: Outcomes = Outcomes(16);
    pub(super) const UNAVAILABLE: Outcomes = Outcomes(32);

    pub(super) fn or(self, other: Outcomes) -> Outcomes {
        Outcomes(self.0 | other.0)
    }

    pub(super) fn allow(self, other: Outcomes) -> bool {
        self.0 & other.0 != 0
    }

    /// The outcome with this error code, if a token can come to it.
    pub(super) fn of_code(code: &str) -> Outcomes {
        match code {
            "unauthorized" => Outcomes::UNAUTHORIZED,
            "token_expired" => Outcomes::EXPIRED,
            "token_revoked" => Outcomes::REVOKED,
            "forbidden" => Outcomes::FORBIDDEN,
            "unavailable" => Outcomes::UNAVAILABLE,
            _ => Outcomes(0),
        }
    }
}
