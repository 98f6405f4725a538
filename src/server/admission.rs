//! Who gets in: caps by standing. A flood of strangers takes no member's place, since the pending
//! have a budget of their own; when it is full, whoever has been pending for longest goes before
//! a newcomer waits.

use std::net::IpAddr;

use crate::time::Now;
use crate::wire::HeadScanner;

use super::Ending;
use super::cause::{Cause, NoRoom};
use super::hub::Hub;
use super::outbox::Outbox;
use super::report::What;
use super::session::{ConnectionId, Peer, Session, State};

impl Hub {
    /// Decides on a connection before a byte of it is read, and makes room for it.
    ///
    /// # Errors
    /// Why it has no place; it is counted by that.
    pub(super) fn admit_connection(
        &mut self,
        now: Now,
        peer: Peer,
    ) -> Result<ConnectionId, NoRoom> {
        let address = peer.address.map(capped);
        let judged = match address {
            Some(address) => self.judge_address(now, address),
            None => Ok(()),
        };
        if let Err(why) = judged.and_then(|()| self.make_room(now)) {
            self.counters.count(why.word());
            return Err(why);
        }
        Ok(self.enter(now, peer, address))
    }

    /// Whether one more connection may come from the address.
    fn judge_address(&mut self, now: Now, address: IpAddr) -> Result<(), NoRoom> {
        if self.bans.is_banned(address, now.monotonic) {
            return Err(NoRoom::Banned);
        }
        if self
            .connects_by_address
            .admit(&address, now.monotonic)
            .is_err()
        {
            return Err(NoRoom::ConnectRate);
        }
        let is_over = |count: usize, max: usize| max > 0 && count >= max;
        let count = self.places.of(address);
        if is_over(count.connections, self.config.connections_per_address_max) {
            return Err(NoRoom::AddressFull);
        }
        if is_over(count.pending, self.config.pending_per_address_max) {
            return Err(NoRoom::AddressPendingFull);
        }
        Ok(())
    }

    /// Sees to it that there is a place for one more stranger.
    fn make_room(&mut self, now: Now) -> Result<(), NoRoom> {
        let is_full = self.sessions.len() >= self.config.connections_max;
        if !is_full && self.places.pending() < self.config.pending_max {
            return Ok(());
        }
        // Members are never put out for a stranger.
        let oldest = self.places.oldest_pending().ok_or(NoRoom::Full)?;
        self.abandon(now, oldest, What::Refused(Cause::Evicted), Ending::Reset);
        Ok(())
    }

    fn enter(&mut self, now: Now, peer: Peer, address: Option<IpAddr>) -> ConnectionId {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let by = now.monotonic + self.config.handshake_timeout;
        let key = self.sessions.insert(Session {
            serial,
            peer,
            is_counted: address.is_some(),
            flush_queued: false,
            peer_finished: false,
            outbox: Outbox::default(),
            held_bytes: 0,
            state: State::Head {
                by,
                scanner: HeadScanner::default(),
                held: Vec::new(),
            },
        }) as u32;
        self.places.enter(key);
        if let Some(address) = address {
            self.places.count(key, address);
        }
        self.deadlines.schedule(key, by);
        self.notice_crowd(now);
        self.id(key)
    }

    /// The address the connection counts by.
    pub(super) fn counted_address(&self, key: u32) -> Option<IpAddr> {
        let session = &self.sessions[key as usize];
        session
            .peer
            .address
            .filter(|_| session.is_counted)
            .map(capped)
    }

    /// The connection is pending no longer.
    pub(super) fn settle(&mut self, key: u32) {
        let address = self.counted_address(key);
        self.places.settle(key, address);
        self.is_crowded &= self.places.pending() * 2 > self.config.pending_max;
    }

    /// Once the pending fill half their budget, each has less time. O(pending), when that begins.
    fn notice_crowd(&mut self, now: Now) {
        let is_crowded = self.places.pending() * 2 > self.config.pending_max;
        if is_crowded && !self.is_crowded {
            self.is_crowded = true;
            let pending: Vec<u32> = self.places.all_pending().collect();
            for key in pending {
                self.schedule(now, key);
            }
        }
        self.is_crowded = is_crowded;
    }

    /// Brings what is held for peers back under `MEMORY`: whoever holds most goes first.
    /// O(connections) for each that goes.
    pub(super) fn relieve(&mut self, now: Now) {
        while self.held_bytes + self.sessions.len() * size_of::<Session>()
            > self.config.memory_bytes_max
        {
            let holders = self
                .sessions
                .iter()
                .filter(|(_, session)| !matches!(session.state, State::Gone));
            let worst =
                holders.max_by_key(|(_, session)| session.held_bytes + session.outbox.bytes());
            let Some((key, _)) = worst else { return };
            let key = key as u32;
            match self.sessions[key as usize].state {
                State::Open(_) => {
                    let freed = self.sessions[key as usize].outbox.cut(&mut self.spare);
                    self.held_bytes -= freed;
                    self.refuse(now, key, Cause::Memory, None, None);
                }
                _ => self.abandon(now, key, What::Refused(Cause::Memory), Ending::Reset),
            }
        }
    }
}

/// The address that caps and bans count by.
fn capped(address: IpAddr) -> IpAddr {
    address
}
