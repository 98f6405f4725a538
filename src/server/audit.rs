//! The core counts itself again: every count against what it counts, every link against its other
//! end, every bound against what there is.
//!
//! Promises to change nothing, and to name the first thing that does not hold. It is for the
//! proofs: the simulator, the fuzz targets and tests ask it after a step; a server that serves
//! never does. Refuses to know how the core came to its state.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{
    CROWDED_PARTS, HASHES_PENDING_MAX, HASHES_PER_ADDRESS_MAX, LINGERING_MAX,
    LINGERING_PER_ADDRESS_MAX, MESSAGE_OVERHEAD_BYTES_MAX,
};
use crate::network::AddressKey;
use crate::time::UnixSeconds;

use super::{ConnectionId, Ending, Server};
use crate::server::core::Core;
use crate::server::parts::quotas::Count;
use crate::server::parts::sessions::{Session, State};
use crate::server::parts::shared_frame::SharedFrames;

/// `Err` says in a line what does not hold.
type Audit = Result<(), String>;

/// Compares what the core says with what was counted.
///
/// # Errors
/// Both, when they differ.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, said: &T, found: &T) -> Audit {
    match said == found {
        true => Ok(()),
        false => Err(format!("{what}: {said:?} is said, {found:?} found")),
    }
}

/// Compares what was counted with its bound.
///
/// # Errors
/// Both, when there is more.
fn at_most(what: &str, found: usize, max: usize) -> Audit {
    match found <= max {
        true => Ok(()),
        false => Err(format!("{what}: {found}, and {max} at most")),
    }
}

impl Server {
    /// Returns the connection whose password a [`HashJob`](crate::app::password::HashJob) is;
    /// `None` when the job is done.
    pub fn connection_of_job(&self, ticket: u64) -> Option<ConnectionId> {
        let mut logins = self.core.logins.all();
        let found = logins.find(|(known, _)| *known == ticket);
        found.map(|(_, login)| login.connection)
    }

    /// Returns the second before which the user's tokens are void, while a logout of the user is
    /// not in the store yet.
    pub fn void_before(&self, id: &str) -> Option<UnixSeconds> {
        self.core.revocations.valid_from(id)
    }

    /// Returns the logins whose passwords are being checked, or wait for that: each by its ticket, which
    /// is greater than those of the logins before it, and the id that was given.
    pub fn logins(&self) -> impl Iterator<Item = (u64, &str)> {
        let logins = self.core.logins.all();
        logins.map(|(ticket, login)| (ticket, &*login.id))
    }

    /// Returns how many passwords are being checked, or wait for that.
    pub fn passwords_waiting(&self) -> usize {
        self.core.logins.all().count()
    }

    /// True while a password of the connection is being checked, or waits for that.
    pub fn awaits_password(&self, id: ConnectionId) -> bool {
        self.core
            .logins
            .all()
            .any(|(_, login)| login.connection == id)
    }

    /// Returns how a connection stands, in a few words each, for those who fuzz: how far it has come,
    /// what of a request or a frame has begun, and what waits to be written.
    pub fn standing(&self, id: ConnectionId) -> Option<[&'static str; 3]> {
        let key = self.core.sessions.key(id)?;
        let session = &self.core.sessions[key];
        let begun = |is_begun| if is_begun { "a request" } else { "nothing" };
        let (phase, begun) = match session.state() {
            State::Head { held, .. } => ("head", begun(!held.is_empty())),
            State::Body { held, .. } => ("body", begun(!held.is_empty())),
            State::Answering { .. } => ("answering", "nothing"),
            State::Open(open) => match self.core.members.is_member(key) {
                true => ("member", open.progress()),
                false => ("open", open.progress()),
            },
            State::LoggingOut { .. } => ("logging out", "nothing"),
            State::Closing {
                fin_sent: false, ..
            } => ("closing", "nothing"),
            State::Closing { fin_sent: true, .. } => ("lingering", "nothing"),
            State::Closed => return None,
        };
        let outbox = session.outbox();
        let waiting = match (outbox.is_empty(), outbox.unoffered_bytes()) {
            (true, _) => "nothing",
            (false, 0) => "what was offered",
            (false, _) => "more",
        };
        Some([phase, begun, waiting])
    }

    /// Counts everything again, between two steps of a turn. O(n log n) in the connections.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn audit(&self) -> Result<(), String> {
        self.core.audit_sessions()?;
        self.core.audit_memory()?;
        self.core.audit_places()?;
        self.core.audit_presence()?;
        self.core.audit_queues()
    }
}

impl Core {
    /// Checks that each session has a deadline until it has ended, that only open WebSockets are
    /// members, and that connections and lingering stay within their caps.
    fn audit_sessions(&self) -> Audit {
        let mut lingering = 0;
        for (key, session) in self.sessions.iter() {
            let is_gone = matches!(session.state(), State::Closed);
            equal(
                "a place in the wheel",
                &self.timer_wheel.is_scheduled(key),
                &!is_gone,
            )?;
            // Counted by the sessions' own states, and compared with the count that caps go by.
            lingering += usize::from(self.lingers(key));
            if is_gone || !matches!(session.state(), State::Open(_)) {
                // A session without a place in the wheel would never be looked at again, and so
                // might never end.
                equal("a member", &self.members.is_member(key), &false)?;
            }
        }
        equal("lingering", &self.quotas.lingering(), &lingering)?;
        at_most("lingering", lingering, LINGERING_MAX.max(self.stopped()))?;
        at_most(
            "connections",
            // Those that have ended wait for their descriptor to be closed, and make room for a
            // newcomer already.
            self.sessions.len() - self.gone(),
            self.policy.config.connections_max,
        )
    }

