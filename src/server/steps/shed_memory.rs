//! The ledger's bound: what is held for peers stays below `MEMORY` within a turn too, since a part
//! of it is kept free for what one more decision may add; and when it runs short, connections go
//! whose users hold most by their own doing.

use std::collections::BTreeMap;

use crate::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};
use crate::network::AddressKey;
use crate::time::Now;

use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::ReportKind;
use crate::server::connection::Ending;
use crate::server::core::Core;
use crate::server::parts::sessions::{OUTBOX_FIRST_BYTES, SEGMENT_BYTES};
use crate::server::parts::sessions::{Session, State};

const _: () = assert!(size_of::<Session>() + OUTBOX_FIRST_BYTES <= CONNECTION_BYTES);

/// Whose doing it is that something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    /// A logged-in user, by the number of the person.
    User(u32),
    /// An address nobody is logged in from on that connection.
    Address(AddressKey),
    /// A connection that counts by no address, by its key.
    Connection(u32),
}

impl Holder {
    fn is_user(self) -> bool {
        matches!(self, Holder::User(_))
    }
}

/// What a session or a holder holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    /// By its own doing: unfinished messages and requests, and answers it does not take.
    own: usize,
    /// All that waits for it included, each shared frame counted in full.
    all: usize,
}

impl Core {
    /// Bytes held for peers: what sessions hold, sessions themselves, and each shared frame once.
    pub(crate) fn ledger_bytes(&self) -> usize {
        self.sessions.ledger_bytes() + self.undecided_bytes()
    }

    fn undecided_bytes(&self) -> usize {
        let undecided = self.undecided.as_ref();
        undecided.map_or(0, |undecided| undecided.bytes.capacity())
    }

    /// What must stay free for what one more decision may add, and for what was decided already: a
    /// message that grows to twice its size, a first frame in every member's outbox and the frames that
    /// are yet to be given, the spare queues that these may take, and queues that grow by an eighth.
    fn reserve_bytes(&self) -> usize {
        let message = 2 * self.policy.config.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
        let first = self.members.all().len() * OUTBOX_FIRST_BYTES;
        message
            + first
            + self.broadcasts.left() * SEGMENT_BYTES
            + self.sessions.spare_bytes()
            + self.policy.config.memory_bytes_max / MEMORY_RESERVE_PARTS
    }

    fn memory_bytes_free_of_reserve(&self) -> usize {
        let max = self.policy.config.memory_bytes_max;
        max.saturating_sub(self.reserve_bytes())
    }

    /// True when what is held leaves no room for what one more decision may add, and somebody can be
    /// asked to give up something.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.ledger_bytes() > self.memory_bytes_free_of_reserve() && !self.is_relief_vain
    }

    /// True when no more last words are to be queued before some of what waits was offered: each takes
    /// memory, and a turn writes few of them.
    pub(crate) fn is_to_offer_first(&self) -> bool {
        self.sessions.unoffered_bytes() > 0 && self.is_short_of_memory()
    }

    /// Brings what is held for peers back under `MEMORY` less its reserve. Nobody goes while
    /// something waits that its socket was not offered, since it may go by itself; but half of the
    /// reserve is not waited for.
    ///
    /// O(connections) for each user that is thrown out.
    pub(crate) fn shed_memory(&mut self, now: Now) {
        if self.ledger_bytes() > self.memory_bytes_free_of_reserve() {
            self.sessions.free_spare();
        }
        self.is_relief_vain = false;
        let max = self.policy.config.memory_bytes_max;
        let may_wait = self.ledger_bytes() <= max - max / (2 * MEMORY_RESERVE_PARTS);
        let is_unoffered = self.broadcasts.left() > 0 || self.sessions.unoffered_bytes() > 0;
        if may_wait && is_unoffered {
            return;
        }
        // A connection that has gone has a slot until the driver lets go, later in this turn.
        while self.ledger_bytes() > self.memory_bytes_free_of_reserve() + self.gone_bytes() {
            let Some(worst) = self.worst_holder() else {
                self.is_relief_vain = true;
                return;
            };
            self.shed(now, worst);
        }
    }

    /// The slots of connections that have ended. O(endings of this turn).
    fn gone_bytes(&self) -> usize {
        let is_gone = |(_, ending): &&(_, Ending)| *ending != Ending::Fin;
        self.endings.iter().filter(is_gone).count() * size_of::<Session>()
    }

    /// Throws out connections of one holder, those that hold most first, until enough is free.
    fn shed(&mut self, now: Now, holder: Holder) {
        let mut connections: Vec<(Held, u32)> = self
            .holding_sessions()
            .filter(|(other, _, _)| *other == holder)
            .map(|(_, held, key)| (held, key))
            .collect();
        connections.sort_unstable_by(|a, b| b.cmp(a));
        for (_, key) in connections {
            match self.sessions[key].state() {
                State::Open(_) => {
                    self.cut(key);
                    self.refuse(now, key, CloseCause::Memory, None, None);
                }
                _ => self.abort(
                    now,
                    key,
                    ReportKind::Refused(CloseCause::Memory),
                    Ending::Reset,
                ),
            }
            if self.ledger_bytes() <= self.memory_bytes_free_of_reserve() + self.gone_bytes() {
                return;
            }
        }
    }

    /// Who is to give up what it holds. Those not logged in are weighed together: if they hold more
    /// than any user, it is the address of theirs that holds most. Else it is the user that holds
    /// most by its own doing, if that is more than an honest user needs; else the one that holds
    /// most in all.
    fn worst_holder(&self) -> Option<Holder> {
        let mut holders: BTreeMap<Holder, Held> = BTreeMap::new();
        let mut pending_own = 0;
        for (holder, held, _) in self.holding_sessions() {
            let sum = holders.entry(holder).or_default();
            sum.own += held.own;
            sum.all += held.all;
            pending_own += if holder.is_user() { 0 } else { held.own };
        }
        let worst = |is_user: bool| {
            let of_kind = holders
                .iter()
                .filter(|(holder, _)| holder.is_user() == is_user);
            of_kind.max_by_key(|(_, held)| held.own)
        };
        let honest = 2 * self.policy.config.message_bytes_max;
        let user = worst(true).filter(|(_, held)| held.own > honest);
        let user_own = user.map_or(honest, |(_, held)| held.own);
        let by_own = match pending_own > user_own {
            true => worst(false),
            false => user,
        };
        by_own
            .or_else(|| holders.iter().max_by_key(|(_, held)| held.all))
            .map(|(holder, _)| *holder)
    }

    /// Every connection that holds something, whose doing that is, and how much. O(connections).
    fn holding_sessions(&self) -> impl Iterator<Item = (Holder, Held, u32)> + '_ {
        self.sessions.iter().filter_map(|(key, session)| {
            let held = held_of(session)?;
            let holder = match (
                self.members.user_of(key),
                self.sessions[key].counted_address(),
            ) {
                (Some(person), _) => Holder::User(person),
                (None, Some(address)) => Holder::Address(address),
                (None, None) => Holder::Connection(key),
            };
            Some((holder, held, key))
        })
    }
}

fn held_of(session: &Session) -> Option<Held> {
    let held = Held {
        own: session.own_bytes(),
        all: session.held_bytes() + session.outbox().bytes(),
    };
    (!session.is_closed() && held.all > 0).then_some(held)
}
