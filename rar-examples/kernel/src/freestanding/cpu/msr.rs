//! Model-specific registers that every 64-bit CPU has. All go through the one writer of `rar-regs`.

use rar_regs::{MsrAccess, NativeCpu};

fn cpu() -> NativeCpu {
    // SAFETY: all of this kernel runs in ring 0.
    unsafe { NativeCpu::new() }
}

/// Reads a register.
///
/// # Safety
///
/// The register exists on this CPU.
pub(crate) unsafe fn read_msr(msr: u32) -> u64 {
    // SAFETY: the register exists. A native access does not return faults: they arrive as
    // exceptions.
    unsafe { cpu().read(msr) }.unwrap_or_default()
}

/// Writes a register.
///
/// # Safety
///
/// The register exists on this CPU, the value is legal, and what it changes keeps memory as Rust
/// sees it.
pub(crate) unsafe fn write_msr(msr: u32, value: u64) {
    refuse_unlisted(msr);
    // SAFETY: as the caller promises. A native access does not return faults: they arrive as
    // exceptions.
    let _ = unsafe { cpu().write(msr, value) };
}

/// Panics if the list does not have the register.
#[expect(
    clippy::panic,
    reason = "a write that is not in the list must never reach a machine"
)]
pub(super) fn refuse_unlisted(msr: u32) {
    if !crate::is_written(msr) {
        panic!("MSR {msr:#x} is in no list of what this kernel writes: see msr_list.rs");
    }
}
