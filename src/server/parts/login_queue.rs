//! The places for passwords: which logins wait for the helper thread, who comes next, and who must
//! make room. The thread is given one password at a time, so that all others wait here, where
//! their order can still change.
//!
//! First come users who logged in from the same address before. Otherwise networks and ids take
//! turns: each try moves the turn of its network and of its id back by [`LOGIN_TURN`], and the
//! earliest turn comes next. So those who try seldom are not kept out by those who try often,
//! however many addresses they have.

use std::collections::BTreeMap;
use std::hash::Hash;

use crate::app::password::{HashJob, PasswordHash};
use crate::limits::{
    HASHES_PENDING_MAX, HASHES_PER_ADDRESS_MAX, LOGIN_KNOWN_FOR, LOGIN_TURN, LOGIN_TURNS_MAX,
};
use crate::network::AddressKey;
use crate::time::Instant;

use crate::server::answers::report::LoginFailure;
use crate::server::connection::{ConnectionId, Peer};
use crate::server::parts::bounded_map::{BoundedMap, Evictable};

/// Logins whose password is being checked, or waits for that.
pub(crate) struct LoginQueue {
    /// By ticket; at most [`HASHES_PENDING_MAX`], and at most [`HASHES_PER_ADDRESS_MAX`] of an
    /// address.
    places: BTreeMap<u64, Place>,
    next_ticket: u64,
    /// The ticket of the password that the helper thread has.
    in_hand: Option<u64>,
    turns_by_network: BoundedMap<Turn>,
    turns_by_id: BoundedMap<Turn>,
    known: BoundedMap<Known>,
}

/// A login whose password is being checked. It stays until its hash is done, though its
/// connection may have ended: what is bounded is the work that waits.
pub(crate) struct PendingLogin {
    pub(crate) connection: ConnectionId,
    pub(crate) peer: Peer,
    /// What it counts by, though the connection may have ended when the answer is known.
    pub(crate) address: Option<AddressKey>,
    pub(crate) via: Via,
    pub(crate) id: Box<str>,
    /// What the password is checked against: a user whose hash has changed meanwhile is not
    /// logged in by the old one.
    pub(crate) expected: Option<PasswordHash>,
    /// Why it fails if the password is not right, as far as it is known. It is found before the
    /// password is checked and changes nothing of that, nor of the answer.
    pub(crate) failure: LoginFailure,
}

/// How a login came in, and so how it is answered.
pub(crate) enum Via {
    /// A frame with this `id`.
    Frame(Option<Box<str>>),
    /// `POST /login`.
    Http,
}

impl Via {
    pub(crate) fn frame(id: Option<&str>) -> Via {
        Via::Frame(id.map(Box::from))
    }
}

struct Place {
    login: PendingLogin,
    rank: Rank,
    /// `None` once the helper thread has it.
    job: Option<HashJob>,
}

/// Who comes first: the least. Its fields count in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    is_unknown: bool,
    network_turn: Instant,
    id_turn: Instant,
}

impl LoginQueue {
    /// `seed` keeps peers from choosing ids that meet in one place of a table.
    pub(crate) fn new(seed: u64) -> LoginQueue {
        LoginQueue {
            places: BTreeMap::new(),
            next_ticket: 0,
            in_hand: None,
            turns_by_network: BoundedMap::new(seed.rotate_left(12)),
            turns_by_id: BoundedMap::new(seed.rotate_left(20)),
            known: BoundedMap::new(seed.rotate_left(28)),
        }
    }

    /// Whether there is a place for a login of `id` from `address`, or one that must make room for
    /// it. `None`: the login is told to come later. That it was tried counts. O(places).
    pub(crate) fn rank(
        &mut self,
        now: Instant,
        address: Option<AddressKey>,
        id: &str,
    ) -> Option<Rank> {
        let is_known = |address| {
            let known: Option<&Known> = self.known.get(&(address, id));
            known.is_some_and(|known| known.0 > now)
        };
        let network = address.map(AddressKey::network);
        let rank = Rank {
            is_unknown: !address.is_some_and(is_known),
            network_turn: take_turn(&mut self.turns_by_network, &network, now),
            id_turn: take_turn(&mut self.turns_by_id, &id, now),
        };
        let of_address = |place: &&Place| place.login.address == address;
        let places = self.places.values().filter(of_address).count();
        if address.is_some() && places >= HASHES_PER_ADDRESS_MAX {
            return None;
        }
        match self.places.len() < HASHES_PENDING_MAX {
            true => Some(rank),
            false => self.last().filter(|(_, last)| rank < *last).map(|_| rank),
        }
    }

