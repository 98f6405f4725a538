//! The turn: which connections are read, accepted, written and closed, how many of each, and in
//! which order. It moves bytes between sockets and the core. Refuses to know what the bytes mean,
//! and what a socket, a clock or a signal is: its driver lends it an [`Io`].
//!
//! ```text
//!  events ─► ready ─► read ─► decide ─► accept ─► tick ─► write ─► look ahead ─► close
//!  (Io says)          (Io)    (core)    (Io, core) (core) (core, Io) (core)      (Io)
//! ```
//!
//! **One order, in [`Turn::step`] and nowhere else.** It keeps these promises (contract §5.7):
//!
//! - Many connections are read before the first of them is decided on, and all of that is decided
//!   before more is read. Nothing more is decided while the core says that enough waits to be
//!   written.
//! - No connection is read a second time before each of the same standing that has something was
//!   read once. Connections that are not logged in have a part of the buffer of their own, so that
//!   members cannot shut them out.
//! - What was decided is written in the same turn: all answers to members, then some of what was
//!   broadcast, then some of what waits for connections that are not logged in.
//! - Descriptors go last, so that last words leave before them.
//! - Every part of a turn has a bound, so that a turn is short whatever peers do.

mod accept;
mod io;
#[cfg(test)]
pub(crate) mod net;
mod read;
mod transport;
mod write;

use std::collections::VecDeque;

use crate::record::Recorded;
use crate::server::{ConnectionId, Input};
use crate::time::{Instant, Now};

use accept::Accepting;
use read::{Arrival, Scratch};
use transport::Transport;
use write::WritesLeft;

pub use io::{Accept, Io, Readiness, Shed, Then};
pub use read::READY_MAX;

/// The core and its connections, to be driven turn by turn.
pub struct Turn<I: Io> {
    /// The core, which decides.
    pub core: Recorded,
    /// By slot; `None` exactly where the core has no connection.
    connections: Vec<Option<Connection<I::Socket>>>,
    /// Members that may have more to read. A connection is in one of these two queues at most, and
    /// once.
    ready_members: VecDeque<ConnectionId>,
    /// Connections that are not logged in and may have more to read.
    ready_pending: VecDeque<ConnectionId>,
    scratch: Scratch,
    /// What lies in `scratch` and is not decided on yet, in the order in which it was read.
    arrivals: VecDeque<Arrival>,
    accepting: Accepting,
    /// What the turn does next.
    stage: Stage,
    /// What it may still write.
    writes_left: WritesLeft,
}

/// What a turn does next.
#[derive(Clone, Copy)]
enum Stage {
    Read,
    Decide,
    Accept,
    Tick,
    Write,
    LookAhead,
    Close,
}

/// What was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What was read of this connection was handed to the core.
    Decided(ConnectionId),
    /// A connection was accepted; `None` when the core had no room for it.
    Accepted(Option<ConnectionId>),
    /// Deadlines were looked at.
    Ticked,
    /// The connection's socket was offered bytes.
    Wrote(ConnectionId),
    /// No more is written in this turn.
    Written,
    /// Changes of users were looked for.
    LookedAhead,
    /// Sockets were shut and closed, and the turn is over.
    Over,
}

/// A connection, as far as a turn looks at it.
struct Connection<S> {
    id: ConnectionId,
    socket: S,
    transport: Transport,
    /// True exactly when it is in one of the ready queues.
    is_ready: bool,
    /// True once an event said that the peer's FIN has arrived: perhaps after bytes that are unread.
    peer_finished: bool,
    /// True once urgent data was sent: reads may end ahead of it, though more has arrived.
    has_urgent: bool,
    /// True once it was read to the peer's FIN: nothing is unread, nor will be.
    is_read_out: bool,
    /// True once the core wants nothing more of it.
    is_over: bool,
}

impl<I: Io> Turn<I> {
    /// A turn over so many listeners, at each of which connections may wait already.
    pub fn new(core: Recorded, listeners: usize) -> Turn<I> {
        Turn::with_scratch(core, listeners, Scratch::new())
    }

    /// As [`Turn::new`], with the buffer of a turn that is over: to allocate one takes longer than
    /// many turns do.
    pub fn renewed(self, core: Recorded, listeners: usize) -> Turn<I> {
        Turn::with_scratch(core, listeners, self.scratch)
    }

    /// A turn at its beginning, with this buffer.
    fn with_scratch(core: Recorded, listeners: usize, scratch: Scratch) -> Turn<I> {
        Turn {
            core,
            connections: Vec::new(),
            ready_members: VecDeque::new(),
            ready_pending: VecDeque::new(),
            scratch,
            arrivals: VecDeque::new(),
            accepting: Accepting::new(listeners),
            stage: Stage::Read,
            writes_left: WritesLeft::default(),
        }
    }

    /// Takes one whole turn. The clocks are the same in all of it.
    pub fn run(&mut self, now: Now, io: &mut I) {
        while !matches!(self.step(now, io), Step::Over) {}
    }

