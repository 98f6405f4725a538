//! Requests that are read and lead nowhere: the one table of what they are answered with.

use std::borrow::Cow;

use crate::wire::response::ResponseField;
use crate::wire::{BodyError, Status};

/// Why a request that is HTTP is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Nothing has this path.
    Path,
    /// The path takes GET and HEAD.
    NotGet,
    /// The path takes POST.
    NotPost,
    /// A body has neither a length nor an end.
    LengthMissing,
    /// A body has a length, and chunks.
    LengthTwice,
    /// The body's transfer coding is another than `chunked`.
    Coding,
    /// The body is announced to be longer than it may be.
    TooLong,
    /// Something is expected of us that we do not know.
    Expectation,
    /// The body is not as it says, or longer than it may be.
    Body(BodyError),
    /// The body is no login.
    NoLogin,
    /// We are stopping, and serve nothing new.
    Stopping,
}

impl Unserved {
    /// The status of the answer.
    pub fn status(self) -> Status {
        match self {
            Unserved::Path => Status::NotFound,
            Unserved::NotGet | Unserved::NotPost => Status::MethodNotAllowed,
            Unserved::LengthMissing => Status::LengthRequired,
            Unserved::LengthTwice | Unserved::Coding | Unserved::NoLogin => Status::BadRequest,
            Unserved::TooLong => Status::ContentTooLarge,
            Unserved::Expectation => Status::ExpectationFailed,
            Unserved::Body(error) => error.status(),
            Unserved::Stopping => Status::ServiceUnavailable,
        }
    }

    /// The fields that the status asks for.
    pub(crate) fn fields(self) -> &'static [ResponseField<'static>] {
        match self {
            // RFC 9110 §15.5.6: a 405 names what the path takes.
            Unserved::NotGet => &[("Allow", &"GET, HEAD")],
            Unserved::NotPost => &[("Allow", &"POST, OPTIONS")],
            Unserved::Stopping => &[("Retry-After", &"1")],
            _ => &[],
        }
    }

    /// The word of this in the log.
    pub fn word(self) -> &'static str {
        match self {
            Unserved::Path => "not_found",
            Unserved::NotGet | Unserved::NotPost => "method_not_allowed",
            Unserved::LengthMissing => "length_required",
            Unserved::LengthTwice => "two_lengths",
            Unserved::Coding => "transfer_coding",
            Unserved::TooLong => "content_too_large",
            Unserved::Expectation => "expectation",
            Unserved::Body(error) => error.word(),
            Unserved::NoLogin => "bad_request",
            Unserved::Stopping => "shutting_down",
        }
    }

    /// What would be right, in one line for the peer.
    pub fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Unserved::Path => "nothing is here: there are GET /ws, POST /login and GET /health",
            Unserved::NotGet => "this path takes GET and HEAD",
            Unserved::NotPost => "this path takes POST",
            Unserved::LengthMissing => {
                "a body needs a Content-Length, or `Transfer-Encoding: chunked`"
            }
            Unserved::LengthTwice => {
                "a body has a Content-Length or `Transfer-Encoding: chunked`, not both"
            }
            Unserved::Coding => {
                "the only transfer coding taken is `chunked`, alone, and in HTTP/1.1"
            }
            Unserved::TooLong => "the body is longer than a login's may be",
            Unserved::Expectation => "only `Expect: 100-continue` is understood",
            Unserved::Body(error) => return Cow::Owned(error.to_string()),
            Unserved::NoLogin => r#"the body must be JSON: {"id":"...","password":"..."}"#,
            Unserved::Stopping => "the server is stopping; come back later",
        })
    }

    /// True when it counts towards a ban: what is no HTTP, and a login that is none. What is
    /// well-formed and not served bans nobody: a balancer's check may be that.
    pub(crate) fn is_hostile(self) -> bool {
        matches!(self, Unserved::Body(BodyError::Chunk) | Unserved::NoLogin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_by_its_status_and_a_line_that_says_what_would_be_right() {
        for (unserved, status) in [
            (Unserved::Path, 404),
            (Unserved::NotGet, 405),
            (Unserved::NotPost, 405),
            (Unserved::LengthMissing, 411),
            (Unserved::LengthTwice, 400),
            (Unserved::Coding, 400),
            (Unserved::TooLong, 413),
            (Unserved::Expectation, 417),
            (Unserved::Body(BodyError::Chunk), 400),
            (Unserved::Body(BodyError::TooLong), 413),
            (Unserved::Body(BodyError::Framing), 413),
            (Unserved::NoLogin, 400),
            (Unserved::Stopping, 503),
        ] {
            assert_eq!(unserved.status().code(), status, "{unserved:?}");
            assert!(unserved.reason().len() > unserved.status().reason().len());
            assert!(!unserved.word().is_empty());
        }
    }
}
