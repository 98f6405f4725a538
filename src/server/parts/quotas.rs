//! Counts of connections by address, and queues of the pending ones, which are not logged in, by age
//! and by crowd. Promises that the counts are exact, and that its size is bounded by the connections
//! there are. Refuses to know why a connection is admitted or closed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::ids::IdHasher;
use crate::limits::{CROWD_CONNECTIONS_MIN, PENDING_GRACE, SITE_ADDRESSES};
use crate::network::{AddressKey, Site};
use crate::time::Instant;

const NONE: u32 = u32::MAX;

/// The counts and the queues. Keys are the connections' slots in their slab; addresses are those
/// that caps count by.
#[derive(Debug)]
pub(crate) struct Quotas {
    by_address: BTreeMap<AddressKey, Count>,
    /// The pending connections of each site that has some.
    by_site: BTreeMap<Site, Queue>,
    /// Every address and site that is a crowd.
    crowds: BTreeSet<(Rank, Crowd)>,
    pending: Queue,
    /// Connections whose FIN is sent and whose peer's is awaited.
    lingering: usize,
    /// The pending connections in no order, so that one can be drawn at random.
    drawn_from: Vec<u32>,
    /// The state of the random draws.
    chance: u64,
    /// By key; `is_pending` exactly for those in the queues.
    links: Vec<Links>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) connections: usize,
    /// Connections whose FIN is sent and whose peer's is awaited.
    pub(crate) lingering: usize,
    pub(crate) pending: Queue,
}

/// The order of crowds: by weight, which is their pending connections (those of one address weigh
/// more than those of a site), and among equals by the age of the oldest. The greatest loses a
/// connection first.
type Rank = (usize, Reverse<Instant>);

/// An address or a site with more pending connections than a page or a person opens at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Crowd {
    Site(Site),
    Address(AddressKey),
}

/// Pending connections by age, linked by [`Links`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Queue {
    pub(crate) len: usize,
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
    /// True while its password is being checked, or waits for that.
    is_sheltered: bool,
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
    is_sheltered: false,
    since: Instant::ORIGIN,
    draw: 0,
    of: [Link {
        older: NONE,
        newer: NONE,
    }; 3],
};

impl Quotas {
    /// Counts without connections. `seed` is a secret number: no peer can foresee which connection is
    /// drawn.
    pub(crate) fn new(seed: u64) -> Quotas {
        Quotas {
            by_address: BTreeMap::new(),
            by_site: BTreeMap::new(),
            crowds: BTreeSet::new(),
            pending: Queue::default(),
            lingering: 0,
            drawn_from: Vec::new(),
            // A peer that sees many draws learns nothing about the seeds of other tables.
            chance: IdHasher::new(seed).hash("whom chance puts out"),
            links: Vec::new(),
        }
    }

    /// The counts of one address.
    pub(crate) fn of(&self, address: AddressKey) -> Count {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    /// Connections not yet logged in.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len
    }

    /// Connections whose FIN is sent and whose peer's is awaited.
    pub(crate) fn lingering(&self) -> usize {
        self.lingering
    }

    /// The pending connection that goes first when there are too many: the oldest of the address or
    /// the site that has most of them. A site counts for no more than an address until it has
    /// `SITE_ADDRESSES` times as many. Where nobody has [`CROWD_CONNECTIONS_MIN`], it is the oldest
    /// once that has had [`PENDING_GRACE`]; before that chance decides: of many who come at once,
    /// age would put out each before it has asked. None whose password waits to be checked goes.
    /// O(log n + passwords that wait).
    pub(crate) fn most_crowding(&mut self, now: Instant) -> Option<u32> {
        let of_crowd = self.crowds.last().and_then(|(_, crowd)| match crowd {
            Crowd::Site(site) => self.oldest(self.by_site.get(site)?, Of::Site),
            Crowd::Address(address) => {
                self.oldest(&self.by_address.get(address)?.pending, Of::Address)
            }
        });
        if of_crowd.is_some() {
            return of_crowd;
        }
        let oldest = self.oldest(&self.pending, Of::All)?;
        match now.since(self.links[oldest as usize].since) >= PENDING_GRACE {
            true => Some(oldest),
            false => self.draw(),
        }
    }

    /// The oldest of the queue that may have to go.
    fn oldest(&self, queue: &Queue, of: Of) -> Option<u32> {
        let mut keys = queue.keys(&self.links, of);
        keys.find(|key| !self.links[*key as usize].is_sheltered)
    }

    /// One of the pending by chance: by a linear congruential generator (Knuth's MMIX), whose high
    /// bits are the better ones.
    fn draw(&mut self) -> Option<u32> {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        const STEP: u64 = 1_442_695_040_888_963_407;
        self.chance = self.chance.wrapping_mul(FACTOR).wrapping_add(STEP);
        let index = (self.chance >> 33) as usize % self.drawn_from.len().max(1);
        let (before, from) = self.drawn_from.split_at_checked(index)?;
        let mut keys = from.iter().chain(before);
        let key = keys.find(|key| !self.links[**key as usize].is_sheltered);
        key.copied()
    }

