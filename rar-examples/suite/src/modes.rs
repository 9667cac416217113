//! Where a CPU runs besides the kernel: in user mode, and in a guest.

use rar_percpu::CpuId;

#[cfg(doc)]
use crate::platform::Access;
use crate::platform::Page;

/// A CPU at the privilege of an application, as most targets of a shootdown are.
pub trait UserMode: Sync {
    /// Loads the first word of a page of [`Access::User`] on this CPU, in user mode and with
    /// interrupts enabled, in a loop without a pause, an access to the APIC or any other
    /// instruction that waits. The loop ends when a load does not return `value`, at
    /// [`leave`](Self::leave), or after `milliseconds`. Returns what the last load returned;
    /// [`u64::MAX`] stands for a fault.
    fn spin(&self, page: Page, value: u64, milliseconds: u64) -> u64;

    /// Returns how many loads the spin of a CPU has made; 0 while it makes none.
    fn rounds(&self, cpu: CpuId) -> u64;

    /// Ends the spin of a CPU.
    fn leave(&self, cpu: CpuId);
}

/// Guests on this machine's processors. A guest runs the kernel's own code in the kernel's address
/// space.
pub trait Guest: Sync {
    /// Runs a guest with its own tag on this CPU. The guest calls `until` in a loop and ends when
    /// that returns true. Returns `false` if the guest ended in another way. No translation of an
    /// earlier guest is left. An interrupt leaves the guest, is handled, and the guest continues.
    fn run(&self, until: &dyn Fn() -> bool) -> bool;
}
