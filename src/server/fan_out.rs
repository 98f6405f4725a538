//! Messages on their way to many: encoded once, held once, charged to whoever sends them, and
//! bounded by what waits without having been offered to its sockets.

use std::rc::Rc;

use crate::app::{Audience, Fault};
use crate::config::{Config, Rate};
use crate::limits::UNOFFERED_FRAMES_MAX;
use crate::time::Now;
use crate::wire::frame::{self, Opcode};

use super::hub::Hub;
use super::presence::{Member, Spending};
use super::rates::Allowance;

/// What one user may do over all its connections.
pub(super) struct UserRates {
    /// Frames: `RATE` and `BURST`, times as many connections as a user may have.
    pub(super) frames: Allowance,
    /// Bytes of messages, before they are multiplied.
    broadcast_bytes: Allowance,
    /// Messages times recipients.
    deliveries: Allowance,
}

impl UserRates {
    pub(super) fn new(config: &Config) -> UserRates {
        let connections = u32::try_from(config.connections_per_user_max).unwrap_or(u32::MAX);
        let frame_rate = Rate {
            count: config.frame_rate.count.saturating_mul(connections),
            ..config.frame_rate
        };
        let frame_burst = config.frame_burst.saturating_mul(connections);
        UserRates {
            frames: Allowance::new(frame_rate, frame_burst),
            broadcast_bytes: Allowance::of_units(
                config.broadcast_rate,
                config.broadcast_burst_bytes,
            ),
            deliveries: Allowance::of_units(config.delivery_rate, config.delivery_burst),
        }
    }
}

impl Hub {
    /// Encodes a message once and queues it to everybody of the audience. O(audience).
    ///
    /// # Errors
    /// `MessageRate` when the sender has used up its allowance; nothing was sent.
    pub(super) fn send(
        &mut self,
        now: Now,
        sender: u32,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        frame::write_with(&mut scratch, Opcode::Text, write);
        let sent = self.charge(now, sender, audience, scratch.len());
        let sent = sent.map(|()| self.deliver(now, audience, Rc::from(scratch.as_slice())));
        self.scratch = scratch;
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
            Audience::Everyone => self.presence.members().len(),
            Audience::User(id) => self.presence.count_of(id),
        };
        let Some(person) = self.presence.person_mut(sender) else {
            return Ok(());
        };
        let rates = &self.user_rates;
        let Spending {
            broadcast_bytes,
            deliveries: delivered,
            ..
        } = person.spending;
        let limited = |retry_after| Fault::MessageRate { retry_after };
        let at = now.monotonic;
        let broadcast_bytes = rates
            .broadcast_bytes
            .spend(broadcast_bytes, at, bytes as u64);
        let delivered = rates.deliveries.spend(delivered, at, deliveries as u64);
        // Either is charged only when both are granted.
        person.spending = Spending {
            broadcast_bytes: broadcast_bytes.map_err(limited)?,
            deliveries: delivered.map_err(limited)?,
            ..person.spending
        };
        Ok(())
    }

    fn deliver(&mut self, now: Now, audience: Audience<'_>, frame: Rc<[u8]>) -> usize {
        let mut fan = Fan {
            frame: &frame,
            delivered: 0,
            slow: Vec::new(),
        };
        match audience {
            // Nobody joins or leaves while the frame is handed out: slow readers go afterwards.
            Audience::Everyone => {
                for index in 0..self.presence.members().len() {
                    self.share(now, self.presence.members()[index], &mut fan);
                }
            }
            Audience::User(id) => {
                let members: Vec<Member> = self.presence.members_of(id).collect();
                for member in members {
                    self.share(now, member, &mut fan);
                }
            }
        }
        let Fan {
            delivered, slow, ..
        } = fan;
        if delivered > 0 {
            self.pool.count_shared(&frame);
        }
        drop(frame);
        for key in slow {
            self.drop_slow_reader(now, key);
        }
        delivered
    }

    /// Queues the frame to one connection, if its token is still good. O(1).
    fn share(&mut self, now: Now, member: Member, fan: &mut Fan<'_>) {
        if member.expires_at <= now.unix {
            return;
        }
        let id = self.id(member.key);
        let session = &mut self.sessions[member.key as usize];
        // A reader is slow by what its socket was offered and did not take; what was not offered
        // yet is bounded by `is_pressed`.
        if session.outbox.offered_bytes() + fan.frame.len() > self.config.outbox_bytes_max {
            fan.slow.push(member.key);
            return;
        }
        let grown = session
            .outbox
            .share(&mut self.pool, now.monotonic, fan.frame);
        session.held_bytes += grown;
        self.held_bytes += grown;
        self.flushes.queue_broadcast(&mut session.queued, id);
        fan.delivered += 1;
    }

    /// True when no more is to be decided before some of what waits was offered to its sockets:
    /// nobody is a slow reader of what its socket was not offered, and a turn's work and memory are
    /// bounded.
    pub(super) fn is_pressed(&self) -> bool {
        self.pool.has_crowded()
            || self.pool.unoffered_shared() > UNOFFERED_FRAMES_MAX
            || self.is_short_of_memory()
    }

    /// True when the connection itself, which is logged in, was answered so much that its socket is
    /// to be offered that first.
    pub(super) fn is_answered_enough(&self, key: u32) -> bool {
        let unoffered = self.sessions[key as usize].outbox.unoffered_bytes();
        unoffered > self.config.outbox_bytes_max / 4 && self.presence.is_member(key)
    }
}

/// A broadcast on its way.
struct Fan<'a> {
    frame: &'a Rc<[u8]>,
    delivered: usize,
    /// Those for whom it was too much.
    slow: Vec<u32>,
}
