//! What the log is told: one report an event, drained by the driver.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::app::users::User;
use crate::time::UnixSeconds;

use crate::server::answers::cause::CloseCause;
use crate::server::connection::{ConnectionId, Peer};

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub what: ReportKind,
    /// On which connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub peer: Peer,
    /// Who is logged in on it.
    pub user: Option<Rc<str>>,
    /// The event of the frame at hand, as the gate read it.
    pub event: Option<Box<str>>,
}

/// What a [`Report`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// A user logged in with a password.
    LoggedIn,
    /// No token for an id and a password, and why. The peer is told of all alike.
    LoginFailed(LoginFailure),
    /// A password was right, and no token was given: the user's tokens are void until this second,
    /// which the clock has yet to reach.
    TokensVoid {
        /// The second.
        until: UnixSeconds,
        /// In how many seconds the gate takes a token again.
        wait_seconds: u64,
    },
    /// The connection was thrown out.
    Refused(CloseCause),
    /// The connection ended in peace.
    Closed(CloseCause),
    /// The connection's address is banned from now on, for so long.
    Banned(Duration),
    /// A trusted proxy names no client in a field that we read, and stands for all of its clients.
    ClientUnnamed,
    /// As that, in its PROXY header.
    HeaderUnnamed,
    /// One that is pending goes for a newcomer.
    PendingFull,
    /// A field names a client, and the peer that sent it is no trusted proxy.
    ForwardedIgnored,
}

/// Why a login failed. It is for the log alone: a peer that could tell these apart would learn which
/// ids there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailure {
    /// There is no user of the id.
    UnknownUser,
    /// The user is disabled.
    UserDisabled,
    /// The user has no password: tokens come from elsewhere.
    NoPassword,
    /// The password is another, or was changed while it was checked.
    WrongPassword,
    /// The address, or the id, has had its share of logins: the password was not looked at.
    LoginRate,
}

impl LoginFailure {
    /// Why a login as this user fails, whatever the password: `WrongPassword` where it would not.
    pub(crate) fn of(user: Option<&User>) -> LoginFailure {
        match user {
            None => LoginFailure::UnknownUser,
            Some(user) if user.disabled => LoginFailure::UserDisabled,
            Some(user) if user.password_hash.is_none() => LoginFailure::NoPassword,
            Some(_) => LoginFailure::WrongPassword,
        }
    }

    /// The word of this reason in the log.
    pub fn word(self) -> &'static str {
        match self {
            LoginFailure::UnknownUser => "unknown_user",
            LoginFailure::UserDisabled => "disabled_user",
            LoginFailure::NoPassword => "no_password",
            LoginFailure::WrongPassword => "wrong_password",
            LoginFailure::LoginRate => "login_rate",
        }
    }
}

impl ReportKind {
    /// True when it tells the operator of a setting to look at, and not of a connection's end.
    pub fn is_notice(self) -> bool {
        matches!(
            self,
            ReportKind::ClientUnnamed
                | ReportKind::HeaderUnnamed
                | ReportKind::PendingFull
                | ReportKind::ForwardedIgnored
        )
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReportKind::LoggedIn => "logged in",
            ReportKind::LoginFailed(_) => "login failed",
            ReportKind::TokensVoid { .. } => "no token to give",
            ReportKind::Refused(_) => "refused",
            ReportKind::Closed(_) => "closed",
            ReportKind::Banned(_) => "banned",
            ReportKind::ClientUnnamed => {
                "a trusted proxy names no client, so that caps and bans mean the proxy: \
                 it must set X-Forwarded-For or Forwarded"
            }
            ReportKind::HeaderUnnamed => {
                "a PROXY header names no client, so that caps and bans mean the proxy: \
                 it must send the client's address (TCP4, TCP6 or PROXY)"
            }
            ReportKind::PendingFull => {
                "MAX_PENDING or MAX_CONNECTIONS is reached: connections that are not logged in \
                 make room; raise it if so many come at once"
            }
            ReportKind::ForwardedIgnored => {
                "X-Forwarded-For or Forwarded is ignored: its sender is not in TRUSTED_PROXIES"
            }
        })
    }
}
