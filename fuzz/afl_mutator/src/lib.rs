//! The mutator that signs again, as AFL++ loads it. AFL++ calls it by an interface of C, so that there is
//! unsafe code here, and nothing else is.
//!
//! ```text
//! AFL_CUSTOM_MUTATOR_LIBRARY=target/release/libframegate_afl_mutator.so afl-fuzz …
//! ```

use std::ffi::{c_uint, c_void};
use std::{ptr, slice};

use framegate_fuzz::mutator::{cross, havocs, mutate};

/// A fuzzer's mutator.
pub struct Mutator {
    /// Another one for each change.
    seed: u64,
    /// What was made last. AFL++ reads it until the next call.
    made: Vec<u8>,
}

impl Mutator {
    /// Every eighth script begins as one and ends as another, where there is another.
    fn make(&mut self, script: &[u8], other: &[u8], bytes_max: usize) -> &[u8] {
        self.seed = self.seed.wrapping_add(1);
        let seed = self.seed;
        self.made = match seed % 8 {
            0 if !other.is_empty() => cross(script, other, bytes_max, seed),
            _ => mutate(script, bytes_max, seed, &mut havocs(seed)),
        };
        &self.made
    }
}

/// Makes a mutator. `_afl` is the fuzzer's state, which it has no use for.
#[unsafe(no_mangle)]
pub extern "C" fn afl_custom_init(_afl: *mut c_void, seed: c_uint) -> *mut Mutator {
    let mutator = Mutator {
        seed: u64::from(seed) << 32,
        made: Vec::new(),
    };
    Box::into_raw(Box::new(mutator))
}

/// Changes a script. Returns how many bytes it is then, and where they are in `made`.
///
/// # Safety
/// `mutator` is of [`afl_custom_init`], and not in use; `script` and `other` have as many bytes as is said,
/// or none; `made` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_fuzz(
    mutator: *mut Mutator,
    script: *const u8,
    script_bytes: usize,
    made: *mut *const u8,
    other: *const u8,
    other_bytes: usize,
    bytes_max: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let (script, other) = unsafe { (bytes(script, script_bytes), bytes(other, other_bytes)) };
    // SAFETY: it was made by `Box::into_raw`, and nobody else has it now.
    let script = unsafe { &mut *mutator }.make(script, other, bytes_max);
    // SAFETY: the caller's promise.
    unsafe { ptr::write(made, script.as_ptr()) };
    script.len()
}

/// Ends a mutator.
///
/// # Safety
/// `mutator` is of [`afl_custom_init`], and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_deinit(mutator: *mut Mutator) {
    // SAFETY: it was made by `Box::into_raw`, and this is its end.
    drop(unsafe { Box::from_raw(mutator) });
}

/// # Safety
/// There are as many bytes, for as long as the slice is used, unless the pointer is null.
unsafe fn bytes<'b>(start: *const u8, count: usize) -> &'b [u8] {
    match start.is_null() {
        true => &[],
        // SAFETY: the caller's promise.
        false => unsafe { slice::from_raw_parts(start, count) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What AFL++ reads after a call.
    fn fuzzed<'m>(
        mutator: *mut Mutator,
        script: &[u8],
        other: &[u8],
        bytes_max: usize,
    ) -> &'m [u8] {
        let mut made = ptr::null();
        let other_start = match other {
            [] => ptr::null(),
            other => other.as_ptr(),
        };
        // SAFETY: the bytes are there, and the mutator is ours and is not called while they are read.
        let made = unsafe {
            let count = afl_custom_fuzz(
                mutator,
                script.as_ptr(),
                script.len(),
                &mut made,
                other_start,
                other.len(),
                bytes_max,
            );
            bytes(made, count)
        };
        assert!(made.len() <= bytes_max);
        made
    }

    #[test]
    fn no_more_comes_than_is_asked_for_whatever_goes_in() {
        let script = b"FGX1\x00\x00\x00\x00\x00\x03GET\x01\x01\x00\x00\x00\x00";
        let mutator = afl_custom_init(ptr::null_mut(), 7);
        for size in 0..=script.len() {
            for bytes_max in 0..=script.len() {
                fuzzed(mutator, &script[..size], script, bytes_max);
            }
        }
        // SAFETY: it is not used any more.
        unsafe { afl_custom_deinit(mutator) };
    }

    #[test]
    fn it_is_called_as_a_fuzzer_does() {
        let script = b"GET /ws HTTP/1.1\r\n\r\n";
        let mutator = afl_custom_init(ptr::null_mut(), 7);
        let mut changed = 0;
        for round in 0..64 {
            let other = if round % 2 == 0 { &script[..] } else { &[] };
            changed += usize::from(fuzzed(mutator, script, other, 100) != script);
        }
        assert!(changed > 50, "{changed}");
        // SAFETY: it is not used any more.
        unsafe { afl_custom_deinit(mutator) };
    }
}
