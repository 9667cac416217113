//! The figures of a run.

use serde::{Deserialize, Serialize};

/// A case and its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What was counted.
    pub case: String,
    /// Instructions per call, of the call alone.
    pub instructions: u64,
}

/// A case and the cache lines that moved, as the simulator prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Its name.
    pub case: String,
    /// What flushes.
    pub design: String,
    /// How many CPUs flush at the same time.
    pub initiators: u32,
    /// How many CPUs each of them flushes.
    pub targets: u32,
    /// Whether the case is outside the grid of initiators and targets.
    pub special: bool,
    /// Transfers for each flush.
    pub transfers: f64,
    /// The same by what the lines hold, without those that do not move.
    pub kinds: Vec<(String, f64)>,
}

/// How the crates are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// All crates as one unit.
    Lto,
    /// Each crate by itself, as the kernels of this workspace.
    Separate,
}

impl Linking {
    /// Returns the profile of the root manifest.
    #[must_use]
    pub const fn profile(self) -> &'static str {
        match self {
            Self::Lto => "bench-lto",
            Self::Separate => "kernel",
        }
    }

    /// Returns the heading of its part of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Lto => "All crates as one unit (fat LTO)",
            Self::Separate => "Each crate by itself (no LTO)",
        }
    }

    /// Returns the name in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lto => "fat LTO",
            Self::Separate => "no LTO",
        }
    }
}

/// All figures of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Instructions.
    pub instructions: Vec<Count>,
    /// Cache lines.
    pub lines: Vec<Moved>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lines::START;

    pub(crate) fn moved(design: &str, initiators: u32, targets: u32) -> Moved {
        Moved {
            case: format!("{START}{design}, {initiators} by {targets}"),
            design: design.to_owned(),
            initiators,
            targets,
            special: false,
            transfers: f64::from(5 * targets + 1),
            kinds: vec![
                ("payload".to_owned(), f64::from(targets + 1)),
                ("vector".to_owned(), f64::from(4 * targets)),
            ],
        }
    }
}
