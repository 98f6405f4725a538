//! Close codes, and the payload of a Close frame (RFC 6455 §5.5.1, §7.4).

use std::fmt;

use tungstenite::protocol::frame::coding;

use super::violation::Violation;

/// 1014: a gateway had a bad answer. It was registered later than the RFC (§11.7), and
/// tungstenite does not know it.
const BAD_GATEWAY: u16 = 1014;

/// A code that may stand in a Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server is shutting down.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: RFC 6455 was broken.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: a type of message that is not taken.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: a message that is not what its type says.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// 1008: a bound was passed that has no code of its own.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: a message over the limit.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server cannot keep up; come back later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 3000: the token is missing, bad or too old.
    pub const UNAUTHORIZED: CloseCode = CloseCode(3000);
    /// 3003: the user may not.
    pub const FORBIDDEN: CloseCode = CloseCode(3003);
    /// 3008: no valid token came in time.
    pub const TIMEOUT: CloseCode = CloseCode(3008);

    /// The code as it stands in the frame.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// RFC 6455 §7.4: not those below 1000, nor 1004–1006 and 1015, which must never stand in a
    /// frame, nor those nobody has given a meaning, nor those above 4999.
    pub(super) fn received(code: u16) -> Option<CloseCode> {
        let is_allowed = coding::CloseCode::from(code).is_allowed() || code == BAD_GATEWAY;
        is_allowed.then_some(CloseCode(code))
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Reads the unmasked payload of a Close: its code and reason, or `None` where it is empty.
///
/// # Errors
/// [`Violation::CloseCode`] or [`Violation::CloseReason`].
pub fn parse(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    // §5.5.1: if there is a body, its first two bytes are the code.
    let (code, reason) = payload.split_first_chunk().ok_or(Violation::CloseCode)?;
    let code = CloseCode::received(u16::from_be_bytes(*code)).ok_or(Violation::CloseCode)?;
    let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
    Ok(Some((code, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_codes_with_a_meaning_are_received() {
        let allowed = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            let expected = if allowed(code) {
                Ok(Some((CloseCode(code), "")))
            } else {
                Err(Violation::CloseCode)
            };
            assert_eq!(parse(&code.to_be_bytes()), expected, "{code}");
        }
    }

    #[test]
    fn a_code_is_shown_as_its_number() {
        assert_eq!(CloseCode::NORMAL.to_string(), "1000");
    }

    #[test]
    fn a_close_payload_is_a_code_and_a_reason_or_nothing() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(Violation::CloseCode));
        assert_eq!(parse("\x03\u{0}".as_bytes()), Err(Violation::CloseCode));
        assert_eq!(
            parse(b"\x03\xe8bye \xe2\x82\xac"),
            Ok(Some((CloseCode::NORMAL, "bye €")))
        );
        assert_eq!(parse(b"\x03\xe8bye \xe2\x82"), Err(Violation::CloseReason));
        assert_eq!(parse(b"\x03\xe8\xed\xa0\x80"), Err(Violation::CloseReason));
    }
}
