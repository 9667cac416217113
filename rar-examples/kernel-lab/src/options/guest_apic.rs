//! How the kernel drives its local APIC under the shim.

/// How the kernel drives its local APIC under the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestApic {
    /// By model-specific registers, which the shim presents also where the machine has none.
    X2apic,
    /// By the page, if it does so already; the shim traps it.
    Xapic,
}
