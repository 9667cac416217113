//! What the shim writes about its units, and where.

pub(crate) mod calls;
pub(crate) mod counts;
pub(crate) mod end_port;
pub(crate) mod ends;
pub(crate) mod lines;
pub(crate) mod lock;
pub(crate) mod reported;
pub(crate) mod tracer;

use rar_vocabulary::TraceLevel;

use crate::trace::ends::EndPorts;

/// What the shim writes about its units, and where: one line of text for each event. The page
/// `docs/rar-machine.md` has the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// How much is written.
    pub level: TraceLevel,
    /// The I/O port that takes the bytes.
    pub port: u16,
    /// Ticks of the time stamp counter in a second; 0 counts as 1.
    pub ticks_per_second: u64,
    /// The ports by which the guest ends: a write to them ends the trace, too.
    pub ends: EndPorts,
}

impl Trace {
    /// QEMU's debug console (`-debugcon`).
    pub const PORT: u16 = 0xe9;
    /// No trace.
    pub const OFF: Self = Self::new(TraceLevel::Off, 0);

    /// Returns a trace of this level on QEMU's debug console.
    #[must_use]
    pub const fn new(level: TraceLevel, ticks_per_second: u64) -> Self {
        Self {
            level,
            port: Self::PORT,
            ticks_per_second,
            ends: EndPorts::NONE,
        }
    }
}
