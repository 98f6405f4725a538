//! Who holds a place: connections by address, and those that are pending, not yet logged in, by
//! age and by crowd. Exact, and no larger than the connections there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{PENDING_GRACE, SITE_ADDRESSES};
use crate::network::{AddressKey, Site};
use crate::time::Instant;

const NONE: u32 = u32::MAX;

/// Counts of places, and the queues of those that have yet to log in. Keys are the connections'
/// slots in their slab; addresses are those that caps count by.
#[derive(Debug)]
pub(super) struct Places {
    by_address: BTreeMap<AddressKey, Count>,
    /// The pending of each site that has some.
    by_site: BTreeMap<Site, Queue>,
    /// Every address and site that is a crowd, by what it weighs.
    crowds: BTreeSet<(usize, Crowd)>,
    pending: Queue,
    /// The same without an order, so that one can be taken by chance.
    drawn_from: Vec<u32>,
    /// What the next draw follows from.
    chance: u64,
    /// By key; `is_pending` exactly for those in the queues.
    links: Vec<Links>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) connections: usize,
    /// Connections whose FIN is sent and whose peer's is awaited.
    pub(super) lingering: usize,
    pub(super) pending: Queue,
}

/// Who has several of the pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Crowd {
    Site(Site),
    Address(AddressKey),
}

/// Pending connections by age, linked by [`Links`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Queue {
    pub(super) len: usize,
    oldest: u32,
    newest: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            len: 0,
            oldest: NONE,
            newest: NONE,
        }
    }
}

/// Which of the queues a link is of.
#[derive(Clone, Copy)]
enum Of {
    All,
    Site,
    Address,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    is_pending: bool,
    /// When it took its place.
    since: Instant,
    /// Where it stands in `drawn_from`, while it is pending.
    draw: u32,
    /// By [`Of`]: the queue of all, of its site and of its address.
    of: [Link; 3],
}

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

const UNLINKED: Links = Links {
    is_pending: false,
    since: Instant::ORIGIN,
    draw: 0,
    of: [Link {
        older: NONE,
        newer: NONE,
    }; 3],
};

impl Places {
    /// No places. `seed` is a secret number: nobody is to know whom chance puts out.
    pub(super) fn new(seed: u64) -> Places {
        Places {
            by_address: BTreeMap::new(),
            by_site: BTreeMap::new(),
            crowds: BTreeSet::new(),
            pending: Queue::default(),
            drawn_from: Vec::new(),
            chance: seed,
            links: Vec::new(),
        }
    }

    /// The places of one address.
    pub(super) fn of(&self, address: AddressKey) -> Count {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    /// Connections not yet logged in.
    pub(super) fn pending(&self) -> usize {
        self.pending.len
    }

    /// The pending connection that goes first when there are too many: the oldest of the address or
    /// the site that has most of them. A site counts for no more than an address until it has `SITE_ADDRESSES` times
    /// as many. Where nobody has several, it is the oldest once that has had [`PENDING_GRACE`];
    /// before that chance decides: of many who come at once, age would put out each before it has
    /// asked. O(log n).
    pub(super) fn most_crowding(&mut self, now: Instant) -> Option<u32> {
        let queue = match self.crowds.last() {
            Some((_, Crowd::Site(site))) => self.by_site.get(site),
            Some((_, Crowd::Address(address))) => {
                self.by_address.get(address).map(|count| &count.pending)
            }
            None => None,
        };
        if let Some(queue) = queue {
            return Some(queue.oldest);
        }
        let oldest = self.links.get(self.pending.oldest as usize)?;
        match now.since(oldest.since) >= PENDING_GRACE {
            true => Some(self.pending.oldest),
            false => self.draw(),
        }
    }

    /// One of the pending by chance: by a linear congruential generator (Knuth's MMIX), whose high
    /// bits are the better ones.
    fn draw(&mut self) -> Option<u32> {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        const STEP: u64 = 1_442_695_040_888_963_407;
        self.chance = self.chance.wrapping_mul(FACTOR).wrapping_add(STEP);
        let index = (self.chance >> 33) as usize % self.drawn_from.len().max(1);
        self.drawn_from.get(index).copied()
    }

    /// All that are pending, the oldest first.
    pub(super) fn all_pending(&self) -> impl Iterator<Item = u32> + '_ {
        let some = |key: u32| (key != NONE).then_some(key);
        std::iter::successors(some(self.pending.oldest), move |&key| {
            some(self.links[key as usize].of[Of::All as usize].newer)
        })
    }

