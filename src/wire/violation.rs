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
            Violation::TooBig => "the message is too big",
            Violation::Binary => "binary messages are not taken: send text",
            Violation::Text => "the text message is not UTF-8",
            Violation::CloseCode => "the Close frame's code is not one to be sent",
            Violation::CloseReason => "the Close frame's reason is not UTF-8",
        })
    }
}

impl std::error::Error for Violation {}
