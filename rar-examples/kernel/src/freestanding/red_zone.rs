//! A wrong build must not run: interrupts of a kernel overwrite the red zone below RSP.

use core::arch::asm;
use core::hint::black_box;
use core::ptr::{from_mut, from_ref};

/// Returns whether this build keeps locals below RSP, that is, was compiled without `-C
/// no-redzone=yes`.
///
/// A leaf function with a small frame is where the compiler would use the red zone. The assembly
/// says it leaves the stack alone and then overwrites what an interrupt would: a changed local is
/// one that lived there.
#[inline(never)]
pub(crate) fn is_used() -> bool {
    let mut locals = [0x5afe_5afe_5afe_5afe_u64; 8];
    // SAFETY: an aligned local array.
    unsafe { from_mut(&mut locals).write_volatile([0x5afe_5afe_5afe_5afe; 8]) };
    // SAFETY: writes the 128 bytes below RSP: in a correct build unused, in a wrong one only
    // `locals` and scratch of this function, which reports it. The options claim less than is done
    // on purpose: that is the probe.
    unsafe {
        asm!(
            "mov ecx, 16",
            "2:",
            "neg rcx",
            "mov qword ptr [rsp + rcx * 8], 0",
            "neg rcx",
            "dec rcx",
            "jnz 2b",
            out("rcx") _,
            options(nostack),
        );
    }
    // SAFETY: an aligned local array.
    let after = unsafe { from_ref(&locals).read_volatile() };
    after.iter().fold(false, |changed, value| {
        changed | (*value != black_box(0x5afe_5afe_5afe_5afe))
    })
}
