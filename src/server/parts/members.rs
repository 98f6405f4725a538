//! Who is logged in: every such connection, and under whose name. A user may have many
//! connections; a connection has one user for as long as it is logged in (a connection is bound
//! to its first token's subject).

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use hashbrown::HashTable;
use slab::Slab;

use crate::gate::AccountStatus;
use crate::ids::IdHasher;
use crate::time::{Instant, UnixSeconds};

use crate::server::parts::bounded_map::{BoundedMap, Evictable};
use crate::server::parts::rate_limits::Meter;

const NONE: u32 = u32::MAX;

/// Everyone who is logged in. Keys are the connections' slots in their slab.
#[derive(Debug)]
pub(crate) struct Members {
    members: Vec<Member>,
    /// A seat per key; its user is `NONE` exactly when that connection is not logged in.
    seats: Vec<Seat>,
    users: Slab<MemberUser>,
    /// Every user's seat in `users`, by the hash of the id.
    by_id: HashTable<u32>,
    hasher: IdHasher,
    /// What those have spent who have no connection at the moment.
    departed: BoundedMap<Spending>,
    /// The numbers of users to look at again, in the order in which they were marked, and of some
    /// that have left since.
    to_review: VecDeque<u32>,
    /// Where among the members to look for the next who has missed a broadcast.
    behind_at: usize,
}

/// A logged-in connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) key: u32,
    /// The second from which its token is no longer good.
    pub(crate) expires_at: UnixSeconds,
    /// How many broadcasts it was given, by the count of [`Broadcasts`](crate::server::parts::broadcasts::Broadcasts).
    pub(crate) given: u32,
}

/// Somebody with at least one logged-in connection.
#[derive(Debug)]
pub(crate) struct MemberUser {
    pub(crate) id: Rc<str>,
    /// How the user stood when the store was last seen to change.
    pub(crate) standing: AccountStatus,
    /// True when the store has changed since, so that the user is to be looked at first.
    pub(crate) awaits_review: bool,
    /// The first of this user's connections; the others follow by `Seat::after`.
    first: u32,
    /// How many they are.
    connections: usize,
    /// What the user has spent of its allowances, over all its connections, those that have ended
    /// included.
    pub(crate) spending: Spending,
}

/// What a user has used up of the rates that hold for all its connections together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spending {
    /// Frames.
    pub(crate) frames: Meter,
    /// Bytes of messages, before they are multiplied.
    pub(crate) broadcast_bytes: Meter,
    /// Messages times recipients.
    pub(crate) deliveries: Meter,
}

impl Evictable for Spending {
    fn until(&self) -> Instant {
        let frames = self.frames.until();
        frames
            .max(self.broadcast_bytes.until())
            .max(self.deliveries.until())
    }
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    user: u32,
    /// Its index in `members`.
    index: u32,
    before: u32,
    after: u32,
    /// When its newest token was issued.
    issued_at: UnixSeconds,
}

const VACANT: Seat = Seat {
    user: NONE,
    index: NONE,
    before: NONE,
    after: NONE,
    issued_at: UnixSeconds(0),
};

/// A verified token's dates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dates {
    pub(crate) issued_at: UnixSeconds,
    pub(crate) expires_at: UnixSeconds,
}

impl Members {
    /// Nobody. `seed` keeps peers from choosing ids that collide.
    pub(crate) fn new(seed: u64) -> Members {
        Members {
            members: Vec::new(),
            seats: Vec::new(),
            users: Slab::new(),
            by_id: HashTable::new(),
            hasher: IdHasher::new(seed),
            departed: BoundedMap::new(seed.rotate_left(4)),
            to_review: VecDeque::new(),
            behind_at: 0,
        }
    }