    /// A connection takes a place, as one that is pending.
    pub(super) fn enter(&mut self, key: u32, now: Instant) {
        let index = key as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, UNLINKED);
        }
        self.links[index] = UNLINKED;
        self.links[index].is_pending = true;
        self.links[index].since = now;
        self.links[index].draw = self.drawn_from.len() as u32;
        self.drawn_from.push(key);
        self.pending.push(&mut self.links, Of::All, key);
    }

    /// The connection is of this address from now on, and counts there.
    pub(super) fn count(&mut self, key: u32, address: AddressKey) {
        let count = self.by_address.entry(address).or_default();
        count.connections += 1;
        if self.links[key as usize].is_pending {
            let before = count.pending.len;
            count.pending.push(&mut self.links, Of::Address, key);
            self.weigh(Crowd::Address(address), before, before + 1);
            if let Some(site) = address.site() {
                let queue = self.by_site.entry(site).or_default();
                let before = queue.len;
                queue.push(&mut self.links, Of::Site, key);
                self.weigh(Crowd::Site(site), before, before + 1);
            }
        }
    }

    /// The connection is pending no longer: it logged in, or it ends.
    pub(super) fn settle(&mut self, key: u32, address: Option<AddressKey>) {
        let is_pending = self.links.get_mut(key as usize);
        if !is_pending.is_some_and(|links| std::mem::take(&mut links.is_pending)) {
            return;
        }
        self.pending.remove(&mut self.links, Of::All, key);
        let draw = self.links[key as usize].draw as usize;
        self.drawn_from.swap_remove(draw);
        if let Some(moved) = self.drawn_from.get(draw) {
            self.links[*moved as usize].draw = draw as u32;
        }
        let Some(address) = address else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            let before = count.pending.len;
            count.pending.remove(&mut self.links, Of::Address, key);
            self.weigh(Crowd::Address(address), before, before - 1);
        }
        if let Some(site) = address.site()
            && let Some(queue) = self.by_site.get_mut(&site)
        {
            let before = queue.len;
            queue.remove(&mut self.links, Of::Site, key);
            if before == 1 {
                self.by_site.remove(&site);
            }
            self.weigh(Crowd::Site(site), before, before - 1);
        }
    }

    /// The connection's FIN is sent, and its peer's is awaited.
    pub(super) fn linger(&mut self, address: Option<AddressKey>) {
        if let Some(count) = address.and_then(|address| self.by_address.get_mut(&address)) {
            count.lingering += 1;
        }
    }

    /// The connection lingers no longer.
    pub(super) fn linger_no_more(&mut self, address: Option<AddressKey>) {
        if let Some(count) = address.and_then(|address| self.by_address.get_mut(&address)) {
            count.lingering -= 1;
        }
    }

    /// The connection gives its place back.
    pub(super) fn leave(&mut self, key: u32, address: Option<AddressKey>) {
        self.settle(key, address);
        let Some(address) = address else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            count.connections -= 1;
            if count.connections == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// Counts again what is counted by address and by site. `connections` are all there are, with
    /// what they count by. O(n log n).
    ///
    /// # Errors
    /// What does not add up.
    pub(super) fn audit(
        &self,
        connections: impl Iterator<Item = (u32, Option<AddressKey>)>,
        lingering: impl Fn(u32) -> bool,
    ) -> Result<(), String> {
        let mut again = Places::new(0);
        let addresses: BTreeMap<u32, Option<AddressKey>> = connections.collect();
        let in_order = self.all_pending().chain(addresses.keys().copied());
        let mut seen = BTreeSet::new();
        for key in in_order.filter(|key| seen.insert(*key)) {
            let address = addresses.get(&key).copied().flatten();
            again.enter(key, self.links[key as usize].since);
            if !self.links[key as usize].is_pending {
                again.settle(key, None);
            }
            if let Some(address) = address {
                again.count(key, address);
                if lingering(key) {
                    again.linger(Some(address));
                }
            }
        }
        let by_address = |places: &Places| {
            let tally = |count: &Count| (count.connections, count.lingering, count.pending.len);
            let counts = places.by_address.iter();
            BTreeMap::from_iter(counts.map(|(address, count)| (*address, tally(count))))
        };
        let by_site = |places: &Places| {
            let queues = places.by_site.iter();
            BTreeMap::from_iter(queues.map(|(site, queue)| (*site, queue.len)))
        };
        let is_same = by_address(self) == by_address(&again)
            && by_site(self) == by_site(&again)
            && self.crowds == again.crowds
            && BTreeSet::from_iter(&self.drawn_from) == BTreeSet::from_iter(&again.drawn_from)
            && self.drawn_from.len() == self.pending.len;
        match is_same {
            true => Ok(()),
            false => Err(format!("places are {self:?} and should be {again:?}")),
        }
    }

    /// Ranks anew who had `before` of the pending and has `now`. Who has one is in no rank: then
    /// age alone decides.
    fn weigh(&mut self, crowd: Crowd, before: usize, now: usize) {
        if crowd.weight(before) > SITE_ADDRESSES {
            self.crowds.remove(&(crowd.weight(before), crowd));
        }
        if crowd.weight(now) > SITE_ADDRESSES {
            self.crowds.insert((crowd.weight(now), crowd));
        }
    }
}

