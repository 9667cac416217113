//! What a unit knows of its CPU at the moment of a call.

/// RFLAGS.IF of the CPU at the moment of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptFlag {
    /// IF is 1: interrupts are on.
    Set,
    /// IF is 0: interrupts are off.
    Clear,
}

/// What the CPU is doing, as far as it matters to its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// It executes instructions.
    Running,
    /// HLT, MWAIT or C1.
    Halted,
    /// C6 or deeper.
    DeepSleep,
    /// SMM, wait-for-SIPI, shutdown or BIOS Guard mode: no RAR is served there.
    Inhibited,
}

impl Activity {
    pub(crate) const ALL: [Self; 4] = [
        Self::Running,
        Self::Halted,
        Self::DeepSleep,
        Self::Inhibited,
    ];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Halted => 1,
            Self::DeepSleep => 2,
            Self::Inhibited => 3,
        }
    }
}
