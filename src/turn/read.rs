//! Reading and deciding: many are read, then what they said is decided on.

use std::io::{self, ErrorKind};
use std::ops::Range;

use zeroize::Zeroize as _;

use crate::limits::{TURN_MEMBER_BYTES_MAX, TURN_PENDING_BYTES_MAX};
use crate::server::{ConnectionId, Input, ReadInterest};
use crate::time::Now;

use super::{Io, Turn, find};

/// Reads of members in one turn, and events that are worth taking from the kernel for it. Few enough
/// that the sockets which are read are still in the processor's cache when they are written.
pub const READY_MAX: usize = 64;
/// Bytes that one read of a member brings at the most, and room in the read buffer that is worth such
/// a read: in a turn there is room for several, so that one who sends much does not have it alone.
pub(super) const MEMBER_READ_BYTES_MAX: usize = 16 * 1024;
/// Reads from connections that are not logged in, in one turn.
pub(super) const PENDING_READS_MAX: usize = 8;
/// Bytes that one of them brings at the most.
pub(super) const PENDING_READ_BYTES_MAX: usize = 4 * 1024;
/// Room in the read buffer that is worth such a read.
const PENDING_READ_BYTES_MIN: usize = 1024;

/// The buffer that everything is read into. What was read is wiped when it goes: there are tokens in it,
/// and passwords.
pub(super) struct Scratch {
    bytes: Box<[u8]>,
    /// So many of them were ever read into.
    touched_bytes: usize,
}

impl Scratch {
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
    /// How many they are.
    result: io::Result<usize>,
    /// True when there were no more.
    is_drained: bool,
}

impl<I: Io> Turn<I> {
    /// Reads, unless what was read before is still to be decided on.
    pub(super) fn read(&mut self, io: &mut I) {
        if self.arrivals.is_empty() {
            self.read_all(io);
        }
    }

    /// Decides on the next of what was read, while the core is not pressed. What is left over waits for
    /// the next turn.
    pub(super) fn decide_next(&mut self, now: Now, io: &mut I) -> Option<ConnectionId> {
        if self.core.is_pressed() {
            return None;
        }
        let arrival = self.arrivals.pop_front()?;
        let id = arrival.id;
        self.decide(now, io, arrival);
        Some(id)
    }

    /// One read from each member that has something, and from some that are not logged in, while the
    /// buffer has room.
    ///
    /// Many are read before the first of them is decided on: the kernel's code and ours change places
    /// in the processor's caches once for many.
    fn read_all(&mut self, io: &mut I) {
        let mut start = 0;
        let mut members = self.ready_members.len();
        while members > 0
            && self.arrivals.len() < READY_MAX
            && TURN_MEMBER_BYTES_MAX - start >= MEMBER_READ_BYTES_MAX
        {
            members -= 1;
            let id = self.ready_members.pop_front();
            start += self.read_one(io, id, start..start + MEMBER_READ_BYTES_MAX);
        }
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

    /// One read, into a part of the scratch buffer. Returns how many bytes came.
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
            // man 7 epoll: a read that does not fill the buffer has drained the socket.
            is_drained: result.is_ok() && bytes < room.len(),
            result,
        });
        bytes
    }

    /// Decides on what a read brought. A connection that may have more waits for its next turn.
    fn decide(&mut self, now: Now, io: &mut I, arrival: Arrival) {
        let Arrival {
            id,
            start,
            result,
            is_drained,
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
                // Had the peer's FIN arrived before the socket was drained, there is nothing
                // after it either.
                match (connection.peer_finished, is_drained) {
                    (true, true) => self.finished(now, id),
                    (true, false) if is_over => self.discard(now, io, id),
                    _ => {}
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
