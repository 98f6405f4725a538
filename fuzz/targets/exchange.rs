//! A target of libFuzzer: its body is a function of the library.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| framegate_fuzz::exchange::exchange(input));
