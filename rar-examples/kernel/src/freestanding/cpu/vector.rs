//! Which interrupt vector is for what.

/// Asks a CPU to look for work.
pub const WAKE: u8 = 0xE0;
/// The signal of a backend without RAR: look at the action vector.
pub const SOFTWARE_SIGNAL: u8 = 0xE1;
/// The way out: serve the flush generation.
pub const FALLBACK: u8 = 0xE2;
/// An interrupt that a CPU sends to itself.
pub const OWN: u8 = 0xE3;
/// What flushes are compared with: it asks for nothing.
pub const BARE: u8 = 0xE6;
/// The timer of the local APIC: a test is not done in time.
pub const WATCHDOG: u8 = 0xE4;
/// The end of user mode: an instruction, no interrupt.
pub const USER_END: u8 = 0xE5;
/// The local APIC's spurious interrupt: no acknowledgement.
pub const SPURIOUS: u8 = 0xFF;
