//! Who gets in: caps by standing. A flood of strangers takes no member's place, since the pending
//! have a budget of their own; when it is full, one of them goes before a newcomer waits: the
//! oldest of the address, or the site, that has most of them.

use std::net::IpAddr;

use crate::time::Now;
use crate::wire::{HeadScanner, Held};

use crate::server::answers::cause::{CloseCause, NoRoom};
use crate::server::answers::report::ReportKind;
use crate::server::connection::{ConnectionId, Ending, Peer, TransportNews};
use crate::server::core::Core;
use crate::server::parts::sessions::State;

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

    /// A proxy that speaks for others begins with a PROXY header, where that is asked for.
    pub(crate) fn begins_with_proxy_header(&self, id: ConnectionId) -> bool {
        let key = self.sessions.key(id);
        self.policy.config.proxy_protocol && key.is_some_and(|key| self.sessions[key].is_proxy)
    }

    /// What the transport has to say of the connection.
    pub(crate) fn hear_transport(&mut self, now: Now, key: u32, news: TransportNews) {
        let refused = match news {
            TransportNews::Holds(bytes) => return self.sessions.set_transport_bytes(key, bytes),
            TransportNews::Client(client) => {
                self.sessions.set_transport_bytes(key, 0);
                let named = client.map_or(Ok(()), |client| self.name_client(now, key, client));
                named.map_err(CloseCause::NoRoom)
            }
            TransportNews::Failed(error) => Err(CloseCause::Proxy(error)),
        };
        // Not a byte of a request has been read; and proxy-protocol.txt §2.1: what begins with no
        // header is to be aborted.
        if let Err(cause) = refused {
            self.abort(now, key, ReportKind::Refused(cause), Ending::Reset);
        }
    }

    /// The connection, a proxy's, is this client's. It is judged and counted as such from now on.
    ///
    /// # Errors
    /// Why the client has no place.
    pub(crate) fn name_client(&mut self, now: Now, key: u32, client: Peer) -> Result<(), NoRoom> {
        self.sessions[key].peer = client;
        self.sessions[key].is_named = true;
        // A proxy behind the proxy speaks for others in turn.
        let trusted = |address: &IpAddr| self.policy.config.trusted_proxies.contains(*address);
        let Some(address) = client.address.filter(|address| !trusted(address)) else {
            return Ok(());
        };
        self.judge_peer(now, client)?;
        self.sessions[key].is_counted = true;
        self.quotas.count(key, address.into());
        Ok(())
    }

    /// A proxy on a Unix socket has no address; who may open that socket is trusted once
    /// proxies are spoken of at all. Until then its user is one client.
    fn is_proxy(&self, peer: Peer) -> bool {
        match peer.address {
            Some(address) => self.policy.config.trusted_proxies.contains(address),
            None => {
                self.policy.config.proxy_protocol || !self.policy.config.trusted_proxies.is_empty()
            }
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
        if !is_exempt
            && self
                .bans
                .is_banned(&self.policy.bans, address, now.monotonic)
        {
            return Err(NoRoom::Banned);
        }
        if self
            .connects_by_address
            .admit(&self.policy.connects, &address, now.monotonic)
            .is_err()
        {
            return Err(NoRoom::ConnectRate);
        }
        let is_over = |count: usize, max: usize| max > 0 && count >= max;
        let count = self.quotas.of(address);
        if is_over(
            count.connections,
            self.policy.config.connections_per_address_max,
        ) {
            return Err(NoRoom::AddressFull);
        }
        if is_over(
            count.pending.len,
            self.policy.config.pending_per_address_max,
        ) {
            return Err(NoRoom::AddressPendingFull);
        }
        Ok(())
    }

    /// True when the address is never banned.
    pub(crate) fn is_ban_exempt(&self, address: IpAddr) -> bool {
        self.policy.config.no_ban.contains(address)
            || self.policy.config.trusted_proxies.contains(address)
    }

    /// Sees to it that there is a place for one more stranger.
    fn make_room(&mut self, now: Now) -> Result<(), NoRoom> {
        let is_full = self.sessions.len() >= self.policy.config.connections_max;
        if !is_full && self.quotas.pending() < self.policy.config.pending_max {
            return Ok(());
        }
        // Members are never put out for a stranger.
        let crowding = self.quotas.most_crowding(now.monotonic);
        let crowding = crowding.ok_or(NoRoom::Full)?;
        self.notice(now, crowding, ReportKind::PendingFull);
        self.abort(
            now,
            crowding,
            ReportKind::Refused(CloseCause::Evicted),
            Ending::Reset,
        );
        Ok(())
    }

    fn enter(&mut self, now: Now, peer: Peer, is_proxy: bool) -> ConnectionId {
        let by = now.monotonic + self.policy.config.handshake_timeout;
        let state = State::Head {
            by,
            scanner: HeadScanner::default(),
            held: Held::default(),
        };
        let key = self.sessions.insert(peer, is_proxy, state);
        let was_crowded = self.is_crowded();
        self.quotas.enter(key, now.monotonic);
        if let Some(address) = self.sessions[key].counted_address() {
            self.quotas.count(key, address);
        }
        self.timer_wheel.schedule(key, by);
        if self.is_crowded() && !was_crowded {
            self.hurry_pending(now);
        }
        self.sessions.id(key)
    }

    /// The connection is pending no longer.
    pub(crate) fn leave_pending(&mut self, key: u32) {
        let address = self.sessions[key].counted_address();
        self.quotas.leave_pending(key, address);
    }

    /// True while pending connections fill more than half their budget.
    pub(crate) fn is_crowded(&self) -> bool {
        self.quotas.pending() * 2 > self.policy.config.pending_max
    }

    /// Once the pending fill half their budget, each has less time. O(pending), when that begins.
    fn hurry_pending(&mut self, now: Now) {
        let pending: Vec<u32> = self.quotas.all_pending().collect();
        for key in pending {
            self.schedule(now, key);
        }
    }
}
