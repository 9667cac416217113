//! The interrupt vectors of the kernel. The kernels above may use the rest, from 0x30 on.

/// Asks a CPU to look for work.
pub const WAKE: u8 = 0xe0;
/// The signal without RAR: the handler looks at the action vector.
pub const SOFTWARE_SIGNAL: u8 = 0xe1;
/// The fallback: the handler serves the flush generation.
pub const FALLBACK: u8 = 0xe2;
/// The timer of the local APIC.
pub const TIMER: u8 = 0xe4;
/// The end of user mode: an instruction, no interrupt.
pub const USER_END: u8 = 0xe5;
/// The local APIC's spurious interrupt: no acknowledgement.
pub const SPURIOUS: u8 = 0xff;
