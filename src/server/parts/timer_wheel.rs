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
pub(crate) const TICK: Duration = Duration::from_micros(1 << TICK_BITS);
/// Slots of the wheel, a power of two: a turn of it takes 67 s. What lies further away is looked
/// at once a turn.
const SLOTS: usize = 4_096;
const WORDS: usize = SLOTS / 64;

/// The tick of a key that is not to be looked at.
const NEVER: u64 = u64::MAX;

/// No place: the end of a list, or a connection that has none.
const NONE: u32 = u32::MAX;

/// The wheel. Keys are the connections' slots in their slab.
///
/// ```text
///           schedule                    pop, once for a tick             pop
/// (nowhere) ────────► list of its slot ──────────────────────► due list ─────► (nowhere)
/// ```
#[derive(Debug)]
pub(crate) struct TimerWheel {
    /// The list of each slot.
    slots: Box<[List]>,
    /// A bit is set exactly when its slot's list is not empty.
    occupied: [u64; WORDS],
    /// Keys whose tick has come and which are not yet handed out.
    due: List,
    /// A place per key; its tick is `NEVER` exactly when the key is in no list.
    places: Vec<Place>,
    /// The first tick that has not come. Nothing is scheduled before it, so that a key which is
    /// scheduled while others are handed out waits for a later tick.
    tick: u64,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The tick at which this key is due. It is in the due list exactly when this lies before the
    /// wheel's tick, else in the list of this tick's slot.
    tick: u64,
    before: u32,
    after: u32,
}

const VACANT: Place = Place {
    tick: NEVER,
    before: NONE,
    after: NONE,
};

impl TimerWheel {
    pub(crate) fn new() -> TimerWheel {
        TimerWheel {
            slots: vec![EMPTY; SLOTS].into_boxed_slice(),
            occupied: [0; WORDS],
            due: EMPTY,
            places: Vec::new(),
            tick: 0,
        }
    }

