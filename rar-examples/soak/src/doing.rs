//! What a CPU was doing, as a number for an atomic word.

use core::fmt;

use rar_vocabulary::{SoakFault, SoakOperation};

/// Counters of the driver that stay as they are while no fault is injected.
pub(crate) const COUNTERS: [&str; 8] = [
    "fallbacks",
    "second signals",
    "FAILURE answers",
    "flushes without a slot",
    "flushes by generation",
    "messages not sent",
    "demotions",
    "errors",
];

/// What a CPU was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// A flush.
    Operation(SoakOperation),
    /// It bore a fault.
    Fault(SoakFault),
    /// The counter with this index counted.
    Counter(usize),
}

const FAULTS: u64 = 100;
const COUNTED: u64 = 200;

impl Doing {
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Operation(operation) => operation as u64,
            Self::Fault(fault) => FAULTS + fault as u64,
            Self::Counter(index) => COUNTED + index as u64,
        }
    }

    /// Reads a code back.
    pub(crate) fn of(code: u64) -> Option<Self> {
        let index = |first: u64| usize::try_from(code - first).ok();
        if code >= COUNTED {
            index(COUNTED).map(Self::Counter)
        } else if code >= FAULTS {
            let fault = SoakFault::ALL.get(index(FAULTS)?)?;
            Some(Self::Fault(*fault))
        } else {
            let operation = SoakOperation::ALL.get(index(0)?)?;
            Some(Self::Operation(*operation))
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation(operation) => operation.name(),
            Self::Fault(fault) => fault.name(),
            Self::Counter(index) => COUNTERS.get(*index).copied().unwrap_or("counts"),
        })
    }
}