    /// All that are pending, the oldest first.
    pub(crate) fn all_pending(&self) -> impl Iterator<Item = u32> + '_ {
        self.pending.keys(&self.links, Of::All)
    }

    /// Whether the connection's password is being checked, or waits for that: then it does not have
    /// to go for a newcomer.
    pub(crate) fn shelter(&mut self, key: u32, is_sheltered: bool) {
        self.links[key as usize].is_sheltered = is_sheltered;
    }

    /// A connection takes a place, as one that is pending.
    pub(crate) fn enter(&mut self, key: u32, now: Instant) {
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
    pub(crate) fn count(&mut self, key: u32, address: AddressKey) {
        let count = self.by_address.entry(address).or_default();
        count.connections += 1;
        if self.links[key as usize].is_pending {
            let crowd = Crowd::Address(address);
            let before = crowd.rank(&count.pending, &self.links);
            count.pending.push(&mut self.links, Of::Address, key);
            let now = crowd.rank(&count.pending, &self.links);
            self.weigh(crowd, before, now);
            if let Some(site) = address.site() {
                let queue = self.by_site.entry(site).or_default();
                let crowd = Crowd::Site(site);
                let before = crowd.rank(queue, &self.links);
                queue.push(&mut self.links, Of::Site, key);
                let now = crowd.rank(queue, &self.links);
                self.weigh(crowd, before, now);
            }
        }
    }

    /// The connection is pending no longer: it logged in, or it ends.
    pub(crate) fn leave_pending(&mut self, key: u32, address: Option<AddressKey>) {
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
            let crowd = Crowd::Address(address);
            let before = crowd.rank(&count.pending, &self.links);
            count.pending.remove(&mut self.links, Of::Address, key);
            let now = crowd.rank(&count.pending, &self.links);
            self.weigh(crowd, before, now);
        }
        if let Some(site) = address.site()
            && let Some(queue) = self.by_site.get_mut(&site)
        {
            let crowd = Crowd::Site(site);
            let before = crowd.rank(queue, &self.links);
            queue.remove(&mut self.links, Of::Site, key);
            let now = crowd.rank(queue, &self.links);
            if queue.len == 0 {
                self.by_site.remove(&site);
            }
            self.weigh(crowd, before, now);
        }
    }

    /// The connection's FIN is sent, and its peer's is awaited.
    pub(crate) fn linger(&mut self, address: Option<AddressKey>) {
        self.lingering += 1;
        if let Some(count) = address.and_then(|address| self.by_address.get_mut(&address)) {
            count.lingering += 1;
        }
    }

    /// The connection lingers no longer.
    pub(crate) fn linger_no_more(&mut self, address: Option<AddressKey>) {
        self.lingering -= 1;
        if let Some(count) = address.and_then(|address| self.by_address.get_mut(&address)) {
            count.lingering -= 1;
        }
    }

    /// The connection gives its place back.
    pub(crate) fn leave(&mut self, key: u32, address: Option<AddressKey>) {
        self.leave_pending(key, address);
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
    pub(crate) fn audit(
        &self,
        connections: impl Iterator<Item = (u32, Option<AddressKey>)>,
        lingering: impl Fn(u32) -> bool,
    ) -> Result<(), String> {
        let mut again = Quotas::new(0);
        let addresses: BTreeMap<u32, Option<AddressKey>> = connections.collect();
        let in_order = self.all_pending().chain(addresses.keys().copied());
        let mut seen = BTreeSet::new();
        for key in in_order.filter(|key| seen.insert(*key)) {
            let address = addresses.get(&key).copied().flatten();
            again.enter(key, self.links[key as usize].since);
            if !self.links[key as usize].is_pending {
                again.leave_pending(key, None);
            }
            if let Some(address) = address {
                again.count(key, address);
            }
            if lingering(key) {
                again.linger(address);
            }
        }
        let by_address = |places: &Quotas| {
            let tally = |count: &Count| (count.connections, count.lingering, count.pending.len);
            let counts = places.by_address.iter();
            BTreeMap::from_iter(counts.map(|(address, count)| (*address, tally(count))))
        };
        let by_site = |places: &Quotas| {
            let queues = places.by_site.iter();
            BTreeMap::from_iter(queues.map(|(site, queue)| (*site, queue.len)))
        };
        // A proxy's connection is pending before its client's address is known and counted. So the
        // ages within a crowd may differ, and weights alone are compared.
        let crowds = |places: &Quotas| {
            let weights = places
                .crowds
                .iter()
                .map(|((weight, _), crowd)| (*crowd, *weight));
            BTreeMap::from_iter(weights)
        };
        let is_same = by_address(self) == by_address(&again)
            && by_site(self) == by_site(&again)
            && crowds(self) == crowds(&again)
            && self.crowds.len() == again.crowds.len()
            && BTreeSet::from_iter(&self.drawn_from) == BTreeSet::from_iter(&again.drawn_from)
            && self.drawn_from.len() == self.pending.len
            && self.lingering == again.lingering;
        match is_same {
            true => Ok(()),
            false => Err(format!("places are {self:?} and should be {again:?}")),
        }
    }

    /// Ranks a crowd anew.
    fn weigh(&mut self, crowd: Crowd, before: Option<Rank>, now: Option<Rank>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.crowds.remove(&(before, crowd));
        }
        if let Some(now) = now {
            self.crowds.insert((now, crowd));
        }
    }
}

impl Crowd {
    /// Returns the rank; `None` when there are no more than a page or a person opens at once: then
    /// age alone decides which connection goes.
    fn rank(self, pending: &Queue, links: &[Links]) -> Option<Rank> {
        let weight = match self {
            Crowd::Site(_) => pending.len,
            Crowd::Address(_) => pending.len * SITE_ADDRESSES,
        };
        let oldest = links.get(pending.oldest as usize)?;
        (weight >= CROWD_CONNECTIONS_MIN * SITE_ADDRESSES)
            .then_some((weight, Reverse(oldest.since)))
    }
}

impl Queue {
    /// The oldest first.
    fn keys<'a>(&self, links: &'a [Links], of: Of) -> impl Iterator<Item = u32> + use<'a> {
        let some = |key: u32| (key != NONE).then_some(key);
        std::iter::successors(some(self.oldest), move |&key| {
            some(links[key as usize].of[of as usize].newer)
        })
    }

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
mod tests;
