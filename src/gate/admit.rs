//! The one door. What passes it is a value with private fields, made in this file only and
//! only after a verified token; every handler asks for that value, so none can run without.

use std::borrow::Cow;
use std::fmt;

use super::envelope::{Envelope, FrameError};
use super::secret::Keys;
use super::token::{ClaimRules, TokenError, Verified, Verifier};
use crate::time::UnixSeconds;

/// The one event that needs no token, since it is how one gets a token.
pub const LOGIN: &str = "login";

/// What the gate asks of the one who knows the users.
pub trait Directory {
    /// How `subject` stands now, `None` when there is no such user.
    ///
    /// # Errors
    ///
    /// When it cannot be told; then nobody is let in.
    fn standing(&mut self, subject: &str) -> Result<Option<Standing>, Unavailable>;
}

/// How a user stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The user may not come in.
    pub disabled: bool,
    /// Tokens issued before this second are void.
    pub tokens_valid_from: Option<UnixSeconds>,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The subject of its first token.
    pub subject: &'a str,
    /// How that user stands now. The users are not asked again.
    pub standing: Standing,
}

/// The users cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the user store does not answer")
    }
}

impl std::error::Error for Unavailable {}

/// The door and its keys. What it admits borrows from it, so at most one frame is inside.
pub struct Gate {
    verifier: Verifier,
}

impl Gate {
    /// A gate over `keys` that holds tokens to `rules`.
    pub fn new(keys: Keys, rules: ClaimRules) -> Gate {
        Gate {
            verifier: Verifier::new(keys, rules),
        }
    }

    /// How many tokens had their MAC checked since the start, whatever came of it.
    pub fn verifications(&self) -> u64 {
        self.verifier.verifications()
    }

    /// Judges the text of one client frame, at the time `now`. `bound` is whose the connection is
    /// on which it came, where it is somebody's.
    ///
    /// # Errors
    ///
    /// A [`Denial`], when the frame may not be acted on.
    pub fn admit<'f>(
        &'f mut self,
        text: &'f str,
        bound: Option<Bound<'_>>,
        directory: &mut dyn Directory,
        now: UnixSeconds,
    ) -> Result<Passage<'f>, Denial<'f>> {
        let Envelope {
            token,
            event,
            id,
            to,
            data,
        } = Envelope::parse(text)?;
        if event == LOGIN {
            return Ok(Passage::Login(LoginFrame { id, data }));
        }
        let pass = match token {
            Some(token) => self.admit_token(&token, bound, directory, now),
            None => Err(Cause::TokenMissing),
        };
        match pass {
            Ok(pass) => Ok(Passage::Admitted(Admitted {
                pass,
                event,
                id,
                to,
                data,
            })),
            Err(cause) => Err(Denial {
                cause,
                id,
                event: Some(event),
            }),
        }
    }

    /// Judges a token that came without a frame, as in a handshake.
    ///
    /// # Errors
    ///
    /// The [`Cause`], when its bearer may not come in.
    pub fn admit_token(
        &mut self,
        token: &str,
        bound: Option<Bound<'_>>,
        directory: &mut dyn Directory,
        now: UnixSeconds,
    ) -> Result<Pass<'_>, Cause> {
        let verified = self.verifier.verify(token, now)?;
        let standing = match bound {
            Some(bound) if bound.subject != verified.subject() => {
                return Err(Cause::Forbidden(Forbidden::OtherSubject));
            }
            Some(bound) => Ok(Some(bound.standing)),
            None => directory.standing(verified.subject()),
        };
        let standing = check_standing(standing, verified.issued_at())?;
        Ok(Pass { verified, standing })
    }
}

/// Judges a user as the door does, without a frame: for the connections that only listen. Gives back
/// how the user stands.
///
/// # Errors
///
/// The [`Cause`], when a token issued at `issued_at` would let nobody in now.
pub fn check_standing(
    standing: Result<Option<Standing>, Unavailable>,
    issued_at: UnixSeconds,
) -> Result<Standing, Cause> {
    match standing {
        Err(Unavailable) => Err(Cause::Unavailable),
        Ok(None) => Err(Cause::Forbidden(Forbidden::UnknownUser)),
        Ok(Some(Standing { disabled: true, .. })) => Err(Cause::Forbidden(Forbidden::DisabledUser)),
        Ok(Some(Standing {
            tokens_valid_from: Some(from),
            ..
        })) if issued_at < from => Err(Cause::TokenRevoked),
        Ok(Some(standing)) => Ok(standing),
    }
}

/// What the gate lets by.
pub enum Passage<'f> {
    /// A frame that may be acted on.
    Admitted(Admitted<'f>),
    /// A login, which proves nothing yet; a token in it was not looked at.
    Login(LoginFrame<'f>),
}

/// The right to act for a user: a token that was verified, of a user in good standing.
///
/// Only the gate makes one:
///
/// ```compile_fail,E0451
/// fn forge(verified: framegate::gate::Verified<'_>) -> framegate::gate::Pass<'_> {
///     framegate::gate::Pass { verified, standing: Default::default() }
/// }
/// ```
#[derive(Debug)]
pub struct Pass<'a> {
    verified: Verified<'a>,
    standing: Standing,
}

