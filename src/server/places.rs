//! Who holds a place: connections by address, and those not yet logged in by age. Exact, and no
//! larger than the connections there are.

use std::collections::BTreeMap;

use crate::network::AddressKey;

const NONE: u32 = u32::MAX;

/// Counts of places, and the queue of those who have yet to log in. Keys are the connections'
/// slots in their slab; addresses are those that caps count by.
#[derive(Debug)]
pub(super) struct Places {
    by_address: BTreeMap<AddressKey, Count>,
    /// A link per key; `is_pending` exactly for those in the queue.
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    pending: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) connections: usize,
    pub(super) pending: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    is_pending: bool,
    older: u32,
    newer: u32,
}

const UNLINKED: Link = Link {
    is_pending: false,
    older: NONE,
    newer: NONE,
};

impl Places {
    pub(super) fn new() -> Places {
        Places {
            by_address: BTreeMap::new(),
            links: Vec::new(),
            oldest: NONE,
            newest: NONE,
            pending: 0,
        }
    }

    /// The places of one address.
    pub(super) fn of(&self, address: AddressKey) -> Count {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    /// The places of every address that has one.
    pub(super) fn by_address(&self) -> &BTreeMap<AddressKey, Count> {
        &self.by_address
    }

    /// Connections not yet logged in.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// The one that has been pending for longest.
    pub(super) fn oldest_pending(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// All that are pending, the oldest first.
    pub(super) fn all_pending(&self) -> impl Iterator<Item = u32> + '_ {
        let some = |key: u32| (key != NONE).then_some(key);
        std::iter::successors(some(self.oldest), move |&key| {
            some(self.links[key as usize].newer)
        })
    }

    /// A connection takes a place, as one that is pending.
    pub(super) fn enter(&mut self, key: u32) {
        let index = key as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, UNLINKED);
        }
        self.links[index] = Link {
            is_pending: true,
            older: self.newest,
            newer: NONE,
        };
        match self.newest {
            NONE => self.oldest = key,
            newest => self.links[newest as usize].newer = key,
        }
        self.newest = key;
        self.pending += 1;
    }

    /// The connection is of this address from now on, and counts there.
    pub(super) fn count(&mut self, key: u32, address: AddressKey) {
        let is_pending = self.links[key as usize].is_pending;
        let count = self.by_address.entry(address).or_default();
        count.connections += 1;
        count.pending += usize::from(is_pending);
    }

    /// The connection is pending no longer: it logged in, or it ends.
    pub(super) fn settle(&mut self, key: u32, address: Option<AddressKey>) {
        let Some(link) = self.links.get_mut(key as usize) else {
            return;
        };
        let Link {
            is_pending,
            older,
            newer,
        } = std::mem::replace(link, UNLINKED);
        if !is_pending {
            return;
        }
        self.pending -= 1;
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        if let Some(count) = address.and_then(|address| self.by_address.get_mut(&address)) {
            count.pending -= 1;
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
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn the_pending_are_known_by_age_whoever_leaves_between() {
        let here = AddressKey::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut places = Places::new();
        for key in 0..10 {
            places.enter(key);
            places.count(key, here);
        }
        for key in [0, 5, 9, 4] {
            places.settle(key, Some(here));
        }
        assert_eq!(Vec::from_iter(places.all_pending()), [1, 2, 3, 6, 7, 8]);
        assert_eq!(
            (places.of(here).connections, places.of(here).pending),
            (10, 6)
        );
        for key in 0..10 {
            places.leave(key, Some(here));
        }
        assert_eq!(places.pending(), 0);
        assert_eq!(places.oldest_pending(), None);
        assert!(places.by_address.is_empty());
    }
}
