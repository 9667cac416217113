//! CR8: the priority below which interrupts wait.

use core::arch::asm;

/// Holds back interrupts up to this class of 16 vectors; 0 holds none back.
///
/// Memory accesses stay on their side of it.
pub fn set(class: u8) {
    // SAFETY: ring 0, and four bits are legal. Not `nomem`: handlers may run behind it.
    unsafe { asm!("mov cr8, {}", in(reg) u64::from(class & 0xf), options(nostack)) };
}
