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
    fn standing(&mut self, subject: &str) -> Result<Option<AccountStatus>, Unavailable>;
}

/// How a user stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStatus {
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
    pub standing: AccountStatus,
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
    ) -> Result<Admission<'f>, Denial<'f>> {
        let Envelope {
            token,
            event,
            id,
            to,
            data,
        } = Envelope::parse(text)?;
        if event == LOGIN {
            return Ok(Admission::Login(LoginFrame { id, data }));
        }
        let pass = match token {
            Some(token) => self.admit_token(&token, bound, directory, now),
            None => Err(Denied::TokenMissing),
        };
        match pass {
            Ok(pass) => Ok(Admission::Admitted(Admitted {
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
    /// The [`Denied`], when its bearer may not come in.
    // Inlined: what it returns does not fit registers, and to copy it on took a frame of sixteen from
    // 455 to 488 ns (`make micro`).
    #[inline(always)]
    pub fn admit_token(
        &mut self,
        token: &str,
        bound: Option<Bound<'_>>,
        directory: &mut dyn Directory,
        now: UnixSeconds,
    ) -> Result<VerifiedToken<'_>, Denied> {
        let verified = self.verifier.verify(token, now)?;
        let standing = match bound {
            Some(bound) if bound.subject != verified.subject() => {
                return Err(Denied::Forbidden(Forbidden::OtherSubject));
            }
            Some(bound) => Ok(Some(bound.standing)),
            None => directory.standing(verified.subject()),
        };
        let standing = check_account_status(standing, verified.issued_at())?;
        Ok(VerifiedToken { verified, standing })
    }
}

/// Judges a user as the door does, without a frame: for the connections that only listen. Gives back
/// how the user stands.
///
/// # Errors
///
/// The [`Denied`], when a token issued at `issued_at` would let nobody in now.
pub fn check_account_status(
    standing: Result<Option<AccountStatus>, Unavailable>,
    issued_at: UnixSeconds,
) -> Result<AccountStatus, Denied> {
    match standing {
        Err(Unavailable) => Err(Denied::Unavailable),
        Ok(None) => Err(Denied::Forbidden(Forbidden::UnknownUser)),
        Ok(Some(AccountStatus { disabled: true, .. })) => {
            Err(Denied::Forbidden(Forbidden::DisabledUser))
        }
        Ok(Some(AccountStatus {
            tokens_valid_from: Some(from),
            ..
        })) if issued_at < from => Err(Denied::TokenRevoked),
        Ok(Some(standing)) => Ok(standing),
    }
}

/// What the gate lets by.
pub enum Admission<'f> {
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
pub struct VerifiedToken<'a> {
    verified: Verified<'a>,
    standing: AccountStatus,
}

impl VerifiedToken<'_> {
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
    pub fn standing(&self) -> AccountStatus {
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
    pass: VerifiedToken<'f>,
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
    pub fn pass(&self) -> &VerifiedToken<'f> {
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
    pub cause: Denied,
    /// The frame's `id` as JSON, where the frame could be read.
    pub id: Option<&'f str>,
    /// The frame's event, where the frame could be read: the peer's word, of any length.
    pub event: Option<Cow<'f, str>>,
}

impl From<FrameError> for Denial<'_> {
    fn from(error: FrameError) -> Self {
        Denial {
            cause: Denied::BadFrame(error),
            id: None,
            event: None,
        }
    }
}

/// Why nobody gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
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

impl From<TokenError> for Denied {
    fn from(error: TokenError) -> Denied {
        match error {
            TokenError::Expired => Denied::TokenExpired,
            error => Denied::TokenRejected(error),
        }
    }
}

impl Denied {
    /// The cause in a word, for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Denied::BadFrame(_) => "bad_frame",
            Denied::TokenMissing => "token_missing",
            Denied::TokenRejected(error) => error.word(),
            Denied::TokenExpired => "token_expired",
            Denied::TokenRevoked => "token_revoked",
            Denied::Forbidden(Forbidden::OtherSubject) => "other_subject",
            Denied::Forbidden(Forbidden::UnknownUser) => "unknown_user",
            Denied::Forbidden(Forbidden::DisabledUser) => "disabled_user",
            Denied::Unavailable => "unavailable",
        }
    }

    /// What the peer is told, in one line; our logs have the [`word`](Denied::word).
    pub fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Denied::BadFrame(error) => return Cow::Owned(error.to_string()),
            Denied::TokenMissing => "token missing",
            Denied::TokenRejected(_) => "token rejected",
            Denied::TokenExpired => "token expired",
            Denied::TokenRevoked => "token revoked",
            Denied::Forbidden(Forbidden::OtherSubject) => "the connection is another user's",
            Denied::Forbidden(Forbidden::UnknownUser | Forbidden::DisabledUser) => {
                "user unknown or disabled"
            }
            Denied::Unavailable => "users cannot be confirmed now; try again later",
        })
    }
}

/// What the peer is told, as [`reason`](Denied::reason).
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

impl std::error::Error for Denied {}

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
