//! How long a soak runs, and what it breaks.

/// How long a soak runs, and what it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoakOptions {
    /// All random choices depend on it.
    pub seed: u64,
    /// When it ends.
    pub limit: Limit,
    /// One of how many flushes meets a CPU that is deaf, or spins with its interrupts disabled; 0
    /// for no flush. Most of these faults take as long as the driver's timeouts.
    pub fault_every: u32,
    /// One of how many flushes begins with a CPU that goes offline; 0 for no flush.
    pub offline_every: u32,
}

/// When a soak ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After that many milliseconds.
    Milliseconds(u64),
    /// After that many flushes, at the end of a scene.
    Flushes(u64),
}