    /// Logs the connection in as `id`; it has missed no broadcast after so many. O(1).
    pub(crate) fn enter(
        &mut self,
        key: u32,
        id: &str,
        dates: Dates,
        standing: AccountStatus,
        given: u32,
    ) {
        debug_assert!(self.user(key).is_none(), "a connection logs in once");
        let number = self.user_number(id, standing);
        let user = &mut self.users[number as usize];
        user.standing = standing;
        user.connections += 1;
        let after = std::mem::replace(&mut user.first, key);
        if after != NONE {
            self.seats[after as usize].before = key;
        }
        let slot = key as usize;
        if slot >= self.seats.len() {
            self.seats.resize(slot + 1, VACANT);
        }
        self.seats[slot] = Seat {
            user: number,
            index: self.members.len() as u32,
            before: NONE,
            after,
            issued_at: dates.issued_at,
        };
        self.members.push(Member {
            key,
            expires_at: dates.expires_at,
            given,
        });
    }

    /// A further verified token of the same user: one that lasts longer moves the dates. O(1).
    pub(crate) fn renew(&mut self, key: u32, dates: Dates) {
        let Some(seat) = self.seats.get_mut(key as usize) else {
            return;
        };
        let Some(member) = self.members.get_mut(seat.index as usize) else {
            return;
        };
        if dates.expires_at > member.expires_at {
            member.expires_at = dates.expires_at;
            seat.issued_at = dates.issued_at;
        }
    }

    /// Logs the connection out, if it was in. O(1).
    pub(crate) fn leave(&mut self, key: u32) {
        let Some(slot) = self.seats.get_mut(key as usize) else {
            return;
        };
        let seat = std::mem::replace(slot, VACANT);
        if seat.user == NONE {
            return;
        }
        self.members.swap_remove(seat.index as usize);
        if let Some(moved) = self.members.get(seat.index as usize) {
            self.seats[moved.key as usize].index = seat.index;
        }
        self.users[seat.user as usize].connections -= 1;
        if seat.after != NONE {
            self.seats[seat.after as usize].before = seat.before;
        }
        if seat.before != NONE {
            self.seats[seat.before as usize].after = seat.after;
            return;
        }
        self.users[seat.user as usize].first = seat.after;
        if seat.after == NONE {
            let user = self.users.remove(seat.user as usize);
            *self.departed.entry(&user.id) = user.spending;
            let hash = self.hasher.hash(&user.id);
            let entry = self.by_id.find_entry(hash, |number| *number == seat.user);
            entry.map(|entry| entry.remove()).ok();
        }
    }

    /// Every logged-in connection, in no order that means anything.
    pub(crate) fn all(&self) -> &[Member] {
        &self.members
    }

    /// The next in turn who was given fewer than so many broadcasts. O(members), but the search goes on
    /// where the last one ended.
    pub(crate) fn next_behind(&mut self, published: u32) -> Option<u32> {
        let (begin, end) = (self.behind_at.min(self.members.len()), self.members.len());
        let is_behind = |index: &usize| self.members[*index].given != published;
        let found = (begin..end).chain(0..begin).find(is_behind)?;
        self.behind_at = found + 1;
        Some(self.members[found].key)
    }

    /// The logged-in connection. O(1).
    pub(crate) fn member(&self, key: u32) -> Option<&Member> {
        let seat = self.seats.get(key as usize)?;
        self.members.get(seat.index as usize)
    }

    /// The logged-in connection. O(1).
    pub(crate) fn member_mut(&mut self, key: u32) -> Option<&mut Member> {
        let seat = self.seats.get(key as usize)?;
        self.members.get_mut(seat.index as usize)
    }

    /// True exactly when the connection is logged in. O(1).
    pub(crate) fn is_member(&self, key: u32) -> bool {
        self.seats
            .get(key as usize)
            .is_some_and(|seat| seat.user != NONE)
    }

    /// Whose connection this is; `None` when it is not logged in.
    pub(crate) fn user(&self, key: u32) -> Option<&MemberUser> {
        let seat = self.seats.get(key as usize)?;
        self.users.get(seat.user as usize)
    }

    pub(crate) fn user_mut(&mut self, key: u32) -> Option<&mut MemberUser> {
        let seat = self.seats.get(key as usize)?;
        self.users.get_mut(seat.user as usize)
    }

    /// The dates of the connection's newest token.
    pub(crate) fn dates(&self, key: u32) -> Option<Dates> {
        let seat = self.seats.get(key as usize)?;
        let member = self.members.get(seat.index as usize)?;
        Some(Dates {
            issued_at: seat.issued_at,
            expires_at: member.expires_at,
        })
    }

