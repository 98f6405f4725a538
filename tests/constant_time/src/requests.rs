//! What a program asks of the valgrind it runs under (valgrind.h, memcheck.h).

use std::arch::asm;
use std::slice;

const COUNT_ERRORS: usize = 0x1201;
const MEMCHECK: usize = 0x4d43_0000;
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
const GET_VBITS: usize = MEMCHECK + 8;

/// From now on no branch and no address may depend on `bytes`.
pub fn poison(bytes: &[u8]) {
    let [address, length] = range(bytes);
    request([MAKE_MEM_UNDEFINED, address, length, 0, 0, 0]);
}

/// Tells whether a secret has a part in `byte`, which is none from now on. Never where memcheck
/// is not running.
pub fn declassify(byte: &u8) -> bool {
    let [address, length] = range(slice::from_ref(byte));
    let mut undefined_bits = 0_u8;
    let into = &raw mut undefined_bits as usize;
    request([GET_VBITS, address, into, length, 0, 0]);
    request([MAKE_MEM_DEFINED, address, length, 0, 0, 0]);
    undefined_bits != 0
}

/// How often memcheck saw a branch or an address that depends on a secret.
pub fn errors() -> usize {
    request([COUNT_ERRORS, 0, 0, 0, 0, 0])
}

fn range(bytes: &[u8]) -> [usize; 2] {
    [bytes.as_ptr() as usize, bytes.len()]
}

/// Valgrind knows a request by four rotations that come to nothing, and answers in `rdx`. Where
/// it is not running, the answer is 0.
fn request(question: [usize; 6]) -> usize {
    let answer;
    // SAFETY: the rotations make a full turn and the exchange is of a register with itself, so
    // nothing changes but flags. Valgrind writes to nothing but where GET_VBITS was given room.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") question.as_ptr(),
            inout("rdx") 0_usize => answer,
            options(nostack),
        );
    }
    answer
}
