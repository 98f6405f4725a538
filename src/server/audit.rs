//! The core looks at itself: every count against what it counts, every link against its other
//! end, every bound against what there is. For the proofs; a server that serves never asks.

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

/// What does not hold, in a line.
type Audit = Result<(), String>;

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, said: &T, found: &T) -> Audit {
    match said == found {
        true => Ok(()),
        false => Err(format!("{what}: {said:?} is said, {found:?} found")),
    }
}

fn at_most(what: &str, found: usize, max: usize) -> Audit {
    match found <= max {
        true => Ok(()),
        false => Err(format!("{what}: {found}, and {max} at most")),
    }
}

impl Server {
    /// Whose password a [`HashJob`](crate::app::password::HashJob) is of.
    pub fn connection_of_job(&self, ticket: u64) -> Option<ConnectionId> {
        let mut logins = self.core.logins.all();
        let found = logins.find(|(known, _)| *known == ticket);
        found.map(|(_, login)| login.connection)
    }

    /// Before which second the tokens of a user are void whose logout is not kept yet.
    pub fn void_before(&self, id: &str) -> Option<UnixSeconds> {
        self.core.revocations.valid_from(id)
    }

    /// Passwords that are being checked, or wait for that.
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

    /// Counts everything again, between two turns. O(all there is).
    ///
    /// # Errors
    /// The first thing that does not add up.
    pub fn audit(&self) -> Result<(), String> {
        self.core.audit_sessions()?;
        self.core.audit_memory()?;
        self.core.audit_places()?;
        self.core.audit_presence()?;
        self.core.audit_queues()
    }
}

impl Core {
    fn audit_sessions(&self) -> Audit {
        let mut lingering = 0;
        for (key, session) in self.sessions.iter() {
            let is_gone = matches!(session.state(), State::Closed);
            equal(
                "a place in the wheel",
                &self.timer_wheel.is_scheduled(key),
                &!is_gone,
            )?;
            lingering += usize::from(self.lingers(key));
            if is_gone || !matches!(session.state(), State::Open(_)) {
                equal("a member", &self.members.is_member(key), &false)?;
            }
        }
        equal("lingering", &self.quotas.lingering(), &lingering)?;
        at_most("lingering", lingering, LINGERING_MAX.max(self.stopped()))?;
        at_most(
            "connections",
            self.sessions.len() - self.gone(),
            self.policy.config.connections_max,
        )
    }

    /// While stopping, everybody lingers.
    fn stopped(&self) -> usize {
        if self.stopping {
            self.sessions.len()
        } else {
            0
        }
    }

    fn gone(&self) -> usize {
        let is_gone = |(_, session): &(u32, &Session)| matches!(session.state(), State::Closed);
        self.sessions.iter().filter(is_gone).count()
    }

    /// The ledger: what each session holds, each shared frame once, and what was not offered.
    fn audit_memory(&self) -> Audit {
        let mut shared = SharedFrames::default();
        let given = self.members.all().iter().map(|member| member.given);
        self.broadcasts.audit(given, &mut shared)?;
        for (_, session) in self.sessions.iter() {
            // What was queued without having been offered, two crowded parts and one message more at the
            // most, counts as offered once the socket takes only a part.
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

    /// Places by address, and those not yet logged in.
    fn audit_places(&self) -> Audit {
        let mut pending = BTreeSet::new();
        let mut addresses = BTreeMap::new();
        for (key, session) in self.sessions.iter() {
            let is_pending = match session.state() {
                State::Head { .. } | State::Body { .. } | State::Answering { .. } => true,
                State::Open(_) => !self.members.is_member(key),
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

    fn lingers(&self, key: u32) -> bool {
        let state = self.sessions[key].state();
        matches!(state, State::Closing { fin_sent: true, .. })
    }

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

    /// Everybody in the list of members is found under their name, and nobody else.
    fn audit_presence(&self) -> Audit {
        let members: BTreeSet<u32> = self.members.all().iter().map(|member| member.key).collect();
        equal(
            "members listed once",
            &self.members.all().len(),
            &members.len(),
        )?;
        let mut by_name = BTreeSet::new();
        for person in self.members.users() {
            let before = by_name.len();
            by_name.extend(self.members.connections_of(&person.id));
            if by_name.len() == before {
                return Err("somebody is present on no connection".to_owned());
            }
        }
        equal("members by name", &by_name, &members)?;
        let (waiting, doubted) = self.members.count_doubted();
        equal("people who wait to be looked at", &waiting, &doubted)?;
        match members.iter().find(|key| !self.is_open(**key)) {
            Some(key) => Err(format!("connection {key} is a member and not open")),
            None => Ok(()),
        }
    }

    fn is_open(&self, key: u32) -> bool {
        self.sessions.open(key).is_some()
    }

    /// Places for passwords, in all and by address.
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
