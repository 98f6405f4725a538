//! Which outbox is written next: answers to members first, then what was broadcast to them, then
//! connections that are not logged in. So a broadcast to thousands delays nobody's answer by more
//! than one turn, and a flood of the pending delays no member.

use std::collections::VecDeque;

use crate::server::parts::session::ConnectionId;

/// How many outboxes a turn may still write, besides those that hold an answer to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushesLeft {
    /// Outboxes of members that hold broadcasts alone, or last words.
    pub broadcasts: usize,
    /// Outboxes of connections that are not logged in.
    pub pending: usize,
}

/// Outboxes that are to be written, in three queues. A session may be in several of them: the first
/// that is reached counts, and the others are passed over.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    answers: VecDeque<ConnectionId>,
    broadcasts: VecDeque<ConnectionId>,
    pending: VecDeque<ConnectionId>,
}

/// In which queue a session waits; that of answers counts as more than the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Queued {
    /// In none.
    #[default]
    No,
    /// Of broadcasts, or of the pending.
    Yes,
    /// Of answers.
    Answer,
}

impl Flushes {
    /// A member's own answer waits. O(1).
    pub(crate) fn queue_answer(&mut self, queued: &mut Queued, id: ConnectionId) {
        if std::mem::replace(queued, Queued::Answer) != Queued::Answer {
            self.answers.push_back(id);
        }
    }

    /// A broadcast, or its last words, wait for a member. O(1).
    pub(crate) fn queue_broadcast(&mut self, queued: &mut Queued, id: ConnectionId) {
        if *queued == Queued::No {
            *queued = Queued::Yes;
            self.broadcasts.push_back(id);
        }
    }

    /// Something waits for a connection that is not logged in. O(1).
    pub(crate) fn queue_pending(&mut self, queued: &mut Queued, id: ConnectionId) {
        if *queued == Queued::No {
            *queued = Queued::Yes;
            self.pending.push_back(id);
        }
    }

    /// The next in turn. It may have ended since, or have been written already. O(1).
    pub(crate) fn pop(&mut self, left: &mut FlushesLeft) -> Option<ConnectionId> {
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

    /// True while an answer to a member waits.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.broadcasts.is_empty() && self.pending.is_empty()
    }

    /// True when the connection is in one of the queues. O(queues).
    pub(crate) fn contains(&self, id: ConnectionId) -> bool {
        [&self.answers, &self.broadcasts, &self.pending]
            .iter()
            .any(|queue| queue.contains(&id))
    }
}
