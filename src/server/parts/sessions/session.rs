//! One connection, from accept to its descriptor's end.
//!
//! ```text
//!              POST /login           body
//! accept ──► Head ─────────────► Body ──────► Answering ──┐
//!              │ upgrade                                  │ hashed
//!              ▼         refusal, Close, answer given     ▼
//!            Open ────────────────────────────────────► Closing ─► Closed
//!                                              (last words, FIN, linger)
//! ```
//!
//! Every state but Closed may fall to Closing (with last words) or to Closed (without). Nothing
//! that arrives in Closing or Closed is read.

use crate::network::AddressKey;
use crate::server::connection::Peer;
use crate::server::parts::rate_limits::Meter;
use crate::time::Instant;
use crate::wire::{BodyDecoder, Endpoint, HeadScanner, Held};

use super::outbox::Outbox;

/// A connection's state. What is only known while it is under way is in the variant. It has no
/// `Debug`, for it may hold a token or a password.
pub(crate) struct Session {
    pub(super) serial: u32,
    pub(crate) peer: Peer,
    /// True exactly when a proxy is at the other end, who speaks for a client.
    pub(crate) is_proxy: bool,
    /// True exactly when it counts by its peer's address: not for a Unix socket, nor for a proxy
    /// that has not yet said for whom it comes.
    pub(crate) is_counted: bool,
    /// True once its proxy has said for whom it comes.
    pub(crate) is_named: bool,
    /// True once the peer's FIN was seen.
    pub(crate) peer_finished: bool,
    /// True once it was refused for a hostile cause.
    pub(crate) is_hostile: bool,
    /// True once its request was seen to ask by HEAD: its answer has no content.
    pub(crate) asks_head: bool,
    /// Which of `ORIGINS` its request came from, once it is let in by that: a page of it may read
    /// the answer.
    pub(crate) listed_origin: Option<u8>,
    /// What its transport holds, in bytes.
    pub(super) transport_bytes: u32,
    pub(super) outbox: Outbox,
    /// What the ledger counts for it, in bytes.
    pub(super) held_bytes: usize,
    pub(super) state: State,
}

impl Session {
    /// A connection that was accepted.
    pub(super) fn new(serial: u32, peer: Peer, is_proxy: bool, state: State) -> Session {
        Session {
            serial,
            peer,
            is_proxy,
            is_counted: !is_proxy && peer.key().is_some(),
            is_named: false,
            peer_finished: false,
            is_hostile: false,
            asks_head: false,
            listed_origin: None,
            transport_bytes: 0,
            outbox: Outbox::default(),
            held_bytes: 0,
            state,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// What waits to be written.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Bytes that it holds, as the ledger counts them.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes of them by its peer's own doing: what is unfinished, and answers that it does not take.
    pub(crate) fn own_bytes(&self) -> usize {
        (self.held_bytes + self.outbox.own_bytes()).saturating_sub(self.outbox.held_bytes())
    }

    /// True when its transport holds bytes of which the core has yet to hear.
    pub(crate) fn transport_holds(&self) -> bool {
        self.transport_bytes > 0
    }

    /// True once it has ended, and only its descriptor is left.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The address the connection counts by.
    pub(crate) fn counted_address(&self) -> Option<AddressKey> {
        self.peer.key().filter(|_| self.is_counted)
    }

    /// Bytes that it holds for its own peer.
    pub(super) fn count_held(&self) -> usize {
        let held = match &self.state {
            State::Head { held, .. } => held.capacity() + self.transport_bytes as usize,
            State::Body { held, .. } => held.capacity(),
            State::Open(open) => open.endpoint.held_bytes(),
            State::Answering { .. }
            | State::LoggingOut { .. }
            | State::Closing { .. }
            | State::Closed => 0,
        };
        held + self.outbox.held_bytes()
    }
}

pub(crate) enum State {
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
    Closing { linger_by: Instant, fin_sent: bool },
    /// Released; its slot waits for the driver to let the descriptor go.
    Closed,
}

impl State {
    /// What the peer is asked for is due by then, if it was not earlier.
    pub(crate) fn hurry(&mut self, latest: Instant) {
        if let State::Head { by, .. } | State::Body { by, .. } | State::Answering { by } = self {
            *by = latest.min(*by);
        }
    }
}

pub(crate) struct Open {
    pub(super) endpoint: Endpoint,
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

impl Open {
    /// A WebSocket that was opened now.
    pub(crate) fn new(now: Instant) -> Open {
        Open {
            endpoint: Endpoint::default(),
            meter: Meter::default(),
            opened_at: now,
            message_since: None,
            alive_at: now,
            ping: Ping::None,
            is_socket_full: false,
            read_by: now,
            login_failures: 0,
            login_pending: false,
        }
    }

    /// What of a frame or a message has begun: [`Endpoint::progress`].
    pub(crate) fn progress(&self) -> &'static str {
        self.endpoint.progress()
    }
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