    /// Takes the next step of a turn, for a driver that looks at the core after each. Returns what
    /// was done; [`Step::Over`] ends the turn.
    pub fn step(&mut self, now: Now, io: &mut I) -> Step {
        loop {
            match self.stage {
                Stage::Read => {
                    self.read(io);
                    self.stage = Stage::Decide;
                }
                Stage::Decide => match self.decide_next(now) {
                    Some(id) => return Step::Decided(id),
                    None => self.stage = self.begin_accept(now, io),
                },
                Stage::Accept => match self.accept_next(now, io) {
                    Some(id) => return Step::Accepted(id),
                    None => self.stage = Stage::Tick,
                },
                Stage::Tick => {
                    // Ahead of the writes: what a deadline queues leaves in this turn.
                    self.core.handle(now, Input::Tick);
                    self.writes_left = WritesLeft::default();
                    self.stage = Stage::Write;
                    return Step::Ticked;
                }
                Stage::Write => match self.write_next(now, io) {
                    Some(id) => return Step::Wrote(id),
                    None => {
                        self.stage = Stage::LookAhead;
                        return Step::Written;
                    }
                },
                Stage::LookAhead => {
                    // After the writes: no answer of this turn waits for the user store.
                    self.core.handle(now, Input::LookAhead);
                    self.stage = Stage::Close;
                    return Step::LookedAhead;
                }
                Stage::Close => {
                    self.close(now, io);
                    self.stage = Stage::Read;
                    return Step::Over;
                }
            }
        }
    }

    /// Returns when the next turn is to begin at the latest; the origin of the clock when there is
    /// work already, `None` when only an event brings some.
    pub fn next_at(&self) -> Option<Instant> {
        // Sockets are edge-triggered: what a bound left unread or unwritten is told by no further
        // event.
        let reads_wait = !self.arrivals.is_empty()
            || !self.ready_members.is_empty()
            || !self.ready_pending.is_empty();
        if reads_wait || self.accepting.may_go_on() || self.core.has_flushes() {
            return Some(Instant::ORIGIN);
        }
        let deadlines = [self.core.next_deadline(), self.accepting.retry_at()];
        deadlines.into_iter().flatten().min()
    }

    /// Notes that connections may wait at the listener.
    pub fn listener_ready(&mut self, listener: usize) {
        self.accepting.set_ready(listener, true);
    }

    /// Ends everything: connections are told to go, and none is accepted any longer.
    pub fn stop(&mut self, now: Now) {
        self.accepting = Accepting::new(0);
        self.core.handle(now, Input::Stop);
    }

    /// Notes what the connection in the slot has become ready for.
    pub fn connection_ready(&mut self, now: Now, io: &mut I, slot: usize, readiness: Readiness) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return;
        };
        let id = connection.id;
        // The FIN is told once, and may come ahead of bytes that are still unread.
        connection.peer_finished |= readiness.peer_finished;
        connection.has_urgent |= readiness.has_urgent;
        if readiness.has_failed {
            // A failed socket is of no more use: nothing of it is read or written.
            return self.core.handle(now, Input::Failed(id));
        }
        if readiness.writable {
            self.core.handle(now, Input::Writable(id));
        }
        if connection.is_over {
            // What still arrives is discarded; only the peer's FIN is of interest.
            if connection.peer_finished {
                self.discard(now, io, id);
            }
        } else if readiness.readable || readiness.peer_finished {
            self.mark_ready(id);
        }
    }

    /// True when nothing more is read of the connection, or there is none.
    pub fn is_over(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(id.slot as usize);
        let connection = connection.and_then(Option::as_ref);
        connection.is_none_or(|connection| connection.id != id || connection.is_over)
    }

    /// Returns the connection that `id` names; `None` when its slot is another's by now.
    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection<I::Socket>> {
        find(&mut self.connections, id)
    }

    /// Queues the connection for reading, once: with the members, or with those that are not logged
    /// in.
    fn mark_ready(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if std::mem::replace(&mut connection.is_ready, true) {
            return;
        }
        match self.core.is_member(id) {
            true => self.ready_members.push_back(id),
            false => self.ready_pending.push_back(id),
        }
    }

    /// Drops what is unread ahead of the FIN of a peer of which nothing more is wanted, and tells
    /// the core of that FIN only then. The core closes the socket at it, and close(2) with unread
    /// bytes sends a reset, which may overtake our last words or throw them away (RFC 2525 §2.17).
    /// If too much is unread, the linger ends the connection.
    fn discard(&mut self, now: Now, io: &mut I, id: ConnectionId) {
        let connection = self.connection_mut(id);
        if connection.is_some_and(|connection| io.discard(&mut connection.socket)) {
            self.finished(now, id);
        }
    }

    /// Tells the core that the connection was read to the peer's FIN.
    fn finished(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.is_read_out = true;
        }
        self.core.handle(now, Input::Finished(id));
    }
}

/// Returns the connection that `id` names; `None` when its slot is another's by now.
fn find<S>(
    connections: &mut [Option<Connection<S>>],
    id: ConnectionId,
) -> Option<&mut Connection<S>> {
    let connection = connections.get_mut(id.slot as usize)?.as_mut();
    connection.filter(|connection| connection.id == id)
}

#[cfg(test)]
mod tests;