    /// Returns how many may linger past the cap: while the server stops, all of them.
    fn stopped(&self) -> usize {
        if self.stopping {
            self.sessions.len()
        } else {
            0
        }
    }

    /// Returns how many sessions have ended and wait for their descriptor to be closed.
    fn gone(&self) -> usize {
        let is_gone = |(_, session): &(u32, &Session)| matches!(session.state(), State::Closed);
        self.sessions.iter().filter(is_gone).count()
    }

    /// Checks the ledger (contract §5.4): what each session holds, each shared frame once, and what
    /// no outbox was offered beyond its bound.
    fn audit_memory(&self) -> Audit {
        let mut shared = SharedFrames::default();
        let given = self.members.all().iter().map(|member| member.given);
        // A frame may be held by the broadcasts and by many outboxes: the ledger counts it once.
        self.broadcasts.audit(given, &mut shared)?;
        for (_, session) in self.sessions.iter() {
            // What was queued and not offered counts as offered once the socket takes only a part
            // of it. That is two crowded parts and one message more at the most.
            let message = self.policy.config.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
            let crowded_bytes = self.policy.config.outbox_bytes_max / CROWDED_PARTS;
            at_most(
                "what an outbox was offered",
                session.outbox().offered_bytes(),
                self.policy.config.outbox_bytes_max + 2 * crowded_bytes + message,
            )?;
        }
        self.sessions.audit(shared)
    }

    /// Checks the counts by address, and that the queue of the pending holds exactly those
    /// connections that are not logged in and not at their end.
    fn audit_places(&self) -> Audit {
        let mut pending = BTreeSet::new();
        let mut addresses = BTreeMap::new();
        for (key, session) in self.sessions.iter() {
            let is_pending = match session.state() {
                State::Head { .. } | State::Body { .. } | State::Answering { .. } => true,
                State::Open(_) => !self.members.is_member(key),
                // Either has left the pending, though its descriptor is still open.
                State::LoggingOut { .. } | State::Closing { .. } => false,
                State::Closed => continue,
            };
            if is_pending {
                pending.insert(key);
            }
            addresses.insert(key, self.sessions[key].counted_address());
        }
        equal("pending", &self.quotas.pending(), &pending.len())?;
        equal(
            "those pending",
            &self.quotas.all_pending().collect(),
            &pending,
        )?;
        at_most("pending", pending.len(), self.policy.config.pending_max)?;
        let counted: BTreeSet<AddressKey> = addresses.values().copied().flatten().collect();
        self.quotas
            .audit(addresses.into_iter(), |key| self.lingers(key))?;
        let mut counts = counted.iter().map(|address| self.quotas.of(*address));
        counts.try_for_each(|count| self.audit_address(count))
    }

    /// True while the connection lingers: our FIN is sent, and the peer's is awaited.
    fn lingers(&self, key: u32) -> bool {
        let state = self.sessions[key].state();
        matches!(state, State::Closing { fin_sent: true, .. })
    }

    /// Checks one address against its caps; a cap of 0 is none (contract §4).
    fn audit_address(&self, count: Count) -> Audit {
        let max = |setting: usize| if setting == 0 { usize::MAX } else { setting };
        at_most(
            "connections of an address",
            count.connections,
            max(self.policy.config.connections_per_address_max),
        )?;
        at_most(
            "pending connections of an address",
            count.pending.len,
            max(self.policy.config.pending_per_address_max),
        )?;
        at_most(
            "lingering of an address",
            count.lingering,
            LINGERING_PER_ADDRESS_MAX.max(self.stopped()),
        )
    }

    /// Checks that each member is found under its user's id and nowhere else, and that each is an
    /// open WebSocket: only these may hear broadcasts (contract §5.5).
    fn audit_presence(&self) -> Audit {
        let members: BTreeSet<u32> = self.members.all().iter().map(|member| member.key).collect();
        equal(
            "members listed once",
            &self.members.all().len(),
            &members.len(),
        )?;
        let mut by_name = BTreeSet::new();
        for user in self.members.users() {
            let before = by_name.len();
            by_name.extend(self.members.connections_of(&user.id));
            // Only users with a connection are listed.
            if by_name.len() == before {
                return Err("somebody is present on no connection".to_owned());
            }
        }
        equal("members by name", &by_name, &members)?;
        let (waiting, to_review) = self.members.count_to_review();
        equal("users who wait to be looked at again", &waiting, &to_review)?;
        match members.iter().find(|key| !self.is_open(**key)) {
            Some(key) => Err(format!("connection {key} is a member and not open")),
            None => Ok(()),
        }
    }

    /// True while the connection is an open WebSocket.
    fn is_open(&self, key: u32) -> bool {
        self.sessions.open(key).is_some()
    }

    /// Checks the places for passwords, in all and by address (contract §3).
    fn audit_logins(&self) -> Audit {
        let mut by_address: BTreeMap<AddressKey, usize> = BTreeMap::new();
        for (_, login) in self.logins.all() {
            if let Some(address) = login.address {
                *by_address.entry(address).or_default() += 1;
            }
        }
        let most = by_address.values().max().copied().unwrap_or_default();
        at_most(
            "passwords waiting",
            self.logins.all().count(),
            HASHES_PENDING_MAX,
        )?;
        at_most("passwords of an address", most, HASHES_PER_ADDRESS_MAX)
    }

    /// Checks that each session which has ended has its descriptor closed once (contract §5.3), and
    /// that each connection which is said to wait stands in a queue of writes.
    fn audit_queues(&self) -> Audit {
        self.audit_logins()?;
        let ended = |(_, ending): &&(_, Ending)| *ending != Ending::Fin;
        equal(
            "endings of those who have gone",
            &self.endings.iter().filter(ended).count(),
            &self.gone(),
        )?;
        self.write_queue.audit()
    }
}
