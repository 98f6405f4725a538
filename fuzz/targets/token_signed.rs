#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| framegate::proof::token::token_signed(input));
