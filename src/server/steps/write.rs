//! What waits to be written, and what is known once it was.

use std::time::Duration;

use crate::limits::READ_BYTES_PER_SECOND_MIN;
use crate::server::connection::ConnectionId;
use crate::server::core::Core;
use crate::server::parts::sessions::Ping;
use crate::server::parts::write_queue::FlushesLeft;
use crate::time::Now;

impl Core {
    /// Queues what `write` appends, and its writing. A peer that lets too much wait is closed.
    pub(crate) fn push(&mut self, now: Now, key: u32, write: impl FnOnce(&mut Vec<u8>)) {
        if self.catch_up(now, key) {
            return self.drop_slow_reader(now, key);
        }
        let offered_bytes = self.sessions[key].outbox().offered_bytes();
        let queued_bytes = self.sessions.queue(key, now.monotonic, write);
        self.queue_flush(key);
        // A reader is slow by what its socket was offered and did not take.
        if offered_bytes + queued_bytes > self.policy.config.outbox_bytes_max {
            self.drop_slow_reader(now, key);
        }
    }

    /// An answer of the connection's own waits, or its socket takes bytes again.
    pub(crate) fn queue_flush(&mut self, key: u32) {
        let id = self.sessions.id(key);
        match self.members.is_member(key) {
            true => self.write_queue.queue_answer(id),
            false => self.write_queue.queue_pending(id),
        }
    }

    /// The connection's socket takes bytes again.
    pub(crate) fn socket_is_writable(&mut self, id: ConnectionId) {
        if let Some(key) = self.sessions.key(id)
            && !self.sessions[key].outbox().is_empty()
        {
            self.queue_flush(key);
        }
    }

    /// A connection that has just logged in: what waits for it goes with the members'.
    pub(crate) fn promote_flush(&mut self, key: u32) {
        if self.write_queue.contains(self.sessions.id(key)) {
            self.queue_flush(key);
        }
    }

    /// The next connection to write to. What is written of broadcasts and for the pending is taken
    /// off `left`.
    pub(crate) fn next_flush(&mut self, now: Now, left: &mut FlushesLeft) -> Option<ConnectionId> {
        self.give_some(now, left);
        loop {
            let id = self.write_queue.pop(left)?;
            if !self.sessions[id.slot].outbox().is_empty() {
                return Some(id);
            }
            self.flushed(now, id.slot);
        }
    }

    /// The socket took `count` bytes of what it was offered; `full` when it takes no more for now.
    pub(crate) fn wrote(&mut self, now: Now, key: u32, count: usize, full: bool) {
        self.sessions.take(key, now.monotonic, count, full);
        let is_empty = self.sessions[key].outbox().is_empty();
        self.note_taken(now, key, count, full);
        if is_empty {
            self.flushed(now, key);
        } else if full {
            self.schedule(now, key);
        } else {
            self.queue_flush(key);
        }
    }

    /// True when bytes for the connection wait for their turn to be written.
    pub(crate) fn waits_to_be_written(&self, id: ConnectionId) -> bool {
        let member = self
            .sessions
            .key(id)
            .and_then(|key| self.members.member(key));
        let has_missed = member.is_some_and(|it| it.given != self.broadcasts.published());
        has_missed || self.write_queue.contains(id)
    }

    /// The socket took `count` bytes; `full` when it takes no more for now. What that says of the
    /// peer: a socket that was full takes bytes only when the peer has taken some; one that was not
    /// takes them for a peer that is long gone as well.
    fn note_taken(&mut self, now: Now, key: u32, count: usize, full: bool) {
        const MICROS_PER_SECOND: u64 = 1_000_000;
        let reading = |bytes: usize| {
            let micros = (bytes as u64).saturating_mul(MICROS_PER_SECOND);
            Duration::from_micros(micros / READ_BYTES_PER_SECOND_MIN)
        };
        let has_left = self.sessions[key].outbox().is_empty();
        // A reader that has more than this before it is too slow in any case.
        let read_by_max = now.monotonic + reading(self.policy.config.outbox_bytes_max);
        let Some(open) = self.sessions.open_mut(key) else {
            return;
        };
        let asked = open.ping;
        if std::mem::replace(&mut open.is_socket_full, full) && count > 0 {
            open.alive_at = now.monotonic;
            open.ping = Ping::None;
        }
        open.read_by = (open.read_by.max(now.monotonic) + reading(count)).min(read_by_max);
        if open.ping == Ping::Waiting && has_left {
            open.ping = Ping::Left(open.read_by);
        }
        // While a Ping waits for its turn it has no deadline, and there may be no other.
        if open.ping != asked {
            self.schedule(now, key);
        }
    }
}
