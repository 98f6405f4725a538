//! Where a run's choices come from: a seed, for the simulator, or bytes, for the fuzzer.

/// A source of choices. The same source makes the same choices.
pub(super) enum Choice<'a> {
    /// The state of a generator that never ends.
    Seed(u64),
    /// What is left of an input; after its end every choice is the first.
    Bytes(&'a [u8]),
    /// As a seed, with what is chosen written down as the bytes that choose the same.
    Noted { seed: u64, bytes: Vec<u8> },
}

impl Choice<'_> {
    /// A number below `bound`, which is at least 1 and at most 2²⁴.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let is_short = bound <= 256;
        match self {
            Choice::Seed(state) => reduce(next(state), bound),
            Choice::Bytes(bytes) if is_short => reduce(take(bytes), bound),
            Choice::Bytes(bytes) => {
                let drawn = take(bytes) << 16 | take(bytes) << 8 | take(bytes);
                reduce(drawn, bound)
            }
            Choice::Noted { seed, bytes } => {
                let chosen = reduce(next(seed), bound);
                let behind = if is_short { 3 } else { 1 };
                bytes.extend_from_slice(&chosen.to_be_bytes()[behind..]);
                chosen
            }
        }
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `of`, which has at least one.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }

    /// True when there is nothing left to choose by.
    pub(super) fn is_spent(&self) -> bool {
        matches!(self, Choice::Bytes([]))
    }
}

fn reduce(drawn: u64, bound: u32) -> u32 {
    (drawn % u64::from(bound)) as u32
}

fn take(bytes: &mut &[u8]) -> u64 {
    let Some((first, rest)) = bytes.split_first() else {
        return 0;
    };
    *bytes = rest;
    u64::from(*first)
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): every
/// seed is a good one.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
