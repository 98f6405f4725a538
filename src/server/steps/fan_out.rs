//! Messages from one member to many: encoded once, held once, charged to the sender.
//!
//! Promises that a broadcast reaches exactly the members of that moment (contract §5.5), each in
//! the order in which all was decided, and that what waits without having been offered to its
//! sockets is bounded. Refuses to know what a message says: the app writes it.

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
    /// Encodes a message once, charges it to the sender and delivers it. Returns to how many
    /// connections it goes. O(members).
    ///
    /// # Errors
    /// `MessageRate` when the sender's user has used up a budget. Nothing was sent then.
    pub(crate) fn send(
        &mut self,
        now: Now,
        sender: u32,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault> {
        // The buffer is used again for each message, so that encoding allocates nothing.
        let mut scratch = std::mem::take(&mut self.broadcast_scratch);
        scratch.clear();
        frame::write_with(&mut scratch, Opcode::Text, write);
        let sent = self.charge(now, sender, audience, scratch.len());
        let sent = sent.map(|()| self.deliver(now, audience, &scratch));
        self.broadcast_scratch = scratch;
        sent
    }

    /// Charges a message to the sender's user: its bytes before they are multiplied, and its
    /// deliveries (contract §4, `BROADCAST_RATE` and `DELIVERY_RATE`).
    ///
    /// # Errors
    /// `MessageRate` when either budget is used up.
    fn charge(
        &mut self,
        now: Now,
        sender: u32,
        audience: Audience<'_>,
        bytes: usize,
    ) -> Result<(), Fault> {
        // Many tiny messages to thousands cost few bytes and much work, which is what this budget
        // bounds.
        let deliveries = match audience {
            Audience::Everyone => self.members.all().len(),
            Audience::User(id) => self.members.count_of(id),
        };
        let Some(user) = self.members.user_mut(sender) else {
            return Ok(());
        };
        let policy = &self.policy;
        let Spending {
            broadcast_bytes,
            deliveries: delivered,
            ..
        } = user.spending;
        let limited = |retry_after| Fault::MessageRate { retry_after };
        let at = now.monotonic;
        let broadcast_bytes = policy
            .broadcast_bytes
            .spend(broadcast_bytes, at, bytes as u64);
        let delivered = policy.deliveries.spend(delivered, at, deliveries as u64);
        // Either is charged only when both are granted: a message that is not sent costs nothing.
        user.spending = Spending {
            broadcast_bytes: broadcast_bytes.map_err(limited)?,
            deliveries: delivered.map_err(limited)?,
            ..user.spending
        };
        Ok(())
    }

    /// Queues a frame for one user, or has it given to all members as their turns to be written
    /// come. Returns to how many connections it goes. To all means to all whose tokens are good
    /// now, though one of them may prove too slow a reader when its turn comes. O(members), or
    /// O(connections of the user).
    fn deliver(&mut self, now: Now, audience: Audience<'_>, frame: &[u8]) -> usize {
        // A member whose token has expired hears no more, though its deadline is dealt with later.
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
                // Collected first: a connection may prove too slow and be closed, which changes the
                // list.
                let keys: Vec<u32> = members.map(|member| member.key).collect();
                keys.iter()
                    .filter(|key| self.give(now, **key, Rc::clone(&frame)))
                    .count()
            }
        }
    }

    /// Queues a frame for one member, after the broadcasts that it has yet to be given, so that it
    /// hears all in one order. Returns false when the member was too slow a reader, and was closed.
    /// O(missed).
    fn give(&mut self, now: Now, key: u32, frame: Rc<SharedFrame>) -> bool {
        // Contract §5.7: a reader is slow by what its socket was offered and did not take. What was
        // not offered yet is bounded by `has_write_backlog`.
        let bytes_max = self.policy.config.outbox_bytes_max;
        let is_slow =
            self.catch_up(now, key) || !self.sessions.share(key, now.monotonic, frame, bytes_max);
        match is_slow {
            true => self.drop_slow_reader(now, key),
            false => self.write_queue.queue_broadcast(self.sessions.id(key)),
        }
        !is_slow
    }

    /// Gives the next members in turn the broadcasts that they have yet to be given, until one of
    /// them has something to write or the share of the turn is used up. Runs ahead of each write,
    /// so that neither broadcasts nor messages to one user wait for all of the other.
    pub(crate) fn give_some(&mut self, now: Now, left: &mut FlushesLeft) {
        // An answer that waits is written first in any case.
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
            // To find that there is nothing to give to a member is work too, and bounded by the
            // same share.
            left.broadcasts -= 1;
        }
    }

    /// Queues the broadcasts that a member has yet to be given. To be called before anything else
    /// is queued for it, and before it stops being a member: so each member hears everything in one
    /// order.
    ///
    /// Returns true when the member is too slow a reader. What waits for it has been dropped then,
    /// except the frame that is half written, and the caller must close it. A caller that ends the
    /// connection for another cause tells that cause instead. O(missed).
    #[inline]
    pub(crate) fn catch_up(&mut self, now: Now, key: u32) -> bool {
        // On the path of every answer: mostly no broadcast is under way, and this is one
        // comparison.
        !self.broadcasts.is_empty() && self.give_missed(now, key)
    }

    /// As [`Core::catch_up`], while broadcasts are under way.
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
            // Contract §5.5: a token that had expired when the message was sent does not get it.
            let is_good = member.expires_at > said_at;
            is_slow = is_good && !self.sessions.share(key, now.monotonic, frame, bytes_max);
        }
        match is_slow {
            true => self.cut(key),
            false => self.write_queue.queue_broadcast(self.sessions.id(key)),
        }
        is_slow
    }

    /// Drops what waits for the connection, except the frame that is half written, and what it has
    /// yet to be given.
    pub(crate) fn cut(&mut self, key: u32) {
        self.forgo(key);
        self.sessions.cut(key);
    }

    /// Drops the broadcasts that the connection has yet to be given. O(missed).
    pub(crate) fn forgo(&mut self, key: u32) {
        if let Some(member) = self.members.member_mut(key) {
            // Each is counted off: a broadcast is held until no member has yet to be given it.
            while self.broadcasts.next(&mut member.given).is_some() {}
        }
    }

    /// Returns how many shared frames wait without having been offered to their sockets, each
    /// counted once for each recipient. O(1).
    pub(crate) fn unoffered_frames(&self) -> usize {
        self.sessions.unoffered_frames() + self.broadcasts.left()
    }

    /// True when nothing more may be decided before some of what waits was offered to its sockets.
    /// So no connection is a slow reader of what its socket was not offered, and the work and
    /// memory of a turn are bounded (contract §5.7).
    ///
    /// It is asked ahead of each frame: a read of one byte may complete a message to thousands.
    pub(crate) fn has_write_backlog(&self) -> bool {
        self.sessions.has_crowded()
            || self.broadcasts.bytes() > self.policy.config.outbox_bytes_max / CROWDED_PARTS
            || self.unoffered_frames() > UNOFFERED_FRAMES_MAX
            || self.is_short_of_memory()
    }

    /// True when so many answers wait for this member that its socket is to be offered them before
    /// its next frame is decided.
    pub(crate) fn is_answered_enough(&self, key: u32) -> bool {
        let unoffered = self.sessions[key].outbox().unoffered_bytes();
        unoffered > self.policy.config.outbox_bytes_max / CROWDED_PARTS
            && self.members.is_member(key)
    }
}