    /// Sees to it that `key` is looked at no later than a tick after `at`. O(1).
    pub(crate) fn schedule(&mut self, key: u32, at: Instant) {
        // Rounded up: a deadline is never early. What is past is due at the next tick.
        let tick = at.as_micros().div_ceil(1 << TICK_BITS).max(self.tick);
        let index = key as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, VACANT);
        }
        // One that is not scheduled has a later tick than any.
        if self.places[index].tick > tick {
            self.cancel(key);
            self.link(key, tick);
        }
    }

    /// Forgets `key`. O(1).
    pub(crate) fn cancel(&mut self, key: u32) {
        if self.is_scheduled(key) {
            self.unlink(key);
        }
    }

    /// True while `key` will be looked at. O(1).
    pub(crate) fn is_scheduled(&self, key: u32) -> bool {
        let place = self.places.get(key as usize);
        place.is_some_and(|place| place.tick != NEVER)
    }

    /// Takes out a key whose place has come, if there is one. Its owner looks which of its
    /// deadlines have passed and calls `schedule` again: however that is judged, the key comes
    /// once for the same `now`. O(1), but for the first call of a tick, which walks the lists
    /// of the slots that have come, each once.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<u32> {
        self.advance(now.as_micros() >> TICK_BITS);
        let key = self.due.first;
        (key != NONE).then(|| {
            self.unlink(key);
            key
        })
    }

    /// Moves every key whose tick has come by `end` to the due list.
    fn advance(&mut self, end: u64) {
        if self.tick > end {
            return;
        }
        let begin = std::mem::replace(&mut self.tick, end + 1);
        // After a turn of the wheel every slot was visited, and each list holds every turn's keys.
        let visited_end = end.min(begin + SLOTS as u64 - 1);
        let mut from = begin;
        while let Some(tick) = self.next_occupied(from).filter(|tick| *tick <= visited_end) {
            let slot = slot(tick);
            let mut key = std::mem::replace(&mut self.slots[slot], EMPTY).first;
            while key != NONE {
                let Place { tick, after, .. } = self.places[key as usize];
                // Keys of later turns stay. This keeps the slot's bit right too.
                self.link(key, tick);
                key = after;
            }
            from = tick + 1;
        }
    }

    /// When to call `pop` next: at once while a key is due, which was not handed out. At most one
    /// turn of the wheel away, though the earliest place may lie further; `None` when there are no
    /// places. O(slots / 64).
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.due.first != NONE {
            return Some(Instant::ORIGIN);
        }
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

    /// Appends `key` to the list that its tick belongs to. It is in none.
    fn link(&mut self, key: u32, tick: u64) {
        let before = self.list(tick).last;
        self.places[key as usize] = Place {
            tick,
            before,
            after: NONE,
        };
        match before {
            NONE => self.list(tick).first = key,
            before => self.places[before as usize].after = key,
        }
        self.list(tick).last = key;
        self.note_occupied(tick);
    }

    /// Takes `key` out of the list it is in.
    fn unlink(&mut self, key: u32) {
        let Place {
            tick,
            before,
            after,
        } = std::mem::replace(&mut self.places[key as usize], VACANT);
        match before {
            NONE => self.list(tick).first = after,
            before => self.places[before as usize].after = after,
        }
        match after {
            NONE => self.list(tick).last = before,
            after => self.places[after as usize].before = before,
        }
        self.note_occupied(tick);
    }

    /// The list that keys of this tick are in.
    fn list(&mut self, tick: u64) -> &mut List {
        match tick < self.tick {
            true => &mut self.due,
            false => &mut self.slots[slot(tick)],
        }
    }

    fn note_occupied(&mut self, tick: u64) {
        let slot = slot(tick);
        let bit = 1 << (slot % 64);
        match self.slots[slot].first {
            NONE => self.occupied[slot / 64] &= !bit,
            _ => self.occupied[slot / 64] |= bit,
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

    fn drain(wheel: &mut TimerWheel, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| wheel.pop(now)).collect()
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_one_tick_late() {
        for millis in 1..3_000 {
            let mut wheel = TimerWheel::new();
            wheel.schedule(7, at(millis));
            assert_eq!(wheel.pop(at(millis - 1)), None, "{millis}");
            let late = at(millis) + TICK;
            assert_eq!(wheel.pop(late), Some(7), "{millis}");
        }
    }

    #[test]
    fn the_next_look_lies_ahead_once_a_moment_is_drained() {
        let mut wheel = TimerWheel::new();
        wheel.schedule(1, at(67_200));
        wheel.schedule(2, at(90));
        for millis in 0..300 {
            drain(&mut wheel, at(millis));
            assert!(wheel.next().expect("a place is taken") > at(millis));
        }
    }

    #[test]
    fn a_later_deadline_leaves_the_place_and_an_earlier_one_moves_it() {
        let mut wheel = TimerWheel::new();
        wheel.schedule(1, at(1_000));
        wheel.schedule(1, at(9_000));
        assert_eq!(drain(&mut wheel, at(1_020)), [1]);
        wheel.schedule(1, at(9_000));
        wheel.schedule(1, at(2_000));
        assert_eq!(drain(&mut wheel, at(2_020)), [1]);
        assert_eq!(drain(&mut wheel, at(10_000)), [0_u32; 0]);
        // Nor does the same one again, and who came first comes first.
        for key in [1, 2, 1] {
            wheel.schedule(key, at(20_000));
        }
        assert_eq!(drain(&mut wheel, at(20_020)), [1, 2]);
    }

    #[test]
    fn a_key_that_comes_or_goes_leaves_those_of_every_slot_in_their_places() {
        let slots = SLOTS as u32;
        let mut wheel = TimerWheel::new();
        for key in 0..slots {
            wheel.schedule(key, Instant::ORIGIN + TICK * key);
        }
        wheel.schedule(slots, at(90));
        (0..2).for_each(|_| wheel.cancel(slots));
        let end = Instant::ORIGIN + TICK * slots;
        assert!(drain(&mut wheel, end).into_iter().eq(0..slots));
    }

    #[test]
    fn deadlines_beyond_a_turn_wait_for_theirs() {
        let mut wheel = TimerWheel::new();
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
        let mut wheel = TimerWheel::new();
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
    fn a_key_scheduled_while_others_are_handed_out_waits_for_a_later_tick() {
        let mut wheel = TimerWheel::new();
        for key in 0..3 {
            wheel.schedule(key, at(90));
        }
        // Whatever its owner believes to be due still.
        let mut seen = Vec::new();
        while let Some(key) = wheel.pop(at(100)) {
            seen.push(key);
            wheel.schedule(key, at(0));
        }
        assert_eq!(seen, [0, 1, 2]);
        assert!(wheel.next().expect("a place is taken") > at(100));
        assert_eq!(drain(&mut wheel, at(100) + TICK), [0, 1, 2]);
    }

    #[test]
    fn a_key_that_is_due_and_cancelled_is_not_handed_out() {
        for cancelled in 0..3 {
            let mut wheel = TimerWheel::new();
            for key in 0..4 {
                wheel.schedule(key, at(90));
            }
            assert_eq!(wheel.pop(at(200)), Some(0));
            wheel.cancel(cancelled);
            assert!(!wheel.is_scheduled(cancelled));
            let rest = (1..4).filter(|key| *key != cancelled);
            assert_eq!(drain(&mut wheel, at(200)), Vec::from_iter(rest));
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn keys_of_later_turns_are_passed_over_once_in_a_tick() {
        let mut wheel = TimerWheel::new();
        let turn = TICK * SLOTS as u32;
        for key in 0..1_000 {
            wheel.schedule(key, at(160) + turn * (key % 2));
        }
        assert_eq!(wheel.pop(at(200)), Some(0));
        // What the next pop could walk over in the slot.
        let slot = wheel.slots[slot(wheel.places[1].tick)];
        let after = |key: &u32| Some(wheel.places[*key as usize].after);
        let some = |key: &u32| *key != NONE;
        let left = std::iter::successors(Some(slot.first), |key| after(key).filter(some));
        assert!(left.eq((0..1_000).filter(|key| key % 2 == 1)));
        assert_eq!(drain(&mut wheel, at(200)).len(), 499);
        assert_eq!(drain(&mut wheel, at(200) + turn).len(), 500);
    }

    #[test]
    fn a_long_sleep_skips_nothing() {
        let mut wheel = TimerWheel::new();
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
