//! Who gets in: caps by standing. A flood of strangers takes no member's place, since the pending
//! have a budget of their own; when it is full, one of them goes before a newcomer waits: the
//! oldest of the address, or the site, that has most of them.

use std::net::IpAddr;

use crate::network::AddressKey;
use crate::time::Now;
use crate::wire::{HeadScanner, Held};

use crate::server::Ending;
use crate::server::answers::cause::{Cause, NoRoom};
use crate::server::answers::report::What;
use crate::server::core::Core;
use crate::server::parts::outbox::Outbox;
use crate::server::parts::session::{ConnectionId, Peer, Session, State};
use crate::server::parts::write_queue::Queued;

impl Core {
    /// Decides on a connection before a byte of it is read, and makes room for it. One that
    /// speaks for others is judged when it has said for whom.
    ///
    /// # Errors
    /// Why it has no place; it is counted by that.
    pub(crate) fn admit_connection(
        &mut self,
        now: Now,
        peer: Peer,
    ) -> Result<ConnectionId, NoRoom> {
        let is_proxy = self.is_proxy(peer);
        let judged = match is_proxy {
            true => Ok(()),
            false => self.judge_peer(now, peer),
        };
        if let Err(why) = judged.and_then(|()| self.make_room(now)) {
            self.counters.count(why.word());
            return Err(why);
        }
        Ok(self.enter(now, peer, is_proxy))
    }

    /// The connection, a proxy's, is this client's. It is judged and counted as such from now on.
    ///
    /// # Errors
    /// Why the client has no place.
    pub(crate) fn name_client(&mut self, now: Now, key: u32, client: Peer) -> Result<(), NoRoom> {
        self.sessions[key as usize].peer = client;
        self.sessions[key as usize].is_named = true;
        // A proxy behind the proxy speaks for others in turn.
        let trusted = |address: &IpAddr| self.config.trusted_proxies.contains(*address);
        let Some(address) = client.address.filter(|address| !trusted(address)) else {
            return Ok(());
        };
        self.judge_peer(now, client)?;
        self.sessions[key as usize].is_counted = true;
        self.places.count(key, address.into());
        Ok(())
    }

    /// A proxy on a Unix socket has no address; who may open that socket is trusted once
    /// proxies are spoken of at all. Until then its user is one client.
    fn is_proxy(&self, peer: Peer) -> bool {
        match peer.address {
            Some(address) => self.config.trusted_proxies.contains(address),
            None => self.config.proxy_protocol || !self.config.trusted_proxies.is_empty(),
        }
    }

    /// Whether one more connection may come from the peer.
    fn judge_peer(&mut self, now: Now, peer: Peer) -> Result<(), NoRoom> {
        let Some(address) = peer.key() else {
            return Ok(());
        };
        // A neighbour under the same key may be banned.
        let is_exempt = peer
            .address
            .is_some_and(|address| self.is_ban_exempt(address));
        if !is_exempt && self.bans.is_banned(address, now.monotonic) {
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
        if is_over(count.pending.len, self.config.pending_per_address_max) {
            return Err(NoRoom::AddressPendingFull);
        }
        Ok(())
    }

    /// True when the address is never banned.
    pub(crate) fn is_ban_exempt(&self, address: IpAddr) -> bool {
        self.config.no_ban.contains(address) || self.config.trusted_proxies.contains(address)
    }

    /// Sees to it that there is a place for one more stranger.
    fn make_room(&mut self, now: Now) -> Result<(), NoRoom> {
        let is_full = self.sessions.len() >= self.config.connections_max;
        if !is_full && self.places.pending() < self.config.pending_max {
            return Ok(());
        }
        // Members are never put out for a stranger.
        let crowding = self.places.most_crowding(now.monotonic);
        let crowding = crowding.ok_or(NoRoom::Full)?;
        self.notice(now, crowding, What::PendingFull);
        self.abandon(now, crowding, What::Refused(Cause::Evicted), Ending::Reset);
        Ok(())
    }

    fn enter(&mut self, now: Now, peer: Peer, is_proxy: bool) -> ConnectionId {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let by = now.monotonic + self.config.handshake_timeout;
        let address = peer.key().filter(|_| !is_proxy);
        let key = self.sessions.insert(Session {
            serial,
            peer,
            is_proxy,
            is_counted: address.is_some(),
            is_named: false,
            queued: Queued::No,
            peer_finished: false,
            is_hostile: false,
            asks_head: false,
            listed_origin: None,
            outbox: Outbox::default(),
            held_bytes: 0,
            state: match is_proxy && self.config.proxy_protocol {
                true => State::Proxy {
                    by,
                    held: Held::default(),
                },
                false => State::Head {
                    by,
                    scanner: HeadScanner::default(),
                    held: Held::default(),
                },
            },
        }) as u32;
        self.places.enter(key, now.monotonic);
        if let Some(address) = address {
            self.places.count(key, address);
        }
        self.timer_wheel.schedule(key, by);
        self.notice_crowd(now);
        self.id(key)
    }

    /// The address the connection counts by.
    pub(crate) fn counted_address(&self, key: u32) -> Option<AddressKey> {
        let session = &self.sessions[key as usize];
        session.peer.key().filter(|_| session.is_counted)
    }

    /// The connection is pending no longer.
    pub(crate) fn settle(&mut self, key: u32) {
        let address = self.counted_address(key);
        self.places.settle(key, address);
        self.is_crowded &= self.places.pending() * 2 > self.config.pending_max;
    }

    /// What waits for a newly logged-in connection goes with the members'.
    pub(crate) fn prefer(&mut self, key: u32) {
        if self.sessions[key as usize].queued != Queued::No {
            self.queue_flush(key);
        }
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
}
