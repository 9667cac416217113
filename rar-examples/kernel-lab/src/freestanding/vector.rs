//! The interrupt vectors of the laboratory, besides those of the kernel.

/// An interrupt that a CPU sends to itself.
pub(crate) const OWN: u8 = 0xe3;
/// Asks a CPU to give its unit up.
pub(crate) const SWITCH: u8 = 0xe7;
/// What flushes are compared with: it asks for nothing.
pub(crate) const BARE: u8 = 0xe6;
