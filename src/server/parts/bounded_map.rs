//! What is remembered of keys that peers choose (an address, an id): tables of fixed size, in
//! which the least interesting entry makes room for a newcomer. Nothing keyed by what a peer
//! sends can grow.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::time::Instant;

/// Entries of a table: an attacker must be this many at once before one is forgotten early.
const ENTRIES: usize = 4_096;
/// Entries that share a place and compete for it.
const WAYS: usize = 8;

/// What a table holds for a key.
pub(crate) trait Evictable: Copy + Default {
    /// Until when it is worth remembering; of those that compete, the earliest goes.
    fn until(&self) -> Instant;
}

/// A table of bounded size. Memory is taken for those of its sets that somebody was remembered in:
/// while nobody attacks, hardly any.
#[derive(Debug)]
pub(crate) struct BoundedMap<T> {
    sets: Box<[Option<Box<Set<T>>>]>,
    seed: u64,
}

type Set<T> = [Place<T>; WAYS];

#[derive(Clone, Copy, Debug, Default)]
struct Place<T> {
    /// The key's hash; which key it was is not kept.
    hash: u64,
    entry: T,
}

impl<T: Evictable> BoundedMap<T> {
    /// `seed` keeps peers from choosing keys that meet in one place.
    pub(crate) fn new(seed: u64) -> BoundedMap<T> {
        BoundedMap {
            sets: vec![None; ENTRIES / WAYS].into_boxed_slice(),
            seed,
        }
    }

    /// What is remembered of `key`, if anything is. O(1).
    pub(crate) fn get(&self, key: &impl Hash) -> Option<&T> {
        let hash = self.hash(key);
        let set = self.sets[set_of(hash)].as_ref()?;
        let place = set.iter().find(|place| place.hash == hash)?;
        Some(&place.entry)
    }

    /// What is remembered of `key`, a fresh entry if nothing was. O(1).
    pub(crate) fn entry(&mut self, key: &impl Hash) -> &mut T {
        let hash = self.hash(key);
        let ways = self.sets[set_of(hash)].get_or_insert_default();
        if let Some(known) = ways.iter().position(|place| place.hash == hash) {
            return &mut ways[known].entry;
        }
        let earliest = (0..WAYS).min_by_key(|index| ways[*index].entry.until());
        let place = &mut ways[earliest.unwrap_or_default()];
        *place = Place {
            hash,
            entry: T::default(),
        };
        &mut place.entry
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        key.hash(&mut hasher);
        hasher.finish()
    }
}

fn set_of(hash: u64) -> usize {
    hash as usize % (ENTRIES / WAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default)]
    struct Until(Instant);

    impl Evictable for Until {
        fn until(&self) -> Instant {
            self.0
        }
    }

    #[test]
    fn a_crowd_of_newcomers_does_not_wash_out_what_is_worth_remembering() {
        let mut table = BoundedMap::<Until>::new(42);
        for stranger in 0..100_000 {
            if stranger == 50_000 {
                table.entry(&"mallory").0 = Instant::from_micros(1_000);
            }
            table.entry(&stranger).0 = Instant::from_micros(stranger % 500);
        }
        assert!(table.get(&"mallory").is_some());
        let sets = table.sets.iter().flatten();
        assert_eq!(sets.map(|set| set.len()).sum::<usize>(), ENTRIES);
    }

    #[test]
    fn half_as_many_as_it_has_places_are_remembered_but_for_a_few() {
        let mut table = BoundedMap::<Until>::new(42);
        for key in 0..ENTRIES / 2 {
            table.entry(&key).0 = Instant::from_micros(500);
        }
        let remembered = (0..ENTRIES / 2).filter(|key| table.get(key).is_some());
        assert!(remembered.count() > ENTRIES / 2 * 95 / 100);
    }

    #[test]
    fn looking_makes_no_entry() {
        let table = BoundedMap::<Until>::new(42);
        assert!(table.get(&"nobody").is_none());
        assert!(table.sets.iter().all(Option::is_none));
    }
}
