//! What a turn ends with: writes, and then descriptors that are shut or closed.

use std::io::{ErrorKind, IoSlice};

use super::socket::Then;
use super::{Driver, descriptors};
use crate::server::{Ending, FlushesLeft, SLICES_MAX};
use crate::time::Now;

/// Writes in one turn of what was broadcast: few, so that a turn is short, and an answer to somebody
/// else does not wait until thousands were written to.
const BROADCAST_WRITES_MAX: usize = 32;
/// Writes to connections that are not logged in, in one turn.
const PENDING_WRITES_MAX: usize = 8;
/// Writes in one turn.
const WRITES_MAX: usize = 1_024;
/// Slices in a write to somebody who is to be told little.
const SLICES_FEW: usize = 4;

impl Driver {
    /// Vectored writes to those that have something to be told, in the order of the core; a socket
    /// that took all it was given is asked again after the others.
    pub(super) fn write(&mut self, now: Now) {
        let mut left = FlushesLeft {
            broadcasts: BROADCAST_WRITES_MAX,
            pending: PENDING_WRITES_MAX,
        };
        for _ in 0..WRITES_MAX {
            let Some(id) = self.server.next_flush(now, &mut left) else {
                return;
            };
            let Some(Some(connection)) = self.connections.get_mut(id.slot as usize) else {
                continue;
            };
            // A list for all there may be takes longer to make than most have to be told (1 %).
            let (mut few, mut many) = ([IoSlice::new(&[]); SLICES_FEW], None);
            let filled = self.server.gather(id, &mut few);
            let mut slices = &few[..filled];
            if filled + 1 >= SLICES_FEW {
                let many = many.insert([IoSlice::new(&[]); SLICES_MAX]);
                let filled = self.server.gather(id, many);
                slices = &many[..filled];
            }
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let then = match self.server.ends_behind(now, id) {
                true => Then::Fin,
                false => Then::Open,
            };
            match connection.socket.write_vectored(slices, then) {
                Ok(count) => self.server.wrote(now, id, count, count < offered),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.server.wrote(now, id, 0, true);
                }
                Err(_) => self.server.failed(now, id),
            }
        }
    }

    pub(super) fn close(&mut self, now: Now) {
        while let Some((id, ending)) = self.server.next_ending() {
            let Some(place) = self.connections.get_mut(id.slot as usize) else {
                continue;
            };
            match ending {
                Ending::Fin => {
                    let Some(connection) = place else { continue };
                    connection.is_over = true;
                    if connection.socket.shut_sending_side().is_err() {
                        self.server.failed(now, id);
                    } else if connection.peer_finished {
                        self.discard(now, id);
                    }
                }
                Ending::Close | Ending::Reset => {
                    match place.take() {
                        Some(connection) if ending == Ending::Reset => connection.socket.reset(),
                        Some(connection) if !connection.is_read_out => connection.socket.close(),
                        Some(_) | None => {}
                    }
                    // A descriptor has come free: those that wait need not wait for the timer.
                    self.accept_retry_at = None;
                    // The spare one is lost when somebody else was faster.
                    if self.spare.is_none() {
                        self.spare = descriptors::spare();
                    }
                }
            }
        }
    }
}
