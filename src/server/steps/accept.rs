//! Who gets in: the caps on connections.
//!
//! Promises that a flood of newcomers takes no member's place, since pending connections have a
//! budget of their own. When that is full, one pending connection goes before a newcomer has to
//! wait: the oldest of the address, or of the site, that has most of them. Refuses to know sockets,
//! and how connections are counted: `parts/quotas` does that.

use std::net::IpAddr;

use crate::time::Now;
use crate::wire::{HeadScanner, Held};

use crate::server::answers::cause::{CloseCause, NoRoom};
use crate::server::answers::report::ReportKind;
use crate::server::connection::{ConnectionId, Ending, Peer, TransportNews};
use crate::server::core::Core;
use crate::server::parts::sessions::State;

impl Core {
    /// Decides on a connection before a byte of it is read, and makes room for it. A proxy is not
    /// judged here, since it speaks for many clients; each client is when the proxy has named it
    /// ([`Core::name_client`]).
    ///
    /// # Errors
    /// Why there is no room. The reason is counted.
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
            // Counted for the summary only: a flood must not fill the log with a line for each.
            self.counters.count(why.word());
            return Err(why);
        }
        Ok(self.enter(now, peer, is_proxy))
    }

    /// True when a PROXY header comes first on the connection: `PROXY_PROTOCOL` is set, and the
    /// peer is a proxy.
    pub(crate) fn begins_with_proxy_header(&self, id: ConnectionId) -> bool {
        let key = self.sessions.key(id);
        self.policy.config.proxy_protocol && key.is_some_and(|key| self.sessions[key].is_proxy)
    }

    /// Takes what the transport tells of the connection: how many bytes it holds, which client a
    /// PROXY header names, or that what came is no such header.
    pub(crate) fn hear_transport(&mut self, now: Now, key: u32, news: TransportNews) {
        let refused = match news {
            TransportNews::Holds(bytes) => return self.sessions.set_transport_bytes(key, bytes),
            TransportNews::Client(client) => {
                // The transport hands on what it held.
                self.sessions.set_transport_bytes(key, 0);
                let named = client.map_or(Ok(()), |client| self.name_client(now, key, client));
                named.map_err(CloseCause::NoRoom)
            }
            TransportNews::Failed(error) => Err(CloseCause::Proxy(error)),
        };
        // A reset, and no answer in HTTP: not a byte of a request has been read, and
        // proxy-protocol.txt §2.1 has a connection aborted that does not begin with a header.
        if let Err(cause) = refused {
            self.abort(now, key, ReportKind::Refused(cause), Ending::Reset);
        }
    }

    /// Notes that a proxy's connection comes for `client`. It is judged, counted and logged as the
    /// client's from now on.
    ///
    /// # Errors
    /// Why there is no room for the client.
    pub(crate) fn name_client(&mut self, now: Now, key: u32, client: Peer) -> Result<(), NoRoom> {
        self.sessions[key].peer = client;
        self.sessions[key].is_named = true;
        // A trusted proxy that is named as the client speaks for clients of its own, and is not
        // judged either.
        let trusted = |address: &IpAddr| self.policy.config.trusted_proxies.contains(*address);
        let Some(address) = client.address.filter(|address| !trusted(address)) else {
            return Ok(());
        };
        // Judged before it is counted, or it would count against itself.
        self.judge_peer(now, client)?;
        self.sessions[key].is_counted = true;
        self.quotas.count(key, address.into());
        Ok(())
    }

    /// True when the peer is a proxy that speaks for clients. On a Unix socket there is no address
    /// to go by. Where proxies are configured, each process that may open the socket is trusted as
    /// one; where none are, each user of the machine is a client.
    fn is_proxy(&self, peer: Peer) -> bool {
        match peer.address {
            Some(address) => self.policy.config.trusted_proxies.contains(address),
            None => {
                self.policy.config.proxy_protocol || !self.policy.config.trusted_proxies.is_empty()
            }
        }
    }

    /// Decides whether one more connection may come from the peer.
    ///
    /// # Errors
    /// The first that holds: its address is banned, connects too often, or has as many connections,
    /// or pending connections, as it may have.
    fn judge_peer(&mut self, now: Now, peer: Peer) -> Result<(), NoRoom> {
        let Some(address) = peer.key() else {
            return Ok(());
        };
        // `NO_BAN` names single addresses. A ban is of a key, which for IPv6 is a whole /64: a
        // neighbour in it may be banned.
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
        // Contract §4: 0 turns a cap off.
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

    /// True when the address is never banned: one of `NO_BAN` or `TRUSTED_PROXIES` (contract §4).
    pub(crate) fn is_ban_exempt(&self, address: IpAddr) -> bool {
        self.policy.config.no_ban.contains(address)
            || self.policy.config.trusted_proxies.contains(address)
    }

    /// Makes room for one more connection. Where there is none, one pending connection is closed
    /// for it.
    ///
    /// # Errors
    /// `Full` when no pending connection may be closed.
    fn make_room(&mut self, now: Now) -> Result<(), NoRoom> {
        let is_full = self.sessions.len() >= self.policy.config.connections_max;
        if !is_full && self.quotas.pending() < self.policy.config.pending_max {
            return Ok(());
        }
        // Only pending connections are looked at: members are never closed for a newcomer.
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

    /// Adds the connection as a pending one, whose whole request is due within `HANDSHAKE_TIMEOUT`.
    fn enter(&mut self, now: Now, peer: Peer, is_proxy: bool) -> ConnectionId {
        let by = now.monotonic + self.policy.config.handshake_timeout;
        let state = State::Head {
            by,
            scanner: HeadScanner::default(),
            held: Held::default(),
        };
        let key = self.sessions.insert(peer, is_proxy, state);
        // Taken before the connection counts: all deadlines are set anew when a crowd begins, and
        // not with each newcomer, which would be O(pending) each time.
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

    /// Notes that the connection is pending no longer: it has logged in, or it ends.
    pub(crate) fn leave_pending(&mut self, key: u32) {
        let address = self.sessions[key].counted_address();
        self.quotas.leave_pending(key, address);
    }

    /// True while pending connections fill more than half of their budget (contract §4,
    /// `AUTH_TIMEOUT`).
    pub(crate) fn is_crowded(&self) -> bool {
        self.quotas.pending() * 2 > self.policy.config.pending_max
    }

    /// Sets the deadlines of all pending connections anew, since each has less time now.
    /// O(pending).
    fn hurry_pending(&mut self, now: Now) {
        let pending: Vec<u32> = self.quotas.all_pending().collect();
        for key in pending {
            self.schedule(now, key);
        }
    }
}