impl Crowd {
    fn weight(self, pending: usize) -> usize {
        match self {
            Crowd::Site(_) => pending,
            Crowd::Address(_) => pending * SITE_ADDRESSES,
        }
    }
}

impl Queue {
    fn push(&mut self, links: &mut [Links], of: Of, key: u32) {
        links[key as usize].of[of as usize] = Link {
            older: self.newest,
            newer: NONE,
        };
        match self.newest {
            NONE => self.oldest = key,
            newest => links[newest as usize].of[of as usize].newer = key,
        }
        self.newest = key;
        self.len += 1;
    }

    fn remove(&mut self, links: &mut [Links], of: Of, key: u32) {
        let Link { older, newer } = links[key as usize].of[of as usize];
        match older {
            NONE => self.oldest = newer,
            older => links[older as usize].of[of as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => links[newer as usize].of[of as usize].older = older,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    /// When each has had its time.
    const LATER: Instant = Instant::from_micros(1_000_000);

    #[test]
    fn the_pending_are_known_by_age_whoever_leaves_between() {
        let here = AddressKey::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut places = Places::new(7);
        for key in 0..10 {
            places.enter(key, Instant::ORIGIN);
            places.count(key, here);
        }
        for key in [0, 5, 9, 4] {
            places.settle(key, Some(here));
        }
        assert_eq!(Vec::from_iter(places.all_pending()), [1, 2, 3, 6, 7, 8]);
        assert_eq!(
            (places.of(here).connections, places.of(here).pending.len),
            (10, 6)
        );
        for key in 0..10 {
            places.leave(key, Some(here));
        }
        assert_eq!(places.pending(), 0);
        assert_eq!(places.most_crowding(LATER), None);
        assert!(places.by_address.is_empty() && places.crowds.is_empty());
    }

    fn enter(places: &mut Places, key: u32, address: &str) {
        let address: IpAddr = address.parse().expect("an address");
        places.enter(key, Instant::ORIGIN);
        places.count(key, address.into());
    }

    fn shed(places: &mut Places, addresses: &[&str]) -> u32 {
        let key = places.most_crowding(LATER).expect("somebody is pending");
        let address: IpAddr = addresses[key as usize].parse().expect("an address");
        places.leave(key, Some(address.into()));
        key
    }

    #[test]
    fn the_oldest_of_the_address_with_most_goes_first_and_among_equals_the_oldest() {
        let addresses = [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "192.0.2.2",
            "192.0.2.2",
        ];
        let mut places = Places::new(7);
        for (key, address) in (0..).zip(addresses) {
            enter(&mut places, key, address);
        }
        let order: Vec<u32> = (0..5).map(|_| shed(&mut places, &addresses)).collect();
        assert_eq!(order, [1, 3, 0, 2, 4]);
        assert!(places.by_address.is_empty() && places.crowds.is_empty());
    }

    #[test]
    fn addresses_of_one_site_weigh_together_once_they_are_many() {
        for (addresses, first) in [(2 * SITE_ADDRESSES, 0), (2 * SITE_ADDRESSES + 1, 2)] {
            let mut places = Places::new(7);
            enter(&mut places, 0, "192.0.2.1");
            enter(&mut places, 1, "192.0.2.1");
            for number in 0..addresses {
                enter(
                    &mut places,
                    2 + number as u32,
                    &format!("2001:db8:1:{number:x}::1"),
                );
            }
            assert_eq!(places.most_crowding(LATER), Some(first), "{addresses}");
            assert_eq!(places.by_site.len(), 1);
            for number in 0..addresses {
                let address = format!("2001:db8:1:{number:x}::1");
                let address: IpAddr = address.parse().expect("an address");
                places.leave(2 + number as u32, Some(address.into()));
            }
            assert!(places.by_site.is_empty());
            assert_eq!(places.most_crowding(LATER), Some(0));
        }
    }

    #[test]
    fn where_nobody_has_had_a_second_chance_decides_and_spares_most_for_a_while() {
        let before = Instant::from_micros(999_999);
        let addresses = Vec::from_iter(
            (0..1_000).map(|number| format!("10.0.{}.{}", number / 250, number % 250)),
        );
        let mut places = Places::new(7);
        for (key, address) in (0..).zip(&addresses) {
            enter(&mut places, key, address);
        }
        assert_eq!(places.most_crowding(LATER), Some(0));
        // As many come as there are places, and each takes that of another.
        let mut left = BTreeSet::from_iter(0..1_000);
        for _ in 0..1_000 {
            let key = places.most_crowding(before).expect("somebody is pending");
            left.remove(&key);
            let address: IpAddr = addresses[key as usize].parse().expect("an address");
            places.leave(key, Some(address.into()));
            enter(&mut places, key, &addresses[key as usize]);
        }
        // By chance a place is left to its first with a probability of 1/e.
        assert!((300..440).contains(&left.len()), "{}", left.len());
    }
}
