//! The bound on memory: bytes held for peers stay below `MEMORY`, within a turn too (contract
//! §5.4).
//!
//! A part of `MEMORY`, the reserve, stays free for what one more decision may add. When less than
//! that is free, connections are closed: those whose users hold most by their own doing. Before
//! that, what waits is offered to its sockets, as long as half of the reserve is left: no
//! connection is to be closed for what it was not offered. Refuses to know how bytes are counted:
//! `parts/sessions` keeps the ledger.

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

// `MAX_CONNECTIONS` is lowered to what `MEMORY` has room for at this price of a connection. A
// session that outgrows it must not compile.
const _: () = assert!(size_of::<Session>() + OUTBOX_FIRST_BYTES <= CONNECTION_BYTES);

/// Who is to answer for bytes that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    /// A logged-in user, by its number. All its connections count together: each of them alone may
    /// hold little.
    User(u32),
    /// An address, for its connections that are not logged in.
    Address(AddressKey),
    /// One connection, by its key, where it counts by no address and is not logged in.
    Connection(u32),
}

impl Holder {
    fn is_user(self) -> bool {
        matches!(self, Holder::User(_))
    }
}

/// Bytes that a session or a holder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    /// By its own doing: unfinished messages and requests, and answers that it does not take.
    own: usize,
    /// All that waits for it included; each shared frame counts in full.
    all: usize,
}

/// `MEMORY`, and what the reserve is there for.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// `MEMORY`.
    bytes_max: usize,
    /// `MAX_MESSAGE`.
    message_bytes_max: usize,
    members: usize,
    /// Frames that members have yet to be given, each counted once for each member.
    frames_to_give: usize,
    /// What outboxes would hold more that took every spare queue.
    spare_bytes: usize,
}

impl Memory {
    /// Returns how many bytes must stay free for what one more decision may add, and for what was
    /// decided already:
    /// - a message whose buffer doubles while it comes, and what stands around it when it is passed
    ///   on;
    /// - the first place in the outbox of every member, for a broadcast;
    /// - a place for each frame that a member has yet to be given, and the spare queues that these
    ///   may take;
    /// - an eighth of `MEMORY`, by which queues may grow.
    fn reserve_bytes(self) -> usize {
        let message = 2 * self.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
        let first = self.members * OUTBOX_FIRST_BYTES;
        message
            + first
            + self.frames_to_give * SEGMENT_BYTES
            + self.spare_bytes
            + self.bytes_max / MEMORY_RESERVE_PARTS
    }

    /// Returns `MEMORY` less the reserve; 0 where the reserve is larger.
    fn bytes_free_of_reserve(self) -> usize {
        self.bytes_max.saturating_sub(self.reserve_bytes())
    }

    /// True while less than half of the reserve's own part is used: what waits may be offered to its
    /// sockets before anybody is closed.
    fn may_wait(self, ledger_bytes: usize) -> bool {
        ledger_bytes <= self.bytes_max - self.bytes_max / (2 * MEMORY_RESERVE_PARTS)
    }
}

impl Core {
    /// Returns the bytes held for peers: what sessions hold, the sessions themselves, and each
    /// shared frame once. O(1).
    pub(crate) fn ledger_bytes(&self) -> usize {
        self.sessions.ledger_bytes() + self.undecided_bytes()
    }

    /// Returns the bytes of a read that were left undecided: they are held for a peer too.
    fn undecided_bytes(&self) -> usize {
        let undecided = self.undecided.as_ref();
        undecided.map_or(0, |undecided| undecided.bytes.capacity())
    }

    /// Returns `MEMORY` and what of it must stay free now. O(1).
    fn memory(&self) -> Memory {
        Memory {
            bytes_max: self.policy.config.memory_bytes_max,
            message_bytes_max: self.policy.config.message_bytes_max,
            members: self.members.all().len(),
            frames_to_give: self.broadcasts.left(),
            spare_bytes: self.sessions.spare_bytes(),
        }
    }

    /// Returns `MEMORY` less the reserve. O(1).
    pub(crate) fn memory_bytes_free_of_reserve(&self) -> usize {
        self.memory().bytes_free_of_reserve()
    }

