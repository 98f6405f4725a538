//! Why a connection ends: the one table from cause to error code, close code, HTTP status and the
//! word in the log.

use std::borrow::Cow;

use crate::gate;
use crate::wire::{CloseCode, ForwardedError, HeadError, ProxyError, Rejection, Violation};

use crate::server::answers::unserved::Unserved;

/// Why a connection was ended, grouped by whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    // The bytes.
    /// The request head is not HTTP as we read it.
    Head(HeadError),
    /// A trusted proxy's connection does not begin with a PROXY header.
    Proxy(ProxyError),
    /// A trusted proxy's request does not say in one way for whom it comes.
    Forwarded(ForwardedError),
    /// An upgrade that may not be.
    Upgrade(Rejection),
    /// A plain request we have no answer to: its path, its method, or its body.
    Request(Unserved),
    /// RFC 6455 broken, or a message we do not take.
    Wire(Violation),
    /// More frames than the rate allows.
    RateLimited,
    /// More frames than the rate allows its user over all its connections: perhaps not its own doing.
    UserRateLimited,
    /// Its user has as many connections as a user may have.
    TooManyConnections,
    /// No room for it, or a banned address, seen when its head named the client.
    NoRoom(NoRoom),

    // The token and its holder.
    /// The gate did not admit a frame or a handshake.
    Gate(gate::Denied),
    /// The token a silent connection lived by has run out.
    Expired,
    /// A wrong password, once too often.
    LoginFailed,

    // Time.
    /// Not a byte of a request came in time.
    NoRequest,
    /// The head or the body was begun and did not come in time.
    HandshakeTimeout,
    /// No valid token did.
    AuthTimeout,
    /// No valid token did in the time we leave for it while newcomers are many.
    AuthTimeoutCrowded,
    /// A message was begun and not finished.
    MessageTimeout,
    /// No answer to our Ping.
    PongTimeout,
    /// The peer does not take what waits for it.
    SlowReader,

    // Others came first.
    /// It was pending when a newcomer needed a place, and its address had most of those.
    Evicted,
    /// It held most when what is held for peers in all was too much.
    Memory,

    // Nobody's fault.
    /// The peer sent a Close, or its FIN, or a reset.
    PeerLeft,
    /// A request was answered, or a user logged out.
    Done,
    /// We are stopping.
    ShuttingDown,
}

