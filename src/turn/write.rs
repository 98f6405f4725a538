//! What a turn ends with: writes, and then sockets that are shut or closed.
//!
//! Promises that a turn writes a bounded number of outboxes, and that last words are offered before
//! their socket goes. Refuses to know whose turn it is to be written: the core says that.

use std::io::{ErrorKind, IoSlice};

use crate::server::{ConnectionId, Ending, FlushesLeft, Input, SLICES_MAX};
use crate::time::Now;

use super::{Connection, Io, Then, Turn};

/// Writes in one turn of what was broadcast. Few, so that a turn is short, and an answer need not
/// wait until thousands were written to.
pub(super) const BROADCAST_WRITES_MAX: usize = 32;
/// Writes to connections that are not logged in, in one turn.
pub(super) const PENDING_WRITES_MAX: usize = 8;
/// Writes in one turn.
pub(super) const WRITES_MAX: usize = 1_024;
/// Slices of a write to a connection for which little waits.
const SLICES_FEW: usize = 4;

/// What a turn may still write.
#[derive(Clone, Copy)]
pub(super) struct WritesLeft {
    all: usize,
    flushes: FlushesLeft,
}

impl Default for WritesLeft {
    fn default() -> WritesLeft {
        WritesLeft {
            all: WRITES_MAX,
            flushes: FlushesLeft {
                broadcasts: BROADCAST_WRITES_MAX,
                pending: PENDING_WRITES_MAX,
            },
        }
    }
}

impl<I: Io> Turn<I> {
    /// Writes to the next connection for which something waits, in the core's order, by one
    /// vectored write. Returns which it was; `None` when no more is written in this turn. A
    /// connection whose socket took all and that has more comes again after the others.
    pub(super) fn write_next(&mut self, now: Now, io: &mut I) -> Option<ConnectionId> {
        self.writes_left.all = self.writes_left.all.checked_sub(1)?;
        let id = self.core.next_flush(now, &mut self.writes_left.flushes)?;
        self.write_to(now, io, id);
        Some(id)
    }

    /// Offers the connection's socket what waits for it, and tells the core how much it took.
    fn write_to(&mut self, now: Now, io: &mut I, id: ConnectionId) {
        let Some(Some(connection)) = self.connections.get_mut(id.slot as usize) else {
            return;
        };
        // A list for all that may wait takes longer to make than most outboxes need.
        let (mut few, mut many) = ([IoSlice::new(&[]); SLICES_FEW], None);
        let filled = self.core.gather(id, &mut few);
        let mut slices = &few[..filled];
        if filled + 1 >= SLICES_FEW {
            let many = many.insert([IoSlice::new(&[]); SLICES_MAX]);
            let filled = self.core.gather(id, many);
            slices = &many[..filled];
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let then = match self.core.ends_after(now, id) {
            true => Then::Fin,
            false => Then::Open,
        };
        match io.write(&mut connection.socket, slices, then) {
            Ok(count) => self.core.wrote(now, id, count, count < offered),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.core.wrote(now, id, 0, true);
            }
            Err(_) => self.core.handle(now, Input::Failed(id)),
        }
    }

    /// Shuts and closes the sockets that the core has done with.
    pub(super) fn close(&mut self, now: Now, io: &mut I) {
        while let Some((id, ending)) = self.core.next_ending() {
            let Some(place) = self.connections.get_mut(id.slot as usize) else {
                continue;
            };
            match ending {
                Ending::Fin => {
                    let Some(connection) = place else { continue };
                    connection.is_over = true;
                    if io.shut(&mut connection.socket).is_err() {
                        self.core.handle(now, Input::Failed(id));
                    } else if connection.peer_finished {
                        // The peer's FIN has come already, and no event will tell it again.
                        self.discard(now, io, id);
                    }
                }
                Ending::Close | Ending::Reset => {
                    match place.take() {
                        Some(connection) if ending == Ending::Reset => io.reset(connection.socket),
                        Some(Connection {
                            socket,
                            is_read_out,
                            ..
                        }) => io.close(socket, is_read_out),
                        None => {}
                    }
                    // A descriptor has come free: newcomers that wait need not wait for the timer.
                    self.accepting.retry_now();
                }
            }
        }
    }
}
