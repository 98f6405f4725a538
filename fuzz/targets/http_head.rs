#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| framegate::proof::wire::http_head(input));
