//! What events mean: a registry of them, the users they are about, and how passwords are kept.
//! Refuses to know frames, the insides of tokens, and sockets.
//!
//! A handler runs on an [`Admitted`], which only the gate can mint, and acts on the world through
//! a [`Host`], which the server is.

mod events;
pub mod password;
pub mod users;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::gate::{self, Admitted, LoginFrame, Minted, VerifiedToken};
use users::{CachedUser, StoreError};

pub use events::login::{Credentials, write_session};

/// Appends a whole number, as JSON writes it.
pub(crate) fn push_integer(json: &mut Vec<u8>, number: u64) {
    // A Vec takes every byte: this cannot fail.
    let _ = serde_json::to_writer(json, &number);
}

/// What an event may ask of the server.
pub trait Host {
    /// The user called `id`.
    ///
    /// # Errors
    /// When the store cannot say.
    fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError>;

    /// True when `id` has a logged-in connection.
    fn is_online(&self, id: &str) -> bool;

    /// A fresh token for the user whose frame this is, dated so that no revocation until now voids
    /// it.
    ///
    /// # Errors
    /// When the store cannot say who that is, or would not let the frame in any longer.
    fn mint(&mut self, pass: &VerifiedToken<'_>) -> Result<Minted, Fault>;

    /// Voids every token of the user whose frame this is that was issued until now, and closes the
    /// connections that live by one. The one that asked is answered when that is kept for good.
    ///
    /// # Errors
    /// When too many wait for that; then nothing has changed.
    fn revoke(&mut self, pass: &VerifiedToken<'_>) -> Result<(), Fault>;

    /// Sends one Text message, written by `write`, to each connection of the audience, and says to how
    /// many; one of everybody that proves too slow a reader when its turn comes is counted.
    ///
    /// # Errors
    /// [`Fault::MessageRate`] when the user whose frame this is has sent too much; nothing was sent.
    fn send(
        &mut self,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault>;

    /// Has a password checked behind the loop's back; the answer follows in its own time.
    ///
    /// # Errors
    /// When too many are asked for: nothing was begun.
    fn check_password(&mut self, credentials: Credentials) -> Result<(), Fault>;
}

/// To whom a message goes. Only logged-in connections are in any audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Everybody, the one who asked included.
    Everyone,
    /// The connections of one user.
    User(&'a str),
}

/// What becomes of an event that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the handler wrote is the answer's `data`.
    Answer,
    /// No answer is due, or it comes later.
    Silent,
}

/// What went wrong, in words for the sender of the frame. The connection lives on where it is
/// not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No handler of this name.
    UnknownEvent,
    /// The event's `data` is not what the event takes; what it takes.
    BadData(&'static str),
    /// There is no user of that id.
    NotFound,
    /// The id or the password is wrong; which of them is not told.
    LoginFailed,
    /// Too many logins from this address or for this id.
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// The user's messages are too many, too large, or go to too many.
    MessageRate {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many passwords wait to be checked.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// A login as somebody else than the connection is bound to. Ends the connection.
    OtherUser,
    /// The frame's token would not be let in any longer. Ends the connection.
    Denied(gate::Denied),
    /// The user's tokens were revoked, and the gate would refuse a new one yet. Ends the connection.
    TokensVoid {
        /// When to try again.
        retry_after: Duration,
    },
    /// The user store failed, and so no user can be confirmed. Ends the connection.
    Unavailable,
}

impl Fault {
    /// The code in the error frame.
    pub fn code(self) -> &'static str {
        match self {
            Fault::UnknownEvent => "unknown_event",
            Fault::BadData(_) => "bad_data",
            Fault::NotFound => "not_found",
            Fault::LoginFailed => "login_failed",
            Fault::RateLimited { .. } | Fault::MessageRate { .. } => "rate_limited",
            Fault::Busy { .. } => "busy",
            Fault::Denied(gate::Denied::TokenRevoked) => "token_revoked",
            Fault::OtherUser | Fault::Denied(_) => "forbidden",
            Fault::TokensVoid { .. } | Fault::Unavailable => "unavailable",
        }
    }

    /// When it is worth trying again, where that is known.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Fault::RateLimited { retry_after }
            | Fault::MessageRate { retry_after }
            | Fault::TokensVoid { retry_after }
            | Fault::Busy { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::UnknownEvent => {
                "no such event; login, refresh, logout, getUser and message are always there"
            }
            Fault::BadData(expected) => expected,
            Fault::NotFound => "no such user",
            Fault::LoginFailed => "the id or the password is wrong",
            Fault::RateLimited { .. } => "too many logins; wait retryAfter seconds",
            Fault::MessageRate { .. } => {
                "too many messages, too large, or to too many; wait retryAfter seconds"
            }
            Fault::Busy { .. } => "this connection's login, or too many others, are being checked; wait retryAfter seconds",
            Fault::Denied(cause) => return cause.fmt(f),
            Fault::OtherUser => "the connection is another user's",
            Fault::TokensVoid { retry_after } => {
                let seconds = retry_after.as_secs();
                return write!(
                    f,
                    "the user's tokens were revoked; try again in {seconds} s"
                );
            }
            Fault::Unavailable => "users cannot be confirmed at the moment; try again later",
        })
    }
}

impl std::error::Error for Fault {}

impl From<StoreError> for Fault {
    /// Why the store failed is for the log, not for a peer.
    fn from(_: StoreError) -> Fault {
        Fault::Unavailable
    }
}

/// An event's handler. It writes the `data` of its answer, one JSON value, to the buffer; what it
/// wrote before it failed goes nowhere.
pub type Handler = fn(&mut dyn Host, &Admitted<'_>, &mut Vec<u8>) -> Result<Outcome, Fault>;

/// A handler for the one event that needs no token.
pub type OpenHandler = fn(&mut dyn Host, &LoginFrame<'_>) -> Result<Outcome, Fault>;

/// Every event there is, by name.
pub struct Events {
    gated: Vec<(&'static str, Handler)>,
    login: OpenHandler,
}

impl Events {
    /// The events of the program itself.
    pub fn builtin() -> Events {
        let mut events = Events {
            gated: Vec::new(),
            login: events::login::begin,
        };
        events.register("getUser", events::get_user::handle);
        events.register("message", events::message::handle);
        events.register("refresh", events::refresh::handle);
        events.register("logout", events::logout::handle);
        events
    }

    /// Adds an event, or takes the place of one of the same name.
    pub fn register(&mut self, name: &'static str, handler: Handler) {
        self.gated.retain(|(known, _)| *known != name);
        self.gated.push((name, handler));
    }

    /// Runs the handler of an admitted frame's event. O(events), which are few.
    ///
    /// # Errors
    /// The handler's, or [`Fault::UnknownEvent`].
    pub fn run(
        &self,
        host: &mut dyn Host,
        frame: &Admitted<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<Outcome, Fault> {
        let known = self.gated.iter().find(|(name, _)| *name == frame.event());
        let (_, handler) = known.ok_or(Fault::UnknownEvent)?;
        handler(host, frame, answer)
    }

    /// Runs the login's handler.
    ///
    /// # Errors
    /// The handler's.
    pub fn run_login(&self, host: &mut dyn Host, frame: &LoginFrame<'_>) -> Result<Outcome, Fault> {
        (self.login)(host, frame)
    }
}
