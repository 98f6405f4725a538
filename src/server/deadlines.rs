//! When each connection must next be looked at: a timer wheel with one place per connection.
//!
//! A connection has many deadlines but only one place here, at the earliest of them. A deadline
//! that moves away leaves its place where it is: the connection is looked at too early once, and
//! put back. So a frame that only postpones costs nothing, and the wheel can hold no more places
//! than there are connections, whatever they send.

use std::time::Duration;

use crate::time::Instant;

/// A tick is 2¹⁴ µs, some 16 ms: as late as a deadline may be noticed.
const TICK_BITS: u32 = 14;
/// How late a deadline may be noticed.
pub(super) const TICK: Duration = Duration::from_micros(1 << TICK_BITS);
/// Slots of the wheel, a power of two: a turn of it takes 67 s. What lies further away is looked
/// at once a turn.
const SLOTS: usize = 4_096;
const WORDS: usize = SLOTS / 64;

/// The tick of a key that is not to be looked at.
const NEVER: u64 = u64::MAX;

/// No place: the end of a list, or a connection that has none.
const NONE: u32 = u32::MAX;

/// The wheel. Keys are the connections' slots in their slab.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// The first key of each slot's list.
    heads: Box<[u32]>,
    /// A bit is set exactly when its slot's list is not empty.
    occupied: [u64; WORDS],
    /// A place per key; its tick is `NEVER` exactly when the key is in no list.
    places: Vec<Place>,
    /// Every tick before this one has been emptied.
    tick: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The tick at which this key is due; the list it is in is that tick's.
    tick: u64,
    before: u32,
    after: u32,
}

const VACANT: Place = Place {
    tick: NEVER,
    before: NONE,
    after: NONE,
};

impl Deadlines {
    pub(super) fn new() -> Deadlines {
        Deadlines {
            heads: vec![NONE; SLOTS].into_boxed_slice(),
            occupied: [0; WORDS],
            places: Vec::new(),
            tick: 0,
        }
    }

