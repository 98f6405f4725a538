//! Messages on their way to many: encoded once, held once, charged to the sender, and
//! bounded by what waits without having been offered to its sockets.

use std::rc::Rc;

use crate::app::{Audience, Fault};
use crate::limits::{CROWDED_PARTS, UNOFFERED_FRAMES_MAX};
use crate::time::Now;
use crate::wire::frame::{self, Opcode};

use crate::server::core::Core;
use crate::server::parts::broadcasts::Missed;
use crate::server::parts::members::{Member, Spending};
use crate::server::parts::shared_frame::SharedFrame;
use crate::server::parts::write_queue::FlushesLeft;

impl Core {
    /// Encodes a message once, for everybody of the audience. O(members).
    ///
    /// # Errors
    /// `MessageRate` when the sender has used up its allowance; nothing was sent.
    pub(crate) fn send(
        &mut self,
        now: Now,
        sender: u32,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault> {
        let mut scratch = std::mem::take(&mut self.broadcast_scratch);
        scratch.clear();
        frame::write_with(&mut scratch, Opcode::Text, write);
        let sent = self.charge(now, sender, audience, scratch.len());
        let sent = sent.map(|()| self.deliver(now, audience, &scratch));
        self.broadcast_scratch = scratch;
        sent
    }

    /// Charges a message to its sender's user: its bytes, and what it costs to deliver it.
    fn charge(
        &mut self,
        now: Now,
        sender: u32,
        audience: Audience<'_>,
        bytes: usize,
    ) -> Result<(), Fault> {
        let deliveries = match audience {
            Audience::Everyone => self.members.all().len(),
            Audience::User(id) => self.members.count_of(id),
        };
        let Some(person) = self.members.user_mut(sender) else {
            return Ok(());
        };
        let policy = &self.policy;
        let Spending {
            broadcast_bytes,
            deliveries: delivered,
            ..
        } = person.spending;
        let limited = |retry_after| Fault::MessageRate { retry_after };
        let at = now.monotonic;
        let broadcast_bytes = policy
            .broadcast_bytes
            .spend(broadcast_bytes, at, bytes as u64);
        let delivered = policy.deliveries.spend(delivered, at, deliveries as u64);
        // Either is charged only when both are granted.
        person.spending = Spending {
            broadcast_bytes: broadcast_bytes.map_err(limited)?,
            deliveries: delivered.map_err(limited)?,
            ..person.spending
        };
        Ok(())
    }

    /// Queues a frame to one user, or has it given to everybody as their turns to be written come.
    /// Returns to how many connections: to all means all whose tokens are good, though one of them may
    /// prove too slow a reader when its turn comes.
    fn deliver(&mut self, now: Now, audience: Audience<'_>, frame: &[u8]) -> usize {
        let is_good = |member: &Member| member.expires_at > now.unix;
        let frame = self.sessions.shared_frame(frame);
        match audience {
            Audience::Everyone => {
                let members = self.members.all();
                let good = members.iter().filter(|member| is_good(member)).count();
                self.broadcasts.publish(frame, now.unix, members.len());
                good
            }
            Audience::User(id) => {
                let members = self.members.members_of(id).filter(is_good);
                let keys: Vec<u32> = members.map(|member| member.key).collect();
                keys.iter()
                    .filter(|key| self.give(now, **key, Rc::clone(&frame)))
                    .count()
            }
        }
    }

    /// Queues a frame that was said to one user, after what it has missed of those to all. Returns
    /// whether it was not too much. O(missed).
    fn give(&mut self, now: Now, key: u32, frame: Rc<SharedFrame>) -> bool {
        // A reader is slow by what its socket was offered and did not take; what was not offered yet
        // is bounded by `is_pressed`.
        let bytes_max = self.policy.config.outbox_bytes_max;
        let is_slow =
            self.catch_up(now, key) || !self.sessions.share(key, now.monotonic, frame, bytes_max);
        match is_slow {
            true => self.drop_slow_reader(now, key),
            false => self.write_queue.queue_broadcast(self.sessions.id(key)),
        }
        !is_slow
    }

    /// Ahead of each write of what was said to members, the next of them in turn is given the broadcasts
    /// it has missed: so neither these nor what is said to one alone has the other wait.
    pub(crate) fn give_some(&mut self, now: Now, left: &mut FlushesLeft) {
        while !self.broadcasts.is_empty() && left.broadcasts > 0 && !self.write_queue.has_answers()
        {
            let Some(key) = self.members.next_behind(self.broadcasts.published()) else {
                return;
            };
            if self.catch_up(now, key) {
                self.drop_slow_reader(now, key);
            }
            if !self.sessions[key].outbox().is_empty() {
                return;
            }
            // To find that somebody is to be given nothing is work too.
            left.broadcasts -= 1;
        }
    }

    /// Queues the broadcasts that a member has missed: before anything else is queued for it, and before
    /// it is a member no longer. Returns whether it is too slow a reader, for whom nothing waits any
    /// longer but the frame under way: one that ends for another cause is told that. O(missed).
    #[inline]
    pub(crate) fn catch_up(&mut self, now: Now, key: u32) -> bool {
        !self.broadcasts.is_empty() && self.give_missed(now, key)
    }

    fn give_missed(&mut self, now: Now, key: u32) -> bool {
        let Some(member) = self.members.member_mut(key) else {
            return false;
        };
        if member.given == self.broadcasts.published() {
            return false;
        }
        let bytes_max = self.policy.config.outbox_bytes_max;
        let mut is_slow = false;
        while !is_slow
            && member.given != self.broadcasts.published()
            && let Some(Missed { frame, said_at }) = self.broadcasts.next(&mut member.given)
        {
            let is_good = member.expires_at > said_at;
            is_slow = is_good && !self.sessions.share(key, now.monotonic, frame, bytes_max);
        }
        match is_slow {
            true => self.cut(key),
            false => self.write_queue.queue_broadcast(self.sessions.id(key)),
        }
        is_slow
    }

    /// What waits is dropped but for the frame under way, and what the connection has missed is not
    /// given to it.
    pub(crate) fn cut(&mut self, key: u32) {
        self.forgo(key);
        self.sessions.cut(key);
    }

    /// What the connection has missed is not given to it. O(missed).
    pub(crate) fn forgo(&mut self, key: u32) {
        if let Some(member) = self.members.member_mut(key) {
            while self.broadcasts.next(&mut member.given).is_some() {}
        }
    }

    /// Shared frames that wait and were not offered to their sockets, counted once for each who is to
    /// hear them.
    pub(crate) fn unoffered_frames(&self) -> usize {
        self.sessions.unoffered_frames() + self.broadcasts.left()
    }

    /// True when no more is to be decided before some of what waits was offered to its sockets:
    /// nobody is a slow reader of what its socket was not offered, and a turn's work and memory are
    /// bounded.
    pub(crate) fn is_pressed(&self) -> bool {
        self.sessions.has_crowded()
            || self.broadcasts.bytes() > self.policy.config.outbox_bytes_max / CROWDED_PARTS
            || self.unoffered_frames() > UNOFFERED_FRAMES_MAX
            || self.is_short_of_memory()
    }

    /// True when the connection itself, which is logged in, was answered so much that its socket is
    /// to be offered that first.
    pub(crate) fn is_answered_enough(&self, key: u32) -> bool {
        let unoffered = self.sessions[key].outbox().unoffered_bytes();
        unoffered > self.policy.config.outbox_bytes_max / CROWDED_PARTS
            && self.members.is_member(key)
    }
}