    /// Takes the login in. Where there is no place left, the last who waits is given back.
    pub(crate) fn enter(
        &mut self,
        rank: Rank,
        login: PendingLogin,
        job: impl FnOnce(u64) -> HashJob,
    ) -> Option<PendingLogin> {
        let is_full = self.places.len() >= HASHES_PENDING_MAX;
        let last = self.last().filter(|_| is_full);
        let gone = last.and_then(|(ticket, _)| self.places.remove(&ticket));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let place = Place {
            login,
            rank,
            job: Some(job(ticket)),
        };
        self.places.insert(ticket, place);
        gone.map(|place| place.login)
    }

    /// The next password for the helper thread, once it has done the one before.
    pub(crate) fn next_job(&mut self) -> Option<HashJob> {
        if self.in_hand.is_some() {
            return None;
        }
        let waiting = self.waiting().min_by_key(|(ticket, rank)| (*rank, *ticket));
        let (ticket, _) = waiting?;
        self.in_hand = Some(ticket);
        self.places.get_mut(&ticket)?.job.take()
    }

    /// The helper thread is done with the password.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<PendingLogin> {
        self.in_hand.take_if(|in_hand| *in_hand == ticket);
        self.places.remove(&ticket).map(|place| place.login)
    }

    /// This user has logged in from there. Other ids are not known there: else an attacker with an
    /// account could put guesses at other users' passwords before everybody.
    pub(crate) fn know(&mut self, now: Instant, address: AddressKey, id: &str) {
        self.known.entry(&(address, id)).0 = now + LOGIN_KNOWN_FOR;
    }

    /// Of those who wait, the one who comes last.
    fn last(&self) -> Option<(u64, Rank)> {
        self.waiting().max_by_key(|(ticket, rank)| (*rank, *ticket))
    }

    fn waiting(&self) -> impl Iterator<Item = (u64, Rank)> {
        let places = self.places.iter().filter(|(_, place)| place.job.is_some());
        places.map(|(ticket, place)| (*ticket, place.rank))
    }

    /// Every login there is, by ticket.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &PendingLogin)> {
        self.places
            .iter()
            .map(|(ticket, place)| (*ticket, &place.login))
    }
}

/// When it is the turn of a network or an id that tried now.
#[derive(Clone, Copy, Debug, Default)]
struct Turn(Instant);

impl Evictable for Turn {
    fn until(&self) -> Instant {
        self.0
    }
}

fn take_turn(turns: &mut BoundedMap<Turn>, key: &impl Hash, now: Instant) -> Instant {
    let turn = turns.entry(key);
    let latest = now + LOGIN_TURN * LOGIN_TURNS_MAX;
    turn.0 = (turn.0.max(now) + LOGIN_TURN).min(latest);
    turn.0
}

/// Until when an id is known at an address.
#[derive(Clone, Copy, Debug, Default)]
struct Known(Instant);

impl Evictable for Known {
    fn until(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn here() -> AddressKey {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    fn is_known(logins: &mut LoginQueue, now: Instant, id: &str) -> bool {
        let rank = logins.rank(now, Some(here()), id);
        rank.is_some_and(|rank| !rank.is_unknown)
    }

    #[test]
    fn a_user_is_known_at_an_address_for_a_while_and_no_longer() {
        let mut logins = LoginQueue::new(7);
        logins.know(Instant::ORIGIN, here(), "alice");
        let end = Instant::ORIGIN + LOGIN_KNOWN_FOR;
        let before = Instant::from_micros(end.as_micros() - 1);
        assert!(is_known(&mut logins, before, "alice"));
        assert!(!is_known(&mut logins, end, "alice"));
    }

    #[test]
    fn of_a_thousand_users_who_log_in_from_one_address_nearly_all_are_known_there() {
        let mut logins = LoginQueue::new(7);
        let users = Vec::from_iter((0..1_000).map(|number| format!("user{number}")));
        for id in &users {
            logins.know(Instant::ORIGIN, here(), id);
        }
        let known = users
            .iter()
            .filter(|id| is_known(&mut logins, Instant::ORIGIN, id));
        assert!(known.count() > 990);
    }
}