    /// How many connections the user called `id` has. O(1).
    pub(crate) fn count_of(&self, id: &str) -> usize {
        let number = self.number(id);
        number.map_or(0, |number| self.users[number as usize].connections)
    }

    /// The number of the user whose connection this is: theirs alone while they are here.
    pub(crate) fn user_of(&self, key: u32) -> Option<u32> {
        let seat = self.seats.get(key as usize)?;
        (seat.user != NONE).then_some(seat.user)
    }

    /// The logged-in connections of the user called `id`.
    pub(crate) fn members_of(&self, id: &str) -> impl Iterator<Item = Member> + '_ {
        self.connections_of(id).filter_map(|key| {
            self.members
                .get(self.seats[key as usize].index as usize)
                .copied()
        })
    }

    /// The connections of the user called `id`.
    pub(crate) fn connections_of(&self, id: &str) -> impl Iterator<Item = u32> + '_ {
        let some = |key: u32| (key != NONE).then_some(key);
        let number = self.number(id);
        let first = number.and_then(|number| some(self.users[number as usize].first));
        std::iter::successors(first, move |&key| some(self.seats[key as usize].after))
    }

    /// Everyone, once each.
    pub(crate) fn users(&self) -> impl Iterator<Item = &MemberUser> {
        self.users.iter().map(|(_, user)| user)
    }

    /// The user called `id` may have changed in the store. O(1).
    pub(crate) fn mark_for_review(&mut self, id: &str) {
        if let Some(number) = self.number(id) {
            let user = &mut self.users[number as usize];
            if !std::mem::replace(&mut user.awaits_review, true) {
                self.to_review.push_back(number);
            }
        }
    }

    /// Any user may have changed in the store. O(users).
    pub(crate) fn mark_all_for_review(&mut self) {
        for (number, user) in &mut self.users {
            // Who waits already keeps its turn, however often the store changes.
            if !std::mem::replace(&mut user.awaits_review, true) {
                self.to_review.push_back(number as u32);
            }
        }
    }

    /// The user called `id` is being looked at. O(1).
    pub(crate) fn note_reviewed(&mut self, id: &str) {
        if let Some(number) = self.number(id) {
            self.users[number as usize].awaits_review = false;
        }
    }

    /// The one who has waited longest to be looked at.
    pub(crate) fn next_to_review(&mut self) -> Option<Rc<str>> {
        loop {
            // Another may have the number by now.
            let user = self.users.get(self.to_review.pop_front()? as usize);
            if let Some(user) = user.filter(|user| user.awaits_review) {
                return Some(Rc::clone(&user.id));
            }
        }
    }

    /// How many wait to be looked at, and how many should.
    pub(crate) fn count_to_review(&self) -> (usize, usize) {
        let awaits_review = |number: &u32| {
            self.users
                .get(*number as usize)
                .is_some_and(|p| p.awaits_review)
        };
        let waiting: BTreeSet<u32> = self
            .to_review
            .iter()
            .copied()
            .filter(awaits_review)
            .collect();
        (
            waiting.len(),
            self.users().filter(|user| user.awaits_review).count(),
        )
    }

    /// True while [`next_to_review`](Members::next_to_review) may have somebody.
    pub(crate) fn has_to_review(&self) -> bool {
        !self.to_review.is_empty()
    }

    fn number(&self, id: &str) -> Option<u32> {
        let is = |number: &u32| *self.users[*number as usize].id == *id;
        self.by_id.find(self.hasher.hash(id), is).copied()
    }

    fn user_number(&mut self, id: &str, standing: AccountStatus) -> u32 {
        if let Some(number) = self.number(id) {
            return number;
        }
        let number = self.users.insert(MemberUser {
            id: Rc::from(id),
            standing,
            awaits_review: false,
            first: NONE,
            connections: 0,
            spending: self.departed.get(&id).copied().unwrap_or_default(),
        });
        let (hasher, users) = (self.hasher, &self.users);
        let hash_of = |number: &u32| hasher.hash(&users[*number as usize].id);
        self.by_id
            .insert_unique(hasher.hash(id), number as u32, hash_of);
        number as u32
    }
}

#[cfg(test)]
mod tests;