    /// Sees to it that `key` is looked at no later than a tick after `at`. O(1).
    pub(super) fn schedule(&mut self, key: u32, at: Instant) {
        // Rounded up: a deadline is never early. What is past is due at the next tick.
        let tick = (at.as_micros().div_ceil(1 << TICK_BITS)).max(self.tick);
        let index = key as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, VACANT);
        }
        match self.places[index].tick {
            NEVER => {}
            earlier if earlier <= tick => return,
            _ => self.unlink(key),
        }
        self.link(key, tick);
    }

    /// Forgets `key`. O(1).
    pub(super) fn cancel(&mut self, key: u32) {
        if self.is_scheduled(key) {
            self.unlink(key);
        }
    }

    /// True while `key` will be looked at. O(1).
    pub(super) fn is_scheduled(&self, key: u32) -> bool {
        let place = self.places.get(key as usize);
        place.is_some_and(|place| place.tick != NEVER)
    }

    /// Takes out a key whose place has come, if there is one. Its owner looks which of its
    /// deadlines have passed and calls `schedule` again.
    pub(super) fn pop(&mut self, now: Instant) -> Option<u32> {
        let end = now.as_micros() >> TICK_BITS;
        while self.tick <= end {
            let mut key = self.heads[slot(self.tick)];
            while key != NONE {
                let place = self.places[key as usize];
                // A list holds every turn's keys of its slot; those of later turns stay.
                if place.tick <= end {
                    self.unlink(key);
                    return Some(key);
                }
                key = place.after;
            }
            let next = self.next_occupied(self.tick + 1);
            self.tick = next.map_or(end + 1, |tick| tick.min(end + 1));
        }
        None
    }

    /// When to call `pop` next, once it has returned `None`. At most one turn of the wheel away,
    /// though the earliest place may lie further; `None` when there are no places.
    /// O(slots / 64).
    pub(super) fn next(&self) -> Option<Instant> {
        self.next_occupied(self.tick)
            .map(|tick| Instant::from_micros(tick << TICK_BITS))
    }

    /// The first tick from `from` on, within one turn, whose slot is not empty.
    fn next_occupied(&self, from: u64) -> Option<u64> {
        let start = slot(from);
        let first_word = start / 64;
        for step in 0..=WORDS {
            let word = (first_word + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == WORDS {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let found = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (found + SLOTS - start) % SLOTS;
                return Some(from + ahead as u64);
            }
        }
        None
    }

    fn link(&mut self, key: u32, tick: u64) {
        let slot = slot(tick);
        let after = self.heads[slot];
        if after != NONE {
            self.places[after as usize].before = key;
        }
        self.places[key as usize] = Place {
            tick,
            before: NONE,
            after,
        };
        self.heads[slot] = key;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    fn unlink(&mut self, key: u32) {
        let place = std::mem::replace(&mut self.places[key as usize], VACANT);
        if place.tick == NEVER {
            return;
        }
        if place.after != NONE {
            self.places[place.after as usize].before = place.before;
        }
        if place.before != NONE {
            self.places[place.before as usize].after = place.after;
            return;
        }
        let slot = slot(place.tick);
        self.heads[slot] = place.after;
        if place.after == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

fn slot(tick: u64) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    fn drain(wheel: &mut Deadlines, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| wheel.pop(now)).collect()
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_one_tick_late() {
        let mut wheel = Deadlines::new();
        for millis in 1..3_000 {
            wheel.schedule(7, at(millis));
            assert_eq!(wheel.pop(at(millis - 1)), None, "{millis}");
            let late = at(millis) + TICK;
            assert_eq!(wheel.pop(late), Some(7), "{millis}");
        }
    }

    #[test]
    fn the_next_look_lies_ahead_once_a_moment_is_drained() {
        let mut wheel = Deadlines::new();
        wheel.schedule(1, at(67_200));
        wheel.schedule(2, at(90));
        for millis in 0..300 {
            drain(&mut wheel, at(millis));
            assert!(wheel.next().expect("a place is taken") > at(millis));
        }
    }

    #[test]
    fn a_later_deadline_leaves_the_place_and_an_earlier_one_moves_it() {
        let mut wheel = Deadlines::new();
        wheel.schedule(1, at(1_000));
        wheel.schedule(1, at(9_000));
        assert_eq!(drain(&mut wheel, at(1_020)), [1]);
        wheel.schedule(1, at(9_000));
        wheel.schedule(1, at(2_000));
        assert_eq!(drain(&mut wheel, at(2_020)), [1]);
        assert_eq!(drain(&mut wheel, at(10_000)), [0_u32; 0]);
    }

    #[test]
    fn deadlines_beyond_a_turn_wait_for_theirs() {
        let mut wheel = Deadlines::new();
        let hour = 3_600_000;
        wheel.schedule(3, at(hour));
        let mut now = 0;
        while now < hour {
            assert_eq!(wheel.pop(at(now)), None);
            let next = wheel.next().expect("a place is taken");
            assert!(next <= at(hour) + TICK);
            now = (next.as_micros() / 1_000).max(now + 1);
        }
        assert_eq!(wheel.pop(at(hour) + TICK), Some(3));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn many_keys_come_out_once_each_in_the_order_of_ticks() {
        let mut wheel = Deadlines::new();
        let mut seed = 1_u64;
        let mut due = Vec::new();
        for key in 0..2_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let millis = (seed >> 33) % 200_000;
            due.push(millis);
            wheel.schedule(key, at(millis));
        }
        for key in (0..2_000).step_by(3) {
            wheel.cancel(key);
            assert!(!wheel.is_scheduled(key));
        }
        let mut seen = vec![0; 2_000];
        for now in (0..201_000).step_by(50) {
            while let Some(key) = wheel.pop(at(now)) {
                seen[key as usize] += 1;
                let millis = due[key as usize];
                assert!(millis <= now && now <= millis + 67, "{millis} at {now}");
            }
        }
        for (key, count) in seen.iter().enumerate() {
            assert_eq!(*count, i32::from(key % 3 != 0), "key {key}");
        }
    }

    #[test]
    fn a_long_sleep_skips_nothing() {
        let mut wheel = Deadlines::new();
        wheel.schedule(1, at(100));
        wheel.schedule(2, at(80_000));
        wheel.schedule(3, at(1_000_000));
        let mut all = drain(&mut wheel, at(2_000_000));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        wheel.schedule(4, at(5));
        assert_eq!(wheel.pop(at(2_000_000) + TICK), Some(4));
    }
}
