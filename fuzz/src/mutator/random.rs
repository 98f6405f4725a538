//! Choices that follow from a seed alone.

use crate::exchange::Known;

/// A sequence of numbers: a counter whose steps are mixed until no bit of it can be told.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        for _ in 0..2 {
            mixed = (mixed ^ mixed >> 32).wrapping_mul(FACTOR);
        }
        mixed ^ mixed >> 32
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of the users of a world.
    pub(super) fn user<'k>(&mut self, known: &'k Known) -> &'k str {
        &known.users[self.below(known.users.len())]
    }
}
