//! Single steps over what the shim carries out for its guest.

use core::arch::global_asm;

global_asm!(include_str!("single_steps.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_lab_single_steps() -> u32;
}

/// The instructions that are executed while single steps are on.
const STEPS: u32 = 7;

/// Returns whether each instruction ends in an exception of its own, those among them that have
/// prefixes and leave for the shim.
#[must_use]
pub fn single_steps_end() -> bool {
    // SAFETY: ring 0, and register 0xcf exists under the shim. The assembly keeps to the calling
    // convention, disables interrupts and puts back the gates; the suite sends no NMI meanwhile.
    unsafe { rar_lab_single_steps() == STEPS }
}
