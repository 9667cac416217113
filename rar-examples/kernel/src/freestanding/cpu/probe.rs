//! Loads, stores and register accesses that may fault.

use core::fmt;

unsafe extern "C" {
    fn rar_kernel_probe_load(address: u64, into: *mut u64) -> u32;
    fn rar_kernel_probe_store(address: u64, value: u64) -> u32;
    fn rar_kernel_probe_store_non_temporal(address: u64, value: u64) -> u32;
    fn rar_kernel_probe_read_register(register: u32, into: *mut u64) -> u32;
    fn rar_kernel_probe_write_register(register: u32, value: u64) -> u32;

    static rar_kernel_fixups_start: [Fixup; 0];
    static rar_kernel_fixups_end: [Fixup; 0];
}

/// An instruction that may fault, and where to go on after it did.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Fixup {
    instruction: u64,
    landing: u64,
}

/// The access faulted: not mapped, not writable, or not canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub struct PageFault {
    /// The address.
    pub address: u64,
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the access to {:#x} faulted", self.address)
    }
}

impl core::error::Error for PageFault {}

fn result<T>(status: u32, address: u64, value: T) -> Result<T, PageFault> {
    if status == 0 {
        Ok(value)
    } else {
        Err(PageFault { address })
    }
}

/// Loads 8 bytes with one `MOV`.
///
/// # Errors
///
/// [`PageFault`] when the access faults.
///
/// # Safety
///
/// The address is aligned, and where it leads reading has no side effect.
pub unsafe fn load(address: u64) -> Result<u64, PageFault> {
    let mut value = 0;
    // SAFETY: a fault lands in the table of fixups; the other pointer is a local.
    let status = unsafe { rar_kernel_probe_load(address, &raw mut value) };
    result(status, address, value)
}

/// Stores 8 bytes with one `MOV`, and no fence.
///
/// # Errors
///
/// [`PageFault`] when the access faults.
///
/// # Safety
///
/// The address is aligned, and whatever memory it leads to, now or through a stale translation, is
/// not Rust's.
pub unsafe fn store(address: u64, value: u64) -> Result<(), PageFault> {
    // SAFETY: a fault lands in the table of fixups; the memory is the caller's.
    let status = unsafe { rar_kernel_probe_store(address, value) };
    result(status, address, ())
}

/// Stores 8 bytes with one `MOVNTI`, and no fence.
///
/// # Errors
///
/// [`PageFault`] when the access faults.
///
/// # Safety
///
/// As for [`store`].
pub unsafe fn store_non_temporal(address: u64, value: u64) -> Result<(), PageFault> {
    // SAFETY: a fault lands in the table of fixups; the memory is the caller's.
    let status = unsafe { rar_kernel_probe_store_non_temporal(address, value) };
    result(status, address, ())
}

/// Executes RDMSR; `None` when it raises #GP.
///
/// # Safety
///
/// Reading the register has no side effect.
pub unsafe fn read_register(register: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: a fault lands in the table of fixups; the pointer is a local.
    let status = unsafe { rar_kernel_probe_read_register(register, &raw mut value) };
    (status == 0).then_some(value)
}

/// Executes WRMSR; `None` when it raises #GP.
///
/// # Safety
///
/// If the register takes the value, what it changes keeps memory as Rust sees it.
pub unsafe fn write_register(register: u32, value: u64) -> Option<()> {
    super::msr::refuse_unlisted(register);
    // SAFETY: a fault lands in the table of fixups; the effect is the caller's.
    let status = unsafe { rar_kernel_probe_write_register(register, value) };
    (status == 0).then_some(())
}

/// Returns where to go on after a fault of the instruction at this address, if it is one that may
/// fault.
pub(super) fn landing(instruction: u64) -> Option<u64> {
    let start = (&raw const rar_kernel_fixups_start).cast::<Fixup>();
    let end = (&raw const rar_kernel_fixups_end).addr();
    let count = end.saturating_sub(start.addr()) / size_of::<Fixup>();
    // SAFETY: the linker script puts the two symbols around the entries that `trap.s` makes, 8-byte
    // aligned, read-only.
    let fixups = unsafe { core::slice::from_raw_parts(start, count) };
    fixups
        .iter()
        .find(|fixup| fixup.instruction == instruction)
        .map(|fixup| fixup.landing)
}