impl Pass<'_> {
    /// Whose token it is.
    pub fn subject(&self) -> &str {
        self.verified.subject()
    }

    /// When it was issued; the beginning of time when it does not say.
    pub fn issued_at(&self) -> UnixSeconds {
        self.verified.issued_at()
    }

    /// The first second in which it is void.
    pub fn expires_at(&self) -> UnixSeconds {
        self.verified.expires_at()
    }

    /// How the user stood when it was let in.
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

/// A frame that may be acted on, and the right to do so.
///
/// Only the gate makes one:
///
/// ```compile_fail,E0451
/// fn forge(pass: framegate::gate::Pass<'_>) -> framegate::gate::Admitted<'_> {
///     framegate::gate::Admitted { pass, event: "getUser".into(), id: None, to: None, data: None }
/// }
/// ```
pub struct Admitted<'f> {
    pass: Pass<'f>,
    event: Cow<'f, str>,
    id: Option<&'f str>,
    to: Option<Cow<'f, str>>,
    data: Option<&'f str>,
}

impl<'f> Admitted<'f> {
    /// Whose frame it is.
    pub fn subject(&self) -> &str {
        self.pass.subject()
    }

    /// The right it came with.
    pub fn pass(&self) -> &Pass<'f> {
        &self.pass
    }

    /// What is to be done.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The frame's `id` as JSON, to be echoed as it is.
    pub fn id(&self) -> Option<&'f str> {
        self.id
    }

    /// The user the event is for.
    pub fn to(&self) -> Option<&str> {
        self.to.as_deref()
    }

    /// The event's data as JSON: well-formed, nested within bounds, and not yet interpreted.
    pub fn data(&self) -> Option<&'f str> {
        self.data
    }
}

impl fmt::Debug for Admitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Data is left out: a password may be in it.
        let mut out = f.debug_struct("Admitted");
        out.field("subject", &self.subject())
            .field("event", &self.event);
        out.finish_non_exhaustive()
    }
}

/// A frame that asks for a token. It has no `Debug`, for its data holds a password.
pub struct LoginFrame<'f> {
    id: Option<&'f str>,
    data: Option<&'f str>,
}

impl<'f> LoginFrame<'f> {
    /// The frame's `id` as JSON, to be echoed as it is.
    pub fn id(&self) -> Option<&'f str> {
        self.id
    }

    /// The login's data as JSON.
    pub fn data(&self) -> Option<&'f str> {
        self.data
    }
}

/// A frame that may not be acted on: why, and what of it may be named in the answer.
#[derive(Debug)]
pub struct Denial<'f> {
    /// Why.
    pub cause: Cause,
    /// The frame's `id` as JSON, where the frame could be read.
    pub id: Option<&'f str>,
    /// The frame's event, where the frame could be read: the peer's word, of any length.
    pub event: Option<Cow<'f, str>>,
}

impl From<FrameError> for Denial<'_> {
    fn from(error: FrameError) -> Self {
        Denial {
            cause: Cause::BadFrame(error),
            id: None,
            event: None,
        }
    }
}

/// Why nobody gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The frame's text is not a client frame.
    BadFrame(FrameError),
    /// A frame other than `login` without a token.
    TokenMissing,
    /// The token is not to be trusted; the peer is told no more than that.
    TokenRejected(TokenError),
    /// The token was good until its time was over.
    TokenExpired,
    /// The token was issued before its user's tokens were revoked.
    TokenRevoked,
    /// The token is good, its user is not.
    Forbidden(Forbidden),
    /// Whether the user is good cannot be told.
    Unavailable,
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Cause {
        match error {
            TokenError::Expired => Cause::TokenExpired,
            error => Cause::TokenRejected(error),
        }
    }
}

impl Cause {
    /// The cause in a word, for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Cause::BadFrame(_) => "bad_frame",
            Cause::TokenMissing => "token_missing",
            Cause::TokenRejected(error) => error.word(),
            Cause::TokenExpired => "token_expired",
            Cause::TokenRevoked => "token_revoked",
            Cause::Forbidden(Forbidden::OtherSubject) => "other_subject",
            Cause::Forbidden(Forbidden::UnknownUser) => "unknown_user",
            Cause::Forbidden(Forbidden::DisabledUser) => "disabled_user",
            Cause::Unavailable => "unavailable",
        }
    }

    /// What the peer is told, in one line; our logs have the [`word`](Cause::word).
    pub fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Cause::BadFrame(error) => return Cow::Owned(error.to_string()),
            Cause::TokenMissing => "token missing",
            Cause::TokenRejected(_) => "token rejected",
            Cause::TokenExpired => "token expired",
            Cause::TokenRevoked => "token revoked",
            Cause::Forbidden(Forbidden::OtherSubject) => "the connection is another user's",
            Cause::Forbidden(Forbidden::UnknownUser | Forbidden::DisabledUser) => {
                "user unknown or disabled"
            }
            Cause::Unavailable => "users cannot be confirmed now; try again later",
        })
    }
}

/// What the peer is told, as [`reason`](Cause::reason).
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

impl std::error::Error for Cause {}

/// Why a good token does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The connection is bound to another subject.
    OtherSubject,
    /// There is no such user.
    UnknownUser,
    /// The user is disabled.
    DisabledUser,
}

#[cfg(test)]
mod tests;
