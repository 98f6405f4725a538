//! What the log is told: one report an event, drained by the driver.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::cause::Cause;
use super::session::{ConnectionId, Peer};

/// Bytes of an event's name that a report keeps.
const EVENT_BYTES_MAX: usize = 64;

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub what: What,
    /// On which connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub peer: Peer,
    /// Who is logged in on it.
    pub user: Option<Rc<str>>,
    /// The event of the frame at hand, as the peer wrote it, cut short.
    pub event: Option<Box<str>>,
}

/// What a [`Report`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A user logged in with a password.
    LoggedIn,
    /// A password was wrong, or there is no such user, or he is disabled.
    LoginFailed,
    /// The connection was thrown out.
    Refused(Cause),
    /// The connection ended in peace.
    Closed(Cause),
    /// The connection's address is banned from now on, for so long.
    Banned(Duration),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::LoggedIn => "logged in",
            What::LoginFailed => "login failed",
            What::Refused(_) => "refused",
            What::Closed(_) => "closed",
            What::Banned(_) => "banned",
        })
    }
}

/// The part of an event's name that is kept.
pub(super) fn cut(event: &str) -> Box<str> {
    let mut end = event.len().min(EVENT_BYTES_MAX);
    while !event.is_char_boundary(end) {
        end -= 1;
    }
    event[..end].into()
}
