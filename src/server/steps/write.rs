//! Outboxes on their way to sockets: what is queued, which connection is written to next, and what
//! a write tells about the peer.
//!
//! Promises that no connection is closed as a slow reader for what its socket was not offered
//! (contract §5.7). Refuses to know sockets: the turn writes, and says how many bytes were taken.

use std::time::Duration;

use crate::limits::READ_BYTES_PER_SECOND_MIN;
use crate::server::connection::ConnectionId;
use crate::server::core::Core;
use crate::server::parts::sessions::Ping;
use crate::server::parts::write_queue::FlushesLeft;
use crate::time::Now;

impl Core {
    /// Queues what `write` appends, and has it written. Closes the connection as a slow reader when
    /// it has let more than `MAX_OUTBOX` wait.
    pub(crate) fn push(&mut self, now: Now, key: u32, write: impl FnOnce(&mut Vec<u8>)) {
        // What was broadcast before this answer comes ahead of it.
        if self.catch_up(now, key) {
            return self.drop_slow_reader(now, key);
        }
        let offered_bytes = self.sessions[key].outbox().offered_bytes();
        let queued_bytes = self.sessions.queue(key, now.monotonic, write);
        self.queue_flush(key);
        // Contract §5.7: a reader is slow by what its socket was offered and did not take. The rest
        // of what waits is not its doing.
        if offered_bytes + queued_bytes > self.policy.config.outbox_bytes_max {
            self.drop_slow_reader(now, key);
        }
    }

    /// Has the connection written to: an answer of its own waits, or its socket takes bytes again.
    /// A member comes with the answers, any other connection with the pending, whose flood delays
    /// no member.
    pub(crate) fn queue_flush(&mut self, key: u32) {
        let id = self.sessions.id(key);
        match self.members.is_member(key) {
            true => self.write_queue.queue_answer(id),
            false => self.write_queue.queue_pending(id),
        }
    }

    /// Has the connection written to, if something waits for it: its socket takes bytes again.
    pub(crate) fn socket_is_writable(&mut self, id: ConnectionId) {
        if let Some(key) = self.sessions.key(id)
            && !self.sessions[key].outbox().is_empty()
        {
            self.queue_flush(key);
        }
    }

    /// Moves the writing of a connection that has just logged in from the queue of the pending to
    /// that of the members.
    pub(crate) fn promote_flush(&mut self, key: u32) {
        if self.write_queue.contains(self.sessions.id(key)) {
            self.queue_flush(key);
        }
    }

    /// Returns the next connection to write to; `None` when there is none, or `left` allows no
    /// more. Counts what is written of broadcasts and for the pending off `left`.
    pub(crate) fn next_flush(&mut self, now: Now, left: &mut FlushesLeft) -> Option<ConnectionId> {
        self.give_some(now, left);
        loop {
            let id = self.write_queue.pop(left)?;
            if !self.sessions[id.slot].outbox().is_empty() {
                return Some(id);
            }
            // Nothing waits for it any longer; if it is closing, its end goes on here.
            self.flushed(now, id.slot);
        }
    }

    /// Takes `count` bytes, which the socket took, off the outbox. `full` says that the socket
    /// takes no more for now.
    pub(crate) fn wrote(&mut self, now: Now, key: u32, count: usize, full: bool) {
        self.sessions.take(key, now.monotonic, count, full);
        let is_empty = self.sessions[key].outbox().is_empty();
        self.note_taken(now, key, count, full);
        if is_empty {
            self.flushed(now, key);
        } else if full {
            // Its `WRITE_TIMEOUT` runs from here; an event of the socket queues it again.
            self.schedule(now, key);
        } else {
            // The socket took all that it was offered, but more waits. The connection goes to the
            // end of the queue, so that others come first.
            self.queue_flush(key);
        }
    }

    /// True when bytes for the connection wait for their turn to be written.
    pub(crate) fn waits_to_be_written(&self, id: ConnectionId) -> bool {
        let member = self
            .sessions
            .key(id)
            .and_then(|key| self.members.member(key));
        // Broadcasts that it has yet to be given are not in its outbox yet.
        let has_missed = member.is_some_and(|it| it.given != self.broadcasts.published());
        has_missed || self.write_queue.contains(id)
    }

    /// Notes what a write tells about the peer. A socket that was full takes bytes only when the
    /// peer has taken some: a sign of life. A socket that was not full takes bytes also for a peer
    /// that is long gone.
    fn note_taken(&mut self, now: Now, key: u32, count: usize, full: bool) {
        const MICROS_PER_SECOND: u64 = 1_000_000;
        // How long the slowest reader that is not yet late takes for so many bytes.
        let reading = |bytes: usize| {
            let micros = (bytes as u64).saturating_mul(MICROS_PER_SECOND);
            Duration::from_micros(micros / READ_BYTES_PER_SECOND_MIN)
        };
        let has_left = self.sessions[key].outbox().is_empty();
        // A reader that has more than this to read is too slow in any case.
        let read_by_max = now.monotonic + reading(self.policy.config.outbox_bytes_max);
        let Some(open) = self.sessions.open_mut(key) else {
            return;
        };
        let asked = open.ping;
        if std::mem::replace(&mut open.is_socket_full, full) && count > 0 {
            open.alive_at = now.monotonic;
            open.ping = Ping::None;
        }
        // These bytes come after those that the peer has yet to read.
        open.read_by = (open.read_by.max(now.monotonic) + reading(count)).min(read_by_max);
        // The Ping has left. The peer finds it after all that was written before, so its time
        // begins when a steady reader has come to it: bytes of ours must not make the Pong late.
        if open.ping == Ping::Waiting && has_left {
            open.ping = Ping::Left(open.read_by);
        }
        // A Ping that waits in the outbox has no deadline. Now it has one, and there may be no
        // other.
        if open.ping != asked {
            self.schedule(now, key);
        }
    }
}
