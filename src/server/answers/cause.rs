//! Why a connection ends: the one table from cause to error code, close code, HTTP status and the
//! word in the log.

use std::borrow::Cow;

use crate::gate;
use crate::wire::{CloseCode, ForwardedError, HeadError, ProxyError, Rejection, Violation};

use crate::server::answers::unserved::Unserved;

/// Why a connection was ended, grouped by whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
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
    Gate(gate::Cause),
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

impl Cause {
    /// The code in the last error frame; `None` where no error frame is sent.
    pub fn error_code(self) -> Option<&'static str> {
        match self {
            Cause::Gate(cause) => Some(gate_code(cause)),
            Cause::Expired => Some("token_expired"),
            Cause::LoginFailed => Some("login_failed"),
            Cause::RateLimited | Cause::UserRateLimited => Some("rate_limited"),
            Cause::TooManyConnections => Some("too_many_connections"),
            Cause::AuthTimeout | Cause::AuthTimeoutCrowded => Some("auth_timeout"),
            Cause::Wire(Violation::Text | Violation::Binary) => Some("bad_frame"),
            Cause::Wire(Violation::TooBig) => Some("too_big"),
            _ => None,
        }
    }

    /// The code in the Close frame (RFC 6455 §7.4, and the registered 3000, 3003 and 3008);
    /// `None` where the connection ends without one.
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            Cause::Gate(cause) => Some(gate_close_code(cause)),
            Cause::Expired | Cause::LoginFailed => Some(CloseCode::UNAUTHORIZED),
            Cause::AuthTimeout | Cause::AuthTimeoutCrowded => Some(CloseCode::TIMEOUT),
            Cause::Wire(violation) => Some(violation.close_code()),
            Cause::RateLimited | Cause::UserRateLimited | Cause::MessageTimeout => {
                Some(CloseCode::POLICY_VIOLATION)
            }
            Cause::SlowReader | Cause::Memory | Cause::TooManyConnections => {
                Some(CloseCode::TRY_AGAIN_LATER)
            }
            Cause::PeerLeft | Cause::Done => Some(CloseCode::NORMAL),
            Cause::ShuttingDown => Some(CloseCode::GOING_AWAY),
            Cause::Head(_)
            | Cause::Proxy(_)
            | Cause::Forwarded(_)
            | Cause::Upgrade(_)
            | Cause::Request(_)
            | Cause::NoRoom(_)
            | Cause::NoRequest
            | Cause::HandshakeTimeout
            | Cause::PongTimeout
            | Cause::Evicted => None,
        }
    }

    /// What went wrong, in one line for the peer.
    pub fn reason(self) -> Cow<'static, str> {
        match self {
            Cause::Head(error) => Cow::Owned(error.to_string()),
            Cause::Proxy(error) => Cow::Owned(error.to_string()),
            Cause::Forwarded(error) => Cow::Owned(error.to_string()),
            Cause::Upgrade(rejection) => Cow::Owned(rejection.to_string()),
            Cause::Request(unserved) => unserved.reason(),
            Cause::Wire(violation) => Cow::Owned(violation.to_string()),
            Cause::Gate(cause) => cause.reason(),
            Cause::RateLimited => Cow::Borrowed("too many frames; slow down and come back"),
            Cause::UserRateLimited => Cow::Borrowed(
                "too many frames over all connections of this user; slow down and come back",
            ),
            Cause::TooManyConnections => {
                Cow::Borrowed("too many connections of this user; close one and come back")
            }
            Cause::NoRoom(_) => Cow::Borrowed("no room for you at the moment; come back later"),
            Cause::Evicted => Cow::Borrowed("newcomers needed the place"),
            Cause::Memory => Cow::Borrowed("the server is short of memory; come back later"),
            Cause::Expired => Cow::Borrowed("token expired"),
            Cause::LoginFailed => Cow::Borrowed("the id or the password is wrong, three times now"),
            Cause::NoRequest => Cow::Borrowed("no request came"),
            Cause::HandshakeTimeout => Cow::Borrowed("the request took too long"),
            Cause::AuthTimeout => Cow::Borrowed("no valid token in time"),
            Cause::AuthTimeoutCrowded => {
                Cow::Borrowed("no valid token in the short time there is while newcomers are many")
            }
            Cause::MessageTimeout => Cow::Borrowed("a message was begun and not finished in time"),
            Cause::PongTimeout => Cow::Borrowed("no answer to a ping"),
            Cause::SlowReader => Cow::Borrowed("reading too slowly"),
            Cause::PeerLeft => Cow::Borrowed("the peer left"),
            Cause::Done => Cow::Borrowed(""),
            Cause::ShuttingDown => Cow::Borrowed("the server is stopping; come back later"),
        }
    }

    /// The word of this cause in the log.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Head(error) => error.word(),
            Cause::Proxy(error) => error.word(),
            Cause::Forwarded(error) => error.word(),
            Cause::Upgrade(rejection) => rejection.word(),
            Cause::Request(unserved) => unserved.word(),
            Cause::Wire(violation) => violation.word(),
            Cause::Gate(cause) => cause.word(),
            Cause::RateLimited => "rate_limited",
            Cause::UserRateLimited => "user_rate_limited",
            Cause::TooManyConnections => "too_many_connections",
            Cause::NoRoom(why) => why.word(),
            Cause::Evicted => "pending_evicted",
            Cause::Memory => "memory",
            Cause::Expired => "token_expired",
            Cause::LoginFailed => "login_failures",
            Cause::NoRequest => "no_request",
            Cause::HandshakeTimeout => "handshake_timeout",
            Cause::AuthTimeout => "auth_timeout",
            Cause::AuthTimeoutCrowded => "auth_timeout_crowded",
            Cause::MessageTimeout => "message_timeout",
            Cause::PongTimeout => "pong_timeout",
            Cause::SlowReader => "slow_reader",
            Cause::PeerLeft => "peer_left",
            Cause::Done => "done",
            Cause::ShuttingDown => "shutting_down",
        }
    }

    /// True when it counts towards a ban: a bad signature, a malformed token or frame, bytes that
    /// are no HTTP, RFC 6455 broken, a rate exceeded, a request begun and not finished in time, a
    /// missed deadline of login that we did not shorten. A wrong password does too, and is counted
    /// where it is found. A well-formed request that is not served, expiry, a removed user, a page
    /// of another origin or a connection that says nothing ban nobody.
    pub fn is_hostile(self) -> bool {
        match self {
            Cause::Head(error) => error.is_malformed(),
            Cause::Wire(_) | Cause::RateLimited => true,
            Cause::HandshakeTimeout | Cause::AuthTimeout => true,
            Cause::Upgrade(rejection) => rejection == Rejection::Token,
            Cause::Request(unserved) => unserved.is_hostile(),
            Cause::Gate(gate::Cause::BadFrame(_) | gate::Cause::TokenMissing) => true,
            Cause::Gate(gate::Cause::TokenRejected(error)) => error.is_hostile(),
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

fn gate_code(cause: gate::Cause) -> &'static str {
    match cause {
        gate::Cause::BadFrame(_) => "bad_frame",
        gate::Cause::TokenMissing | gate::Cause::TokenRejected(_) => "unauthorized",
        gate::Cause::TokenExpired => "token_expired",
        gate::Cause::TokenRevoked => "token_revoked",
        gate::Cause::Forbidden(_) => "forbidden",
        gate::Cause::Unavailable => "unavailable",
    }
}

fn gate_close_code(cause: gate::Cause) -> CloseCode {
    match cause {
        gate::Cause::BadFrame(_) => CloseCode::INVALID_PAYLOAD,
        gate::Cause::TokenMissing
        | gate::Cause::TokenRejected(_)
        | gate::Cause::TokenExpired
        | gate::Cause::TokenRevoked => CloseCode::UNAUTHORIZED,
        gate::Cause::Forbidden(_) => CloseCode::FORBIDDEN,
        gate::Cause::Unavailable => CloseCode::TRY_AGAIN_LATER,
    }
}
