//! A target of libFuzzer: its body is a function of the library, and so is its mutator.
#![no_main]
use std::sync::atomic::{AtomicU8, Ordering};

use framegate_fuzz::exchange::{STATES, begin, exchange_by_states};

/// The states of connections, for libFuzzer to look at after an input: a new one is as good as new code.
#[used]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static REACHED: [AtomicU8; STATES] = [const { AtomicU8::new(0) }; STATES];

libfuzzer_sys::fuzz_target!(init: begin(), |script: &[u8]| {
    exchange_by_states(script, |state| {
        REACHED[state.number()].store(1, Ordering::Relaxed)
    });
});

#[cfg(not(feature = "plain"))]
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    framegate_fuzz::mutator::mutate_in_place(
        data,
        size,
        max_size,
        seed,
        libfuzzer_sys::fuzzer_mutate,
    )
});

#[cfg(not(feature = "plain"))]
libfuzzer_sys::fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    let script = framegate_fuzz::mutator::cross(one, other, out.len(), seed.into());
    out[..script.len()].copy_from_slice(&script);
    script.len()
});
