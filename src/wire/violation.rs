//! How a peer breaks RFC 6455 or a bound of ours, and the close code each is answered with.

use std::fmt;

use super::close::CloseCode;

/// What was wrong with a frame or a message, all of it the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set, though no extension was agreed on (§5.2).
    ReservedBit,
    /// The opcode is a reserved one (§5.2).
    ReservedOpcode,
    /// The frame is not masked (§5.1).
    Unmasked,
    /// A control frame is fragmented (§5.5).
    ControlFragmented,
    /// A control frame's payload is longer than 125 bytes (§5.5).
    ControlTooLong,
    /// The length is not in its shortest form, or its top bit is set (§5.2).
    Length,
    /// A continuation continues nothing (§5.4).
    NothingToContinue,
    /// A message begins inside another (§5.4).
    InsideMessage,
    /// The message has more fragments than the rules allow.
    TooManyFragments,
    /// The message is longer than the rules allow.
    TooBig,
    /// A binary message, where only text is taken.
    Binary,
    /// A text message is not UTF-8 (§8.1).
    Text,
    /// A Close's payload is one byte, or its code is not one to be sent (§5.5.1, §7.4).
    CloseCode,
    /// A Close's reason is not UTF-8 (§5.5.1).
    CloseReason,
}

impl Violation {
    /// The code of the Close it is answered with (RFC 6455 §7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Violation::TooManyFragments => CloseCode::POLICY_VIOLATION,
            Violation::TooBig => CloseCode::TOO_BIG,
            Violation::Binary => CloseCode::UNSUPPORTED_DATA,
            Violation::Text | Violation::CloseReason => CloseCode::INVALID_PAYLOAD,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Violation::ReservedBit => "reserved_bit",
            Violation::ReservedOpcode => "reserved_opcode",
            Violation::Unmasked => "unmasked",
            Violation::ControlFragmented => "control_fragmented",
            Violation::ControlTooLong => "control_too_long",
            Violation::Length => "frame_length",
            Violation::NothingToContinue => "nothing_to_continue",
            Violation::InsideMessage => "inside_message",
            Violation::TooManyFragments => "too_many_fragments",
            Violation::TooBig => "too_big",
            Violation::Binary => "binary",
            Violation::Text => "text_not_utf8",
            Violation::CloseCode => "close_code",
            Violation::CloseReason => "close_reason_not_utf8",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Violation::ReservedBit => "a reserved bit is set, and no extension was agreed on",
            Violation::ReservedOpcode => "the frame's opcode is reserved",
            Violation::Unmasked => "the frame is not masked: a client masks every frame",
            Violation::ControlFragmented => "a control frame must not be fragmented",
            Violation::ControlTooLong => "a control frame carries at most 125 bytes",
            Violation::Length => "the frame's length is not in its shortest form",
            Violation::NothingToContinue => {
                "a continuation frame came, but no message is under way"
            }
            Violation::InsideMessage => "a message began before the last one ended",
            Violation::TooManyFragments => "the message is cut into too many fragments",
            Violation::TooBig => "the message is longer than MAX_MESSAGE, or, before a first token, than MAX_MESSAGE_BEFORE_LOGIN",
            Violation::Binary => "binary messages are not taken: send text",
            Violation::Text => "the text message is not UTF-8",
            Violation::CloseCode => "the Close frame's code is not one to be sent",
            Violation::CloseReason => "the Close frame's reason is not UTF-8",
        })
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_violation_has_its_code_and_a_word_and_a_line_of_its_own() {
        let rows = [
            (Violation::ReservedBit, 1002),
            (Violation::ReservedOpcode, 1002),
            (Violation::Unmasked, 1002),
            (Violation::ControlFragmented, 1002),
            (Violation::ControlTooLong, 1002),
            (Violation::Length, 1002),
            (Violation::NothingToContinue, 1002),
            (Violation::InsideMessage, 1002),
            (Violation::TooManyFragments, 1008),
            (Violation::TooBig, 1009),
            (Violation::Binary, 1003),
            (Violation::Text, 1007),
            (Violation::CloseCode, 1002),
            (Violation::CloseReason, 1007),
        ];
        for (violation, code) in rows {
            assert_eq!(violation.close_code().value(), code, "{violation}");
            assert!(!violation.to_string().is_empty());
        }
        let words: BTreeSet<_> = rows.map(|(violation, _)| violation.word()).into();
        let lines: BTreeSet<_> = rows.map(|(violation, _)| violation.to_string()).into();
        assert_eq!((words.len(), lines.len()), (rows.len(), rows.len()));
    }
}
