//! How what peers say arrives, as the driver hands it over, and what may be held meanwhile.

use crate::limits::{MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};
use crate::server::{ConnectionId, Reading};

use super::world::World;

/// What the server is given at once: it keeps what is left of it while too much waits to be written.
pub(super) const READ_BYTES_MAX: usize = 2_048;
/// Turns within which all must have been offered that was queued by one read.
const TURNS_MAX: usize = 10_000;

/// What a socket took while the model did not know yet what was said.
pub(super) struct Unheard {
    pub(super) id: ConnectionId,
    pub(super) bytes: Vec<u8>,
}

impl World<'_> {
    /// The next bytes of what a peer has said arrive.
    pub(super) fn deliver(&mut self, index: usize, bytes: usize) -> Result<(), String> {
        self.read(index, bytes)?;
        self.turn()
    }

    /// As [`World::deliver`], of which a turn may do many.
    pub(super) fn read(&mut self, index: usize, bytes: usize) -> Result<(), String> {
        let link = &mut self.links[index];
        let mut piece = link.next_piece(bytes);
        if piece.is_empty() || link.is_over() {
            return Ok(());
        }
        let (id, address) = (link.id, link.client.unwrap_or(link.address));
        let before = self.server.verifications();
        self.is_hearing_late = true;
        for link in &mut self.links {
            link.was_stalled = link.stalled_since.is_some();
        }
        let reading = self.receive(id, &mut piece)?;
        self.is_hearing_late = false;
        self.addresses.insert(id.serial, address);
        self.take_jobs()?;
        self.follow_receive(index, reading, before)?;
        for Unheard { id, bytes } in std::mem::take(&mut self.unheard) {
            let index = self.link(id).ok_or("somebody hears who is no more")?;
            self.hear(index, &bytes)?;
        }
        Ok(())
    }

    /// The server reads it: in pieces as large as a read buffer, or as small as they are cut.
    fn receive(&mut self, id: ConnectionId, bytes: &mut [u8]) -> Result<Reading, String> {
        let mut rest = bytes;
        let mut reading = Reading::On;
        // What is reported is of all its pieces.
        self.pressed_bytes = 0;
        while !rest.is_empty() && reading == Reading::On {
            let size = match &mut self.cuts {
                Some(cuts) => 1 + cuts.below(40) as usize,
                None => READ_BYTES_MAX,
            };
            let (piece, more) = rest.split_at_mut(size.min(rest.len()));
            reading = self.hand_over(id, piece)?;
            rest = more;
        }
        Ok(reading)
    }

    /// As the driver: what is pressed is written first, and what waits is decided on then. What
    /// peers hear meanwhile is judged when the model knows what was said.
    fn hand_over(&mut self, id: ConnectionId, bytes: &mut [u8]) -> Result<Reading, String> {
        let mut reading = self.server.receive(self.now, id, bytes);
        self.write_to_store();
        self.pressed_bytes = self.pressed_bytes.max(self.server.held_bytes());
        for turns in 0.. {
            if !self.server.is_pressed() {
                break;
            }
            if turns > TURNS_MAX {
                return Err("the core stays pressed though all was written".to_owned());
            }
            self.check_memory()?;
            self.write()?;
            self.pressed_bytes = self.pressed_bytes.max(self.server.held_bytes());
            self.server.tick(self.now);
            // Each turn ends with that; what it means is judged later.
            while let Some(ending) = self.server.next_ending() {
                self.endings.push_back(ending);
            }
            // What was decided meanwhile may have ended it.
            reading = self.server.receive(self.now, id, &mut []);
            self.write_to_store();
        }
        self.check_memory()?;
        Ok(reading)
    }

    /// Bytes held stay within `MEMORY` after each input.
    fn check_memory(&self) -> Result<(), String> {
        match self.server.held_bytes() <= self.config.memory_bytes_max {
            true => Ok(()),
            false => Err(format!(
                "{} bytes are held, and {} may be",
                self.server.held_bytes(),
                self.config.memory_bytes_max
            )),
        }
    }

    /// Whether the connection may have had to go for want of memory: it was short, and the
    /// connection held something, by what it began to say or did not take.
    pub(super) fn may_go_for_memory(&self, index: usize, held_bytes: usize) -> bool {
        let link = &self.links[index];
        let is_holding = link.is_unfinished() || link.was_stalled || link.stalled_since.is_some();
        is_holding && self.may_be_short_of_memory(held_bytes)
    }

    /// Whether memory was so short, with so much held, that somebody may have had to go.
    pub(super) fn may_be_short_of_memory(&self, held_bytes: usize) -> bool {
        // The tick itself may have sent each of them a Ping.
        let message = 2 * self.config.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
        let reserve = message + self.config.memory_bytes_max / MEMORY_RESERVE_PARTS;
        held_bytes + 1_024 * self.links.len() + reserve > self.config.memory_bytes_max
    }
}
