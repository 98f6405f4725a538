//! A target of libFuzzer: its body is a function of the library, and so is its mutator.
#![no_main]
use framegate_fuzz::mutator::mutate_in_place;
use libfuzzer_sys::fuzzer_mutate;

libfuzzer_sys::fuzz_target!(|input: &[u8]| framegate_fuzz::exchange::exchange(input));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // To compare with a fuzzer that knows nothing of signatures.
    match std::env::var_os("PLAIN") {
        Some(_) => fuzzer_mutate(data, size, max_size),
        None => mutate_in_place(&mut data[..max_size], size, seed, fuzzer_mutate),
    }
});