    /// True when what is held leaves no room for one more decision, and some connection may be able
    /// to give up something. Reading stops then until some of what waits was written.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        // When nothing can be given up, to stop reading would be to stop for ever.
        self.ledger_bytes() > self.memory_bytes_free_of_reserve() && !self.is_shedding_vain
    }

    /// True when no more last words may be queued before some of what waits was offered to its
    /// sockets: each takes memory, and a turn writes few of them.
    pub(crate) fn is_to_offer_first(&self) -> bool {
        self.sessions.unoffered_bytes() > 0 && self.is_short_of_memory()
    }

    /// Brings what is held for peers back under `MEMORY` less its reserve.
    ///
    /// While something waits that was not offered to its socket, no connection is closed for
    /// memory: the next writes may free enough (contract §5.4). Once half of the reserve is used
    /// too, it waits no longer. O(connections) for each holder that is thrown out.
    pub(crate) fn shed_memory(&mut self, now: Now) {
        // Spare queues belong to no connection, and go before any connection does.
        if self.ledger_bytes() > self.memory_bytes_free_of_reserve() {
            self.sessions.free_spare();
        }
        // Tried anew each time: some connection may hold by now what none held before.
        self.is_shedding_vain = false;
        let is_unoffered = self.broadcasts.left() > 0 || self.sessions.unoffered_bytes() > 0;
        if is_unoffered && self.memory().may_wait(self.ledger_bytes()) {
            return;
        }
        // A closed session keeps its slot until its descriptor is closed, later in this turn. Its
        // bytes count as free, or one connection more than needed would go.
        while self.ledger_bytes() > self.memory_bytes_free_of_reserve() + self.gone_bytes() {
            let Some(worst) = self.worst_holder() else {
                self.is_shedding_vain = true;
                return;
            };
            self.shed(now, worst);
        }
    }

    /// Returns the bytes of slots whose connections have ended in this turn. O(endings of this
    /// turn).
    fn gone_bytes(&self) -> usize {
        let is_gone = |(_, ending): &&(_, Ending)| *ending != Ending::Fin;
        self.endings.iter().filter(is_gone).count() * size_of::<Session>()
    }

    /// Closes connections of one holder, those that hold most first, until enough is free. O(n log
    /// n) in the holder's connections.
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
                    // What waits for the peer is the memory that is to come free, so it is dropped
                    // ahead of the Close.
                    self.cut(key);
                    self.refuse(now, key, CloseCause::Memory, None, None);
                }
                // Without a WebSocket there is no Close frame to send.
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

    /// Returns who is to give up what it holds; `None` when no session holds anything. O(n log n) in
    /// the connections.
    fn worst_holder(&self) -> Option<Holder> {
        let holdings = self.holding_sessions();
        let honest_bytes = 2 * self.policy.config.message_bytes_max;
        worst_of(
            holdings.map(|(holder, held, _)| (holder, held)),
            honest_bytes,
        )
    }

    /// Returns every connection that holds something, with who answers for it and how much it is.
    /// O(connections).
    fn holding_sessions(&self) -> impl Iterator<Item = (Holder, Held, u32)> + '_ {
        self.sessions.iter().filter_map(|(key, session)| {
            let held = held_of(session)?;
            let holder = match (
                self.members.user_of(key),
                self.sessions[key].counted_address(),
            ) {
                (Some(user), _) => Holder::User(user),
                (None, Some(address)) => Holder::Address(address),
                (None, None) => Holder::Connection(key),
            };
            Some((holder, held, key))
        })
    }
}

