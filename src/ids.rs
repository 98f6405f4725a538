//! The hash by which users are found by their ids. A tree's look-up costs a comparison and a
//! line of the cache on each of its levels, which for two look-ups was a tenth of a round trip.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// A hash of ids. Its seed is kept from peers, so that they cannot choose ids that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdHasher {
    seed: u64,
}

impl IdHasher {
    pub(crate) fn new(seed: u64) -> IdHasher {
        IdHasher { seed }
    }

    pub(crate) fn hash(self, id: &str) -> u64 {
        FixedState::with_seed(self.seed).hash_one(id)
    }
}
