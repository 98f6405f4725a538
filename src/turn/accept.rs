//! Connections on their way in.
//!
//! That a connection waits at a listener is told once, by an edge. So it is remembered here until
//! [`Io::accept`] says otherwise, through every failure. Refuses to know which connections may come
//! in: the core says that.

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

/// At which listeners connections may wait, and until when accepting rests.
pub(super) struct Accepting {
    /// By listener: true while a connection may wait there.
    is_ready: Vec<bool>,
    /// When accepting is to be tried again after it failed for want of descriptors or memory.
    retry_at: Option<Instant>,
    /// When a failure to accept was last logged.
    logged_at: Option<Instant>,
    /// The listener from which the turn accepts, and how many more of it.
    at: (usize, usize),
}

impl Accepting {
    /// So many listeners, at each of which a connection may wait already.
    pub(super) fn new(listeners: usize) -> Accepting {
        Accepting {
            is_ready: vec![true; listeners],
            retry_at: None,
            logged_at: None,
            at: (0, 0),
        }
    }

    /// Begins a turn's accepting with the first listener. Returns false while accepting rests.
    fn begin(&mut self, now: Now) -> bool {
        if self.retry_at.is_some_and(|at| at > now.monotonic) {
            return false;
        }
        self.retry_at = None;
        self.at = (0, ACCEPTS_MAX);
        true
    }

    /// Returns the listener to accept from next: some times each at which a connection may wait.
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

    /// Notes whether a connection may wait at the listener. One that stopped listening is passed
    /// over.
    pub(super) fn set_ready(&mut self, listener: usize, is_ready: bool) {
        if let Some(place) = self.is_ready.get_mut(listener) {
            *place = is_ready;
        }
    }

    /// True when a turn would try to accept.
    pub(super) fn may_go_on(&self) -> bool {
        self.retry_at.is_none() && self.is_ready.contains(&true)
    }

    /// Returns when accepting is tried again, while it rests.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Ends the rest: a descriptor has come free.
    pub(super) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// Lets accepting rest: nothing can be accepted. Connections may still wait, so the listener
    /// stays ready.
    fn rest(&mut self, now: Now) {
        self.retry_at = Some(now.monotonic + ACCEPT_RETRY);
    }

    /// Logs a failure to accept, unless another was logged not long ago.
    fn log(&mut self, now: Now, error: &io::Error) {
        if self.begin_log_interval(now) {
            log::warn!(
                "cannot accept: {error}; newcomers are reset or wait until a connection has gone"
            );
        }
    }

    /// Returns true at most once each [`ACCEPT_LOG_INTERVAL`].
    fn begin_log_interval(&mut self, now: Now) -> bool {
        let is_over = |at| now.monotonic.since(at) >= ACCEPT_LOG_INTERVAL;
        let begins = self.logged_at.is_none_or(is_over);
        if begins {
            self.logged_at = Some(now.monotonic);
        }
        begins
    }
}

impl<I: Io> Turn<I> {
    /// Returns the stage that comes next: that of accepting, unless it rests.
    pub(super) fn begin_accept(&mut self, now: Now, io: &mut I) -> Stage {
        if !self.accepting.begin(now) {
            return Stage::Tick;
        }
        // Connections that ended while they were read give their descriptors to those that come.
        self.close(now, io);
        Stage::Accept
    }

    /// Accepts the next connection, if one waits and may be accepted in this turn: `Some(None)`
    /// when the core had no room for it.
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
                    // The core may have closed another connection for it: there is never more than
                    // one descriptor above the cap.
                    self.close(now, io);
                    return Some(id);
                }
                Accept::Nobody => self.accepting.set_ready(listener, false),
                // It failed before it was accepted; the next may wait.
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

    /// Resets the connection that waits, for which there is no descriptor.
    fn shed(&mut self, now: Now, io: &mut I, listener: usize, error: &io::Error) {
        match io.shed(listener) {
            // accept(2) looks for a descriptor first, and for a connection only then: none may
            // wait.
            Shed::Nobody => return self.accepting.set_ready(listener, false),
            Shed::One => self.core.handle(now, Input::Shed),
            Shed::Failed => self.accepting.rest(now),
        }
        self.accepting.log(now, error);
    }

    /// Hands an accepted connection to the core, and watches its socket. Returns its id; `None`
    /// when the core had no room, and it was reset.
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
            // A socket that is not watched would never be heard of again.
            self.core.handle(now, Input::Failed(id));
        }
        self.keep(id, socket);
        Some(id)
    }

    /// Keeps the socket by the slot of its connection.
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
            has_urgent: false,
            is_read_out: false,
            is_over: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixSeconds;

    #[test]
    fn a_failure_to_accept_is_logged_once_an_interval() {
        let mut accepting = Accepting::new(1);
        let mut is_logged_after = |time: Duration| {
            accepting.begin_log_interval(Now {
                monotonic: Instant::ORIGIN + time,
                unix: UnixSeconds(1),
                fraction: Duration::ZERO,
            })
        };
        assert!(is_logged_after(Duration::ZERO));
        assert!(!is_logged_after(Duration::from_secs(9)));
        assert!(is_logged_after(ACCEPT_LOG_INTERVAL));
        assert!(!is_logged_after(ACCEPT_LOG_INTERVAL));
        assert!(is_logged_after(2 * ACCEPT_LOG_INTERVAL));
    }
}
