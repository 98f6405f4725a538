//! Reading and deciding: many connections are read, then what they said is decided on.
//!
//! Promises that one that sends much does not take the buffer from others, and that what was read
//! is wiped when the buffer goes. Refuses to know what was said.

use std::io::{self, ErrorKind};
use std::ops::Range;

use zeroize::Zeroize as _;

use crate::limits::{TURN_MEMBER_BYTES_MAX, TURN_PENDING_BYTES_MAX};
use crate::server::{ConnectionId, Input, ReadInterest};
use crate::time::Now;

use super::{Io, Turn, find};

/// Reads of members in one turn, and events that are worth taking from the kernel for it. Few
/// enough that the sockets which are read are still in the processor's cache when they are written.
pub const READY_MAX: usize = 64;
/// Bytes that one read of a member brings at the most, and room in the buffer that is worth such a
/// read. A turn has room for several, so that a member that sends much does not have it alone.
pub(super) const MEMBER_READ_BYTES_MAX: usize = 16 * 1024;
/// Reads in one turn of connections that are not logged in.
pub(super) const PENDING_READS_MAX: usize = 8;
/// Bytes that one of these reads brings at the most.
pub(super) const PENDING_READ_BYTES_MAX: usize = 4 * 1024;
/// Room in the buffer that is worth such a read.
const PENDING_READ_BYTES_MIN: usize = 1024;

/// The buffer that everything is read into. It is wiped when it goes: there are tokens and
/// passwords in it.
pub(super) struct Scratch {
    bytes: Box<[u8]>,
    /// How many of them were ever read into: only those are wiped.
    touched_bytes: usize,
}

impl Scratch {
    /// A buffer with the bytes that one turn reads of members and of others.
    pub(super) fn new() -> Scratch {
        Scratch {
            bytes: vec![0; TURN_MEMBER_BYTES_MAX + TURN_PENDING_BYTES_MAX].into_boxed_slice(),
            touched_bytes: 0,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.bytes[..self.touched_bytes].zeroize();
    }
}

/// What one read brought.
pub(super) struct Arrival {
    id: ConnectionId,
    /// Where in the scratch buffer its bytes begin.
    start: usize,
    /// How many they are, or why there are none.
    result: io::Result<usize>,
    /// True when the read left nothing in the socket.
    is_drained: bool,
    /// True when the peer's FIN had been told by then. If the read drained the socket too, it was
    /// the last: no bytes came between the two.
    is_after_fin: bool,
}

impl<I: Io> Turn<I> {
    /// Reads, unless what was read before is still to be decided on: the buffer holds it.
    pub(super) fn read(&mut self, io: &mut I) {
        if self.arrivals.is_empty() {
            self.read_all(io);
        }
    }

    /// Decides on the next of what was read, while the core is not pressed. Returns whose bytes
    /// they were; `None` when no more is decided in this turn. What is left over waits for the next
    /// one.
    pub(super) fn decide_next(&mut self, now: Now) -> Option<ConnectionId> {
        if self.core.has_write_backlog() {
            return None;
        }
        let arrival = self.arrivals.pop_front()?;
        let id = arrival.id;
        self.decide(now, arrival);
        Some(id)
    }

    /// Reads once from each member that has something, and from some connections that are not
    /// logged in, while the buffer has room.
    ///
    /// Many are read before the first of them is decided on: the kernel's code and ours change
    /// places in the processor's caches once for many.
    fn read_all(&mut self, io: &mut I) {
        let mut start = 0;
        // Counted before: a member that comes back into the queue is not read twice in a turn.
        let mut members = self.ready_members.len();
        while members > 0
            && self.arrivals.len() < READY_MAX
            && TURN_MEMBER_BYTES_MAX - start >= MEMBER_READ_BYTES_MAX
        {
            members -= 1;
            let id = self.ready_members.pop_front();
            start += self.read_one(io, id, start..start + MEMBER_READ_BYTES_MAX);
        }
        // After what the members have left of the buffer there is always this much: they cannot
        // shut others out.
        let end = start + TURN_PENDING_BYTES_MAX;
        for _ in 0..self.ready_pending.len().min(PENDING_READS_MAX) {
            let id = self.ready_pending.pop_front();
            let read_end = end.min(start + PENDING_READ_BYTES_MAX);
            start += self.read_one(io, id, start..read_end);
            if end - start < PENDING_READ_BYTES_MIN {
                return;
            }
        }
    }

    /// Reads once, into a part of the buffer. Returns how many bytes came; 0 for a connection that
    /// has ended.
    fn read_one(&mut self, io: &mut I, id: Option<ConnectionId>, room: Range<usize>) -> usize {
        let Some(connection) = id.and_then(|id| find(&mut self.connections, id)) else {
            return 0;
        };
        connection.is_ready = false;
        if connection.is_over {
            return 0;
        }
        let (start, room) = (room.start, &mut self.scratch.bytes[room]);
        let result = io.read(&mut connection.socket, room);
        let bytes = *result.as_ref().unwrap_or(&0);
        self.scratch.touched_bytes = self.scratch.touched_bytes.max(start + bytes);
        self.arrivals.push_back(Arrival {
            id: connection.id,
            start,
            // man 7 epoll: a read that does not fill the buffer has drained the socket; unless it
            // ended at urgent data, which no event tells again.
            is_drained: result.is_ok() && bytes < room.len() && !connection.has_urgent,
            is_after_fin: connection.peer_finished,
            result,
        });
        bytes
    }

    /// Hands the core what a read brought. A connection that may have more waits for its next turn.
    fn decide(&mut self, now: Now, arrival: Arrival) {
        let Arrival {
            id,
            start,
            result,
            is_drained,
            is_after_fin,
        } = arrival;
        match result {
            Ok(0) => self.finished(now, id),
            Ok(count) => {
                let Some(connection) = find(&mut self.connections, id) else {
                    return;
                };
                let bytes = &mut self.scratch.bytes[start..start + count];
                let transport = &mut connection.transport;
                let is_over =
                    transport.receive(&mut self.core, now, id, bytes) == ReadInterest::Done;
                connection.is_over |= is_over;
                // A FIN that was told since, while the arrival waited, may follow bytes that are
                // unread: the next read finds it, or, if nothing more is wanted, what drops them.
                if is_drained && is_after_fin {
                    self.finished(now, id);
                }
                if !is_drained && !is_over {
                    self.mark_ready(id);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.core.handle(now, Input::Failed(id)),
        }
    }
}
