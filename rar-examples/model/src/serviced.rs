//! What the calls of a unit report.

use core::fmt;

use crate::Activity;

/// The fate of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signalled {
    /// It is latched.
    Latched,
    /// Another was latched already; the two merge.
    Merged,
    /// It is lost.
    Dropped(Loss),
}

/// Why a signal is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// ENABLE is 0.
    Disabled,
    /// The CPU is in a state that loses signals.
    Inhibited,
    /// A fault takes it.
    Fault,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "RAR is disabled there",
            Self::Inhibited => "the CPU is in wait-for-SIPI, shutdown or SMM",
            Self::Fault => "a defect of the unit loses it",
        })
    }
}

/// What a call of [`service`](crate::RarUnit::service) did.
#[must_use = "a driver under test may depend on whether the CPU was woken"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serviced {
    /// ENABLE is 0: nothing happened.
    Disabled,
    /// No signal is latched: nothing happened.
    Idle,
    /// A signal is latched and stays so.
    Held(HeldBy),
    /// The vector was scanned.
    Scanned(Pass),
}

/// Why a latched signal is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// IGNORE_IF is 0 and RFLAGS.IF is 0.
    InterruptFlag,
    /// The CPU's state.
    Activity(Activity),
    /// The delay fault.
    Delay,
}

/// Whether the service woke a sleeping CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    /// The CPU is as it was.
    AsBefore,
    /// The CPU was asleep and is running now.
    Woken,
}

/// What one scan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// Entries ended with SUCCESS.
    pub succeeded: u32,
    /// Entries ended with FAILURE.
    pub failed: u32,
    /// Entries found PENDING and left so.
    pub unanswered: u32,
    /// Whether software was woken.
    pub wake: Wake,
}
