//! Which outbox is written next: answers to members first, then what was broadcast to them, then
//! connections that are not logged in. So a broadcast to thousands delays nobody's answer by more
//! than one turn, and a flood of the pending delays no member.

use std::collections::{BTreeSet, VecDeque};

use crate::server::connection::ConnectionId;

/// How many outboxes a turn may still write, besides those that hold an answer to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushesLeft {
    /// Outboxes of members that hold broadcasts alone, or last words.
    pub broadcasts: usize,
    /// Outboxes of connections that are not logged in.
    pub pending: usize,
}

/// Outboxes that are to be written, in three queues. A connection may be in several of them: the
/// first that is reached counts, and the others are passed over.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    answers: VecDeque<ConnectionId>,
    broadcasts: VecDeque<ConnectionId>,
    pending: VecDeque<ConnectionId>,
    /// By slot, which connection waits there, and for what.
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    serial: u32,
    queued: Queued,
}

/// In which queue a connection waits; that of answers counts as more than the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Queued {
    /// In none.
    #[default]
    No,
    /// Of broadcasts, or of the pending.
    Yes,
    /// Of answers.
    Answer,
}

impl WriteQueue {
    /// A member's own answer waits. O(1).
    pub(crate) fn queue_answer(&mut self, id: ConnectionId) {
        if std::mem::replace(self.queued(id), Queued::Answer) != Queued::Answer {
            self.answers.push_back(id);
        }
    }

    /// A broadcast, or its last words, wait for a member. O(1).
    #[inline]
    pub(crate) fn queue_broadcast(&mut self, id: ConnectionId) {
        let queued = self.queued(id);
        if *queued == Queued::No {
            *queued = Queued::Yes;
            self.broadcasts.push_back(id);
        }
    }

    /// Something waits for a connection that is not logged in. O(1).
    pub(crate) fn queue_pending(&mut self, id: ConnectionId) {
        let queued = self.queued(id);
        if *queued == Queued::No {
            *queued = Queued::Yes;
            self.pending.push_back(id);
        }
    }

    /// The next in turn, which waits no longer. Amortised O(1).
    pub(crate) fn pop(&mut self, left: &mut FlushesLeft) -> Option<ConnectionId> {
        loop {
            let before = *left;
            let id = self.pop_entry(left)?;
            if self.forget(id) {
                return Some(id);
            }
            // It was written already, or has ended.
            *left = before;
        }
    }

    fn pop_entry(&mut self, left: &mut FlushesLeft) -> Option<ConnectionId> {
        if let Some(id) = self.answers.pop_front() {
            return Some(id);
        }
        if left.broadcasts > 0
            && let Some(id) = self.broadcasts.pop_front()
        {
            left.broadcasts -= 1;
            return Some(id);
        }
        left.pending = left.pending.checked_sub(1)?;
        self.pending.pop_front()
    }

    /// The connection waits no longer. Returns whether it did. O(1).
    pub(crate) fn forget(&mut self, id: ConnectionId) -> bool {
        let waiting = self.waiting.get_mut(id.slot as usize);
        waiting
            .filter(|waiting| waiting.serial == id.serial)
            .is_some_and(|waiting| std::mem::take(&mut waiting.queued) != Queued::No)
    }

    /// True while the connection waits for its turn. O(1).
    pub(crate) fn contains(&self, id: ConnectionId) -> bool {
        let waiting = self.waiting.get(id.slot as usize);
        waiting.is_some_and(|it| it.serial == id.serial && it.queued != Queued::No)
    }

    /// True while an answer to a member waits.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// True when nothing is queued. There may be nothing left to write for what is.
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.broadcasts.is_empty() && self.pending.is_empty()
    }

    /// In which queue the connection waits. What is known of an earlier one of its slot is void.
    #[inline]
    fn queued(&mut self, id: ConnectionId) -> &mut Queued {
        let slot = id.slot as usize;
        if slot >= self.waiting.len() {
            self.waiting.resize(slot + 1, Waiting::default());
        }
        let waiting = &mut self.waiting[slot];
        if waiting.serial != id.serial {
            waiting.serial = id.serial;
            waiting.queued = Queued::No;
        }
        &mut waiting.queued
    }

    /// Counts again: each connection that is said to wait stands in a queue. O(queues).
    ///
    /// # Errors
    /// Which connection does not.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let queues = [&self.answers, &self.broadcasts, &self.pending];
        let queued: BTreeSet<(u32, u32)> = queues
            .into_iter()
            .flatten()
            .map(|id| (id.slot, id.serial))
            .collect();
        for (slot, waiting) in (0..).zip(&self.waiting) {
            if waiting.queued != Queued::No && !queued.contains(&(slot, waiting.serial)) {
                return Err(format!("connection {slot} waits in no queue of writes"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: ConnectionId = ConnectionId { slot: 1, serial: 7 };
    /// The next connection in that slot.
    const BOB: ConnectionId = ConnectionId { slot: 1, serial: 8 };

    fn pop(queue: &mut WriteQueue) -> Option<ConnectionId> {
        queue.pop(&mut FlushesLeft {
            broadcasts: 1,
            pending: 1,
        })
    }

    #[test]
    fn a_connection_waits_from_when_it_is_queued_until_its_turn() {
        let queues = [
            WriteQueue::queue_answer,
            WriteQueue::queue_broadcast,
            WriteQueue::queue_pending,
        ];
        for (number, put) in queues.into_iter().enumerate() {
            let mut queue = WriteQueue::default();
            assert!(!queue.contains(ALICE));
            put(&mut queue, ALICE);
            assert!(queue.contains(ALICE) && !queue.contains(BOB));
            assert_eq!(queue.has_answers(), number == 0);
            assert_eq!(pop(&mut queue), Some(ALICE));
            assert!(!queue.contains(ALICE) && !queue.has_answers());
        }
    }

    #[test]
    fn an_audit_finds_a_connection_that_waits_in_no_queue() {
        let mut queue = WriteQueue::default();
        queue.queue_pending(ALICE);
        assert_eq!(queue.audit(), Ok(()));
        queue.pending.clear();
        assert!(queue.audit().is_err());
    }
}