/// Returns who is to give up what it holds, in this order:
/// 1. Connections that are not logged in are weighed together: many addresses that each hold little
///    may fill the memory. If together they hold more than any user does, and more than an honest
///    user needs, the address of theirs that holds most.
/// 2. The user that holds most by its own doing, if that is more than an honest user needs.
/// 3. The holder that holds most in all.
///
/// `holdings` may have a holder many times, once for each of its connections.
fn worst_of(holdings: impl Iterator<Item = (Holder, Held)>, honest_bytes: usize) -> Option<Holder> {
    let mut holders: BTreeMap<Holder, Held> = BTreeMap::new();
    let mut pending_own = 0;
    for (holder, held) in holdings {
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
    let user = worst(true).filter(|(_, held)| held.own > honest_bytes);
    let user_own = user.map_or(honest_bytes, |(_, held)| held.own);
    let by_own = match pending_own > user_own {
        true => worst(false),
        false => user,
    };
    by_own
        .or_else(|| holders.iter().max_by_key(|(_, held)| held.all))
        .map(|(holder, _)| *holder)
}

/// Returns what a session holds; `None` when it holds nothing, or has ended and is about to be
/// freed.
fn held_of(session: &Session) -> Option<Held> {
    let held = Held {
        own: session.own_bytes(),
        all: session.held_bytes() + session.outbox().bytes(),
    };
    (!session.is_closed() && held.all > 0).then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MEMORY` of 80,000 bytes, of which as many stay free as messages of 1,000 need.
    const MEMORY: Memory = Memory {
        bytes_max: 80_000,
        message_bytes_max: 1_000,
        members: 0,
        frames_to_give: 0,
        spare_bytes: 0,
    };
    const RESERVE_BYTES: usize = 2 * 1_000 + MESSAGE_OVERHEAD_BYTES_MAX + 10_000;

    #[test]
    fn the_reserve_has_room_for_all_that_may_be_queued_before_the_next_look() {
        assert_eq!(MEMORY.reserve_bytes(), RESERVE_BYTES);
        assert_eq!(MEMORY.bytes_free_of_reserve(), 80_000 - RESERVE_BYTES);
        let busy = Memory {
            members: 3,
            frames_to_give: 5,
            spare_bytes: 700,
            ..MEMORY
        };
        let more = 3 * OUTBOX_FIRST_BYTES + 5 * SEGMENT_BYTES + 700;
        assert_eq!(busy.reserve_bytes(), RESERVE_BYTES + more);
        let full = Memory {
            spare_bytes: 80_000,
            ..MEMORY
        };
        assert_eq!(full.bytes_free_of_reserve(), 0);
    }

    #[test]
    fn what_is_not_offered_is_waited_for_until_half_of_the_reserve_is_used() {
        assert!(MEMORY.may_wait(75_000));
        assert!(!MEMORY.may_wait(75_001));
    }

    const HONEST_BYTES: usize = 100;
    const ALICE: Holder = Holder::User(1);
    const BOB: Holder = Holder::User(2);

    fn address(number: u32) -> Holder {
        Holder::Address(AddressKey::of_user(number))
    }

    /// Who goes of holders, each with the bytes it holds by its own doing and in all.
    fn worst(holdings: &[(Holder, usize, usize)]) -> Option<Holder> {
        let holdings = holdings
            .iter()
            .map(|&(holder, own, all)| (holder, Held { own, all }));
        worst_of(holdings, HONEST_BYTES)
    }

    #[test]
    fn nobody_goes_when_nothing_is_held() {
        assert_eq!(worst(&[]), None);
    }

    #[test]
    fn a_user_goes_by_its_own_doing_before_one_who_was_sent_more() {
        assert_eq!(worst(&[(ALICE, 101, 101), (BOB, 0, 900)]), Some(ALICE));
        assert_eq!(worst(&[(ALICE, 101, 101), (BOB, 102, 102)]), Some(BOB));
    }

    #[test]
    fn up_to_what_an_honest_user_needs_who_holds_most_in_all_goes() {
        assert_eq!(worst(&[(ALICE, 100, 100), (BOB, 0, 101)]), Some(BOB));
        assert_eq!(worst(&[(address(1), 100, 100), (BOB, 0, 101)]), Some(BOB));
    }

    #[test]
    fn all_connections_of_a_user_count_together() {
        let three = [(ALICE, 40, 40), (ALICE, 40, 40), (ALICE, 40, 40)];
        let bob = [(BOB, 110, 110), (BOB, 0, 900)];
        assert_eq!(worst(&[&three[..], &bob].concat()), Some(ALICE));
        assert_eq!(
            worst(&[(ALICE, 0, 60), (ALICE, 0, 60), (BOB, 0, 110)]),
            Some(ALICE)
        );
    }

    #[test]
    fn who_is_not_logged_in_is_weighed_together_against_the_worst_user() {
        let pending = [
            (address(1), 60, 60),
            (address(2), 70, 70),
            (Holder::Connection(3), 21, 21),
        ];
        // 151 in all.
        let with = |own| [&pending[..], &[(ALICE, own, own)]].concat();
        assert_eq!(worst(&with(150)), Some(address(2)));
        assert_eq!(worst(&with(151)), Some(ALICE));
        assert_eq!(worst(&with(90)), Some(address(2)));
        // Together they hold no more than an honest user needs.
        assert_eq!(worst(&[pending[0], (ALICE, 90, 90)]), Some(ALICE));
    }
}
