//! Connections on their way in. That somebody may wait at a listener is told once, and so remembered
//! until [`Io::accept`] says otherwise, through every failure.

use std::io;
use std::time::Duration;

use crate::server::{ConnectionId, Input, Peer};
use crate::time::{Instant, Now};

use super::transport::Transport;
use super::{Accept, Connection, Io, Shed, Stage, Turn};

/// Connections accepted from one listener in one turn. Few, so that a turn is short: what members
/// notice of a siege is the length of its turns (docs/benchmarks.md, "Under siege").
pub(super) const ACCEPTS_MAX: usize = 4;
/// How long accepting rests when descriptors or memory have run out, unless one comes free.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How often a failure to accept is logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Where connections may wait, and since when accepting rests.
pub(super) struct Accepting {
    /// By listener: true while somebody may wait there.
    is_ready: Vec<bool>,
    /// When accepting is to be tried again after it failed for want of descriptors or memory.
    retry_at: Option<Instant>,
    /// When a failure to accept was last logged.
    logged_at: Option<Instant>,
    /// The listener from which the turn accepts, and how many more of it.
    at: (usize, usize),
}

impl Accepting {
    pub(super) fn new(listeners: usize) -> Accepting {
        Accepting {
            is_ready: vec![true; listeners],
            retry_at: None,
            logged_at: None,
            at: (0, 0),
        }
    }

    /// Begins with the first listener; false while accepting rests.
    fn begin(&mut self, now: Now) -> bool {
        if self.retry_at.is_some_and(|at| at > now.monotonic) {
            return false;
        }
        self.retry_at = None;
        self.at = (0, ACCEPTS_MAX);
        true
    }

    /// The listener to accept from next: some from each at which somebody may wait.
    fn next_listener(&mut self) -> Option<usize> {
        while self.retry_at.is_none() {
            let (listener, left) = self.at;
            if *self.is_ready.get(listener)? && left > 0 {
                self.at = (listener, left - 1);
                return Some(listener);
            }
            self.at = (listener + 1, ACCEPTS_MAX);
        }
        None
    }

    pub(super) fn set_ready(&mut self, listener: usize, is_ready: bool) {
        if let Some(place) = self.is_ready.get_mut(listener) {
            *place = is_ready;
        }
    }

    /// True when a turn would try to accept.
    pub(super) fn may_go_on(&self) -> bool {
        self.retry_at.is_none() && self.is_ready.contains(&true)
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// Nothing can be accepted. Somebody may still wait: the listener stays ready.
    fn rest(&mut self, now: Now) {
        self.retry_at = Some(now.monotonic + ACCEPT_RETRY);
    }

    /// At most a line each [`ACCEPT_LOG_INTERVAL`].
    fn log(&mut self, now: Now, error: &io::Error) {
        let is_due = |at| now.monotonic.since(at) >= ACCEPT_LOG_INTERVAL;
        if self.logged_at.is_none_or(is_due) {
            self.logged_at = Some(now.monotonic);
            log::warn!(
                "cannot accept: {error}; newcomers are reset or wait until a connection has gone"
            );
        }
    }
}

impl<I: Io> Turn<I> {
    pub(super) fn begin_accept(&mut self, now: Now, io: &mut I) -> Stage {
        if !self.accepting.begin(now) {
            return Stage::Tick;
        }
        // What has ended while it was read gives its place to those who come.
        self.close(now, io);
        Stage::Accept
    }

    /// Accepts the next connection, if one waits and may be accepted in this turn.
    pub(super) fn accept_next(&mut self, now: Now, io: &mut I) -> Option<Option<ConnectionId>> {
        while let Some(listener) = self.accepting.next_listener() {
            match io.accept(listener) {
                Accept::Connection {
                    socket,
                    peer,
                    is_more,
                } => {
                    self.accepting.set_ready(listener, is_more);
                    let id = self.adopt(now, io, socket, peer);
                    // Somebody may have gone for it: no more than one descriptor above the cap.
                    self.close(now, io);
                    return Some(id);
                }
                Accept::Nobody => self.accepting.set_ready(listener, false),
                Accept::Lost => {}
                Accept::NoDescriptor(error) => self.shed(now, io, listener, &error),
                Accept::Failed(error) => {
                    self.accepting.rest(now);
                    self.accepting.log(now, &error);
                }
            }
        }
        None
    }

    fn shed(&mut self, now: Now, io: &mut I, listener: usize, error: &io::Error) {
        match io.shed(listener) {
            // accept(2) looks for a descriptor first, and for a newcomer then.
            Shed::Nobody => return self.accepting.set_ready(listener, false),
            Shed::One => self.core.handle(now, Input::Shed),
            Shed::Failed => self.accepting.rest(now),
        }
        self.accepting.log(now, error);
    }

    fn adopt(
        &mut self,
        now: Now,
        io: &mut I,
        mut socket: I::Socket,
        peer: Peer,
    ) -> Option<ConnectionId> {
        let Some(id) = self.core.accept(now, peer) else {
            io.reset(socket);
            return None;
        };
        if io.watch(&mut socket, id).is_err() {
            self.core.handle(now, Input::Failed(id));
        }
        self.keep(id, socket);
        Some(id)
    }

    fn keep(&mut self, id: ConnectionId, socket: I::Socket) {
        let slot = id.slot as usize;
        if slot >= self.connections.len() {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(Connection {
            id,
            socket,
            transport: Transport::of(&self.core, id),
            is_ready: false,
            peer_finished: false,
            is_read_out: false,
            is_over: false,
        });
    }
}
