//! What comes between two turns, while what was read waits to be decided on.

use super::arrival::{ARRIVAL_BYTES_MAX, Coming};
use super::link::Link;
use super::world::World;

impl World<'_> {
    /// Some leave as soon as what they said waits: the rest of what they have said comes, and their
    /// FIN after it. Both are told before what waits is decided on.
    pub(super) fn somebody_leaves_early(&mut self) {
        // What waits depends on how it is read; and in the end nobody leaves who is to be served.
        if self.is_compared || self.sockets.is_kind || self.coming.is_empty() {
            return;
        }
        for index in 0..self.links.len() {
            if leaves_early(&self.links[index]) {
                self.leave_early(index);
            }
        }
    }

    fn leave_early(&mut self, index: usize) {
        let link = &mut self.links[index];
        let rest = match link.has_last_words() {
            true => link.next_piece(ARRIVAL_BYTES_MAX),
            false => Vec::new(),
        };
        let mut end = link.end.borrow_mut();
        end.receive(rest);
        end.has_finished = true;
        drop(end);
        self.left_early.push(link.id);
        self.come(index, Coming::LastBytes);
    }

    /// The FINs of those who left early were heard.
    pub(super) fn note_early_leavers(&mut self) {
        for id in std::mem::take(&mut self.left_early) {
            if let Some(index) = self.link(id) {
                self.links[index].note_finished();
            }
        }
    }
}

/// Whether something of the peer was read and waits, and it is one that leaves then.
fn leaves_early(link: &Link) -> bool {
    let end = link.end.borrow();
    let waits = end.read_bytes > 0 && !link.is_read_no_more();
    waits && end.kept_back.is_some() && !end.has_finished && !end.has_failed
}