impl CloseCause {
    /// The code in the last error frame; `None` where no error frame is sent.
    pub fn error_code(self) -> Option<&'static str> {
        match self {
            CloseCause::Gate(cause) => Some(gate_code(cause)),
            CloseCause::Expired => Some("token_expired"),
            CloseCause::LoginFailed => Some("login_failed"),
            CloseCause::RateLimited | CloseCause::UserRateLimited => Some("rate_limited"),
            CloseCause::TooManyConnections => Some("too_many_connections"),
            CloseCause::AuthTimeout | CloseCause::AuthTimeoutCrowded => Some("auth_timeout"),
            CloseCause::Wire(Violation::Text | Violation::Binary) => Some("bad_frame"),
            CloseCause::Wire(Violation::TooBig) => Some("too_big"),
            _ => None,
        }
    }

    /// The code in the Close frame (RFC 6455 §7.4, and the registered 3000, 3003 and 3008);
    /// `None` where the connection ends without one.
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            CloseCause::Gate(cause) => Some(gate_close_code(cause)),
            CloseCause::Expired | CloseCause::LoginFailed => Some(CloseCode::UNAUTHORIZED),
            CloseCause::AuthTimeout | CloseCause::AuthTimeoutCrowded => Some(CloseCode::TIMEOUT),
            CloseCause::Wire(violation) => Some(violation.close_code()),
            CloseCause::RateLimited | CloseCause::UserRateLimited | CloseCause::MessageTimeout => {
                Some(CloseCode::POLICY_VIOLATION)
            }
            CloseCause::SlowReader | CloseCause::Memory | CloseCause::TooManyConnections => {
                Some(CloseCode::TRY_AGAIN_LATER)
            }
            CloseCause::PeerLeft | CloseCause::Done => Some(CloseCode::NORMAL),
            CloseCause::ShuttingDown => Some(CloseCode::GOING_AWAY),
            CloseCause::Head(_)
            | CloseCause::Proxy(_)
            | CloseCause::Forwarded(_)
            | CloseCause::Upgrade(_)
            | CloseCause::Request(_)
            | CloseCause::NoRoom(_)
            | CloseCause::NoRequest
            | CloseCause::HandshakeTimeout
            | CloseCause::PongTimeout
            | CloseCause::Evicted => None,
        }
    }

    /// What went wrong, in one line for the peer.
    pub fn reason(self) -> Cow<'static, str> {
        match self {
            CloseCause::Head(error) => Cow::Owned(error.to_string()),
            CloseCause::Proxy(error) => Cow::Owned(error.to_string()),
            CloseCause::Forwarded(error) => Cow::Owned(error.to_string()),
            CloseCause::Upgrade(rejection) => Cow::Owned(rejection.to_string()),
            CloseCause::Request(unserved) => unserved.reason(),
            CloseCause::Wire(violation) => Cow::Owned(violation.to_string()),
            CloseCause::Gate(cause) => cause.reason(),
            CloseCause::RateLimited => Cow::Borrowed("too many frames; slow down and come back"),
            CloseCause::UserRateLimited => Cow::Borrowed(
                "too many frames over all connections of this user; slow down and come back",
            ),
            CloseCause::TooManyConnections => {
                Cow::Borrowed("too many connections of this user; close one and come back")
            }
            CloseCause::NoRoom(_) => {
                Cow::Borrowed("no room for you at the moment; come back later")
            }
            CloseCause::Evicted => Cow::Borrowed("newcomers needed the place"),
            CloseCause::Memory => Cow::Borrowed("the server is short of memory; come back later"),
            CloseCause::Expired => Cow::Borrowed("token expired"),
            CloseCause::LoginFailed => {
                Cow::Borrowed("the id or the password is wrong, three times now")
            }
            CloseCause::NoRequest => Cow::Borrowed("no request came"),
            CloseCause::HandshakeTimeout => Cow::Borrowed("the request took too long"),
            CloseCause::AuthTimeout => Cow::Borrowed("no valid token in time"),
            CloseCause::AuthTimeoutCrowded => {
                Cow::Borrowed("no valid token in the short time there is while newcomers are many")
            }
            CloseCause::MessageTimeout => {
                Cow::Borrowed("a message was begun and not finished in time")
            }
            CloseCause::PongTimeout => Cow::Borrowed("no answer to a ping"),
            CloseCause::SlowReader => Cow::Borrowed("reading too slowly"),
            CloseCause::PeerLeft => Cow::Borrowed("the peer left"),
            CloseCause::Done => Cow::Borrowed(""),
            CloseCause::ShuttingDown => Cow::Borrowed("the server is stopping; come back later"),
        }
    }

    /// The word of this cause in the log.
    pub fn word(self) -> &'static str {
        match self {
            CloseCause::Head(error) => error.word(),
            CloseCause::Proxy(error) => error.word(),
            CloseCause::Forwarded(error) => error.word(),
            CloseCause::Upgrade(rejection) => rejection.word(),
            CloseCause::Request(unserved) => unserved.word(),
            CloseCause::Wire(violation) => violation.word(),
            CloseCause::Gate(cause) => cause.word(),
            CloseCause::RateLimited => "rate_limited",
            CloseCause::UserRateLimited => "user_rate_limited",
            CloseCause::TooManyConnections => "too_many_connections",
            CloseCause::NoRoom(why) => why.word(),
            CloseCause::Evicted => "pending_evicted",
            CloseCause::Memory => "memory",
            CloseCause::Expired => "token_expired",
            CloseCause::LoginFailed => "login_failures",
            CloseCause::NoRequest => "no_request",
            CloseCause::HandshakeTimeout => "handshake_timeout",
            CloseCause::AuthTimeout => "auth_timeout",
            CloseCause::AuthTimeoutCrowded => "auth_timeout_crowded",
            CloseCause::MessageTimeout => "message_timeout",
            CloseCause::PongTimeout => "pong_timeout",
            CloseCause::SlowReader => "slow_reader",
            CloseCause::PeerLeft => "peer_left",
            CloseCause::Done => "done",
            CloseCause::ShuttingDown => "shutting_down",
        }
    }

    /// True when it counts towards a ban: a bad signature, a malformed token or frame, bytes that
    /// are no HTTP, RFC 6455 broken, a rate exceeded, a request begun and not finished in time, a
    /// missed deadline of login that we did not shorten. A wrong password does too, and is counted
    /// where it is found. A well-formed request that is not served, expiry, a removed user, a page
    /// of another origin or a connection that says nothing ban nobody.
    pub fn is_hostile(self) -> bool {
        match self {
            CloseCause::Head(error) => error.is_malformed(),
            CloseCause::Wire(_) | CloseCause::RateLimited => true,
            CloseCause::HandshakeTimeout | CloseCause::AuthTimeout => true,
            CloseCause::Upgrade(rejection) => rejection == Rejection::Token,
            CloseCause::Request(unserved) => unserved.is_hostile(),
            CloseCause::Gate(gate::Denied::BadFrame(_) | gate::Denied::TokenMissing) => true,
            CloseCause::Gate(gate::Denied::TokenRejected(error)) => error.is_hostile(),
            _ => false,
        }
    }
}

/// Why somebody has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The address is banned.
    Banned,
    /// The address connects too often.
    ConnectRate,
    /// There are as many connections as there may be.
    Full,
    /// The address has as many as it may have.
    AddressFull,
    /// The address has as many that are not logged in as it may have.
    AddressPendingFull,
}

impl NoRoom {
    /// The word of this reason in the log and the counters.
    pub fn word(self) -> &'static str {
        match self {
            NoRoom::Banned => "banned",
            NoRoom::ConnectRate => "connect_rate",
            NoRoom::Full => "full",
            NoRoom::AddressFull => "address_full",
            NoRoom::AddressPendingFull => "address_pending_full",
        }
    }
}

fn gate_code(cause: gate::Denied) -> &'static str {
    match cause {
        gate::Denied::BadFrame(_) => "bad_frame",
        gate::Denied::TokenMissing | gate::Denied::TokenRejected(_) => "unauthorized",
        gate::Denied::TokenExpired => "token_expired",
        gate::Denied::TokenRevoked => "token_revoked",
        gate::Denied::Forbidden(_) => "forbidden",
        gate::Denied::Unavailable => "unavailable",
    }
}

fn gate_close_code(cause: gate::Denied) -> CloseCode {
    match cause {
        gate::Denied::BadFrame(_) => CloseCode::INVALID_PAYLOAD,
        gate::Denied::TokenMissing
        | gate::Denied::TokenRejected(_)
        | gate::Denied::TokenExpired
        | gate::Denied::TokenRevoked => CloseCode::UNAUTHORIZED,
        gate::Denied::Forbidden(_) => CloseCode::FORBIDDEN,
        gate::Denied::Unavailable => CloseCode::TRY_AGAIN_LATER,
    }
}
