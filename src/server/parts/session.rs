//! One connection, from accept to its descriptor's end.
//!
//! ```text
//!        PROXY header          POST /login           body
//! accept ┬────► Proxy ─┬─► Head ─────────────► Body ──────► Answering ──┐
//!        └─────────────┘    │ upgrade                                   │ hashed
//!                           ▼          refusal, Close, answer given     ▼
//!                          Open ───────────────────────────────────► Finishing ─► Gone
//!                                                          (last words, FIN, linger)
//! ```
//!
//! Every state but Gone may fall to Finishing (with last words) or to Gone (without). Nothing
//! that arrives in Finishing or Gone is read.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::network::AddressKey;
use crate::time::Instant;
use crate::wire::{BodyDecoder, Endpoint, HeadScanner, Held};

use crate::server::parts::outbox::Outbox;
use crate::server::parts::rate_limits::Meter;
use crate::server::parts::write_queue::Queued;

/// Names one connection, for ever: slots are used again, serials are not (before 2³² accepts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// Its place in the table, small and dense: what a driver keeps its sockets by.
    pub slot: u32,
    /// Which connection of that slot it is; counts all accepts, and is its name in the log.
    pub serial: u32,
}

/// Who is at the other end, as far as the transport tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a Unix socket.
    pub address: Option<IpAddr>,
    /// Its port, or 0.
    pub port: u16,
    /// On a Unix socket, the system's number of the user whose process it is, where that is known.
    pub user: Option<u32>,
}

impl Peer {
    /// A peer on a Unix socket.
    pub fn on_unix_socket(user: Option<u32>) -> Peer {
        Peer {
            address: None,
            port: 0,
            user,
        }
    }

    /// What caps, rates and bans count it by.
    pub(crate) fn key(self) -> Option<AddressKey> {
        let address = self.address.map(AddressKey::from);
        address.or(self.user.map(AddressKey::of_user))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        Peer {
            address: Some(address.ip().to_canonical()),
            port: address.port(),
            user: None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            None => match self.user {
                Some(user) => write!(f, "unix:{user}"),
                None => f.write_str("unix"),
            },
        }
    }
}

/// A connection's state. What is only known while it is under way is in the variant. It has no
/// `Debug`, for it may hold a token or a password.
pub(crate) struct Session {
    pub(crate) serial: u32,
    pub(crate) peer: Peer,
    /// True exactly when a proxy is at the other end, who speaks for a client.
    pub(crate) is_proxy: bool,
    /// True exactly when it counts by its peer's address: not for a Unix socket, nor for a proxy
    /// that has not yet said for whom it comes.
    pub(crate) is_counted: bool,
    /// True once its proxy has said for whom it comes.
    pub(crate) is_named: bool,
    /// In which queue of outboxes to be written it waits.
    pub(crate) queued: Queued,
    /// True once the peer's FIN was seen.
    pub(crate) peer_finished: bool,
    /// True once it was refused for a hostile cause.
    pub(crate) is_hostile: bool,
    /// True once its request was seen to ask by HEAD: its answer has no content.
    pub(crate) asks_head: bool,
    /// Which of `ORIGINS` its request came from, once it is let in by that: a page of it may read
    /// the answer.
    pub(crate) listed_origin: Option<u8>,
    pub(crate) outbox: Outbox,
    /// What the ledger counts for it, in bytes.
    pub(crate) held_bytes: usize,
    pub(crate) state: State,
}

pub(crate) enum State {
    /// A proxy is to say for whom it comes.
    Proxy { by: Instant, held: Held },
    /// The request's head is on its way.
    Head {
        by: Instant,
        scanner: HeadScanner,
        held: Held,
    },
    /// The body of a `POST /login` is.
    Body {
        by: Instant,
        decoder: BodyDecoder,
        /// The content so far.
        held: Held,
        /// True while the client waits to be asked for it.
        awaits_continue: bool,
    },
    /// Its password is being checked.
    Answering { by: Instant },
    /// The WebSocket is open.
    Open(Open),
    /// Its user has logged out, which is on its way to the disk. Nothing more of it is read.
    LoggingOut { by: Instant },
    /// Last words, then our FIN, then whatever comes first of the peer's FIN and the linger.
    Finishing { linger_by: Instant, fin_sent: bool },
    /// Released; its slot waits for the driver to let the descriptor go.
    Gone,
}

pub(crate) struct Open {
    pub(crate) endpoint: Endpoint,
    /// Frames, control frames too.
    pub(crate) meter: Meter,
    /// When the upgrade was answered: the first valid token is due some time after that.
    pub(crate) opened_at: Instant,
    /// When the message under way began.
    pub(crate) message_since: Option<Instant>,
    /// When the peer last gave a sign of life: its bytes arrived, or its socket, which was full,
    /// took bytes again.
    pub(crate) alive_at: Instant,
    /// Our Ping, while the peer owes us a sign of life.
    pub(crate) ping: Ping,
    /// True exactly when the socket took less than it was last offered.
    pub(crate) is_socket_full: bool,
    /// By when a steady reader has read all that its socket took.
    pub(crate) read_by: Instant,
    /// Wrong passwords so far.
    pub(crate) login_failures: u8,
    /// True while a password of this connection is being checked.
    pub(crate) login_pending: bool,
}

/// A question for a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ping {
    /// None is asked for.
    None,
    /// The Ping waits in the outbox. Its clock has not begun: whether the peer takes anything is
    /// for `WRITE_TIMEOUT` to judge.
    Waiting,
    /// The Ping has left, and a steady reader has come to it by this instant.
    Left(Instant),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 160, "{}", size_of::<Session>());
    }
}
