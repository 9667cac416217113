//! What a soak counts.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($(#[doc = $doc:literal])* $name:ident: $($kind:ident $text:literal $what:literal,)*) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $what] $kind,)*
        }

        impl $name {
            /// All of them, in the order of records.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Returns the name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }

            /// Returns what it is, in one sentence.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$kind => $what,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

kinds! {
    /// Why a soak flushes.
    SoakOperation:
    Remap "remap" "One page leads to another frame.",
    Range "range" "Up to eight neighbouring pages lead to other frames.",
    Revoke "revoke" "A page may no longer be written.",
    Grant "grant" "A page may be written again.",
    Unmap "unmap" "A page is no longer mapped.",
    Exit "exit" "All pages of a space are unmapped; its table and its PCID may be used again.",
    Fork "fork" "All pages of a space become read-only and shared with a new space.",
    Copy "copy" "A shared page gets a frame of its own, which may be written.",
    Tables "tables" "The page table of a space is replaced and may be freed.",
    Kernel "kernel" "A global page of all spaces leads to another frame.",
    Several "several" "Pages of two spaces are flushed under one signal.",
    Recycle "recycle" "The PCID of a space that goes on living is given to another one at once.",
    Collapse "collapse" "A page table and its pages are replaced by a large page.",
    Split "split" "A large page is replaced by a page table.",
    Storm "storm" "All CPUs flush each other at the same time.",
}

kinds! {
    /// What a soak breaks.
    SoakFault:
    Offline "offline" "A CPU goes offline and comes back after some flushes.",
    DeafToSignals "deaf-to-signals" "A CPU ignores the signal; the fallback must flush it.",
    DeafToEverything "deaf-to-everything"
        "A CPU ignores all messages; the flush must fail, name it, and end at a second wait.",
    InterruptsOff "interrupts-off" "A CPU spins with its interrupts disabled.",
    Suspended "suspended"
        "A CPU goes offline, loses the registers of its unit, and comes back after some flushes.",
    RegistersLost "registers-lost"
        "A unit loses its registers; the fallback must flush the CPU, and the unit comes back.",
    Dead "dead"
        "A CPU crashes under a flush and is declared dead; later another CPU has its number.",
    UnitsRefused "units-refused"
        "At the end all units are refused under a flush; software flushes on, without fallbacks.",
}

/// How many kinds of flushes there are.
pub const SOAK_OPERATIONS: usize = SoakOperation::ALL.len();
/// How many kinds of faults there are.
pub const SOAK_FAULTS: usize = SoakFault::ALL.len();

/// Flushes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakFlushes {
    /// All of them.
    pub flushes: u64,
    /// Those that are verified: see [`Soak::verified`].
    pub verified: u64,
}

/// Faults of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoakFaults {
    /// How many were injected.
    pub injected: u64,
    /// How many had the effect that the driver promises, and no other.
    pub accounted: u64,
}

/// What a soak has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soak {
    /// Milliseconds since it began.
    pub milliseconds: u64,
    /// CPUs that are online.
    pub online: u32,
    /// Flushes by kind, in the order of [`SoakOperation::ALL`].
    pub operations: [SoakFlushes; SOAK_OPERATIONS],
    /// Faults by kind, in the order of [`SoakFault::ALL`].
    pub faults: [SoakFaults; SOAK_FAULTS],
    /// Loads and stores that were judged.
    pub accesses: u64,
    /// Loads and stores by a translation whose flush had returned: each is a failure.
    pub stale: u64,
    /// How often a CPU that held an old translation tried to use it between the change of the entry
    /// and the flush.
    pub controls: u64,
    /// How often it could: the stale translation was there.
    pub controls_seen: u64,
    /// How often a CPU entered another space.
    pub switches: u64,
    /// How often a CPU entered a space and kept what it had cached of it.
    pub kept: u64,
    /// How often a thread ran on another CPU than before.
    pub migrations: u64,
    /// How often a PCID went from one space to another.
    pub pcids: u64,
    /// How often a CPU entered lazy TLB mode.
    pub lazy: u64,
    /// Frames that were used again after a flush.
    pub reused: u64,
    /// Uses of other means than the signal without an injected fault, while a CPU did not run for a
    /// good part of the time that it had for its answer.
    pub pauses: u64,
    /// The same while all CPUs ran: each is a failure.
    pub unexplained: u64,
}

impl Soak {
    /// Returns all flushes.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.operations.iter().map(|each| each.flushes).sum()
    }

    /// Returns the flushes that are verified: another CPU had read through the old translation, had
    /// flushed nothing since, and read the new value afterwards.
    #[must_use]
    pub fn verified(&self) -> u64 {
        self.operations.iter().map(|each| each.verified).sum()
    }

    /// Returns all faults.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.faults.iter().map(|each| each.injected).sum()
    }

    /// Returns the faults that had the effect that the driver promises.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.faults.iter().map(|each| each.accounted).sum()
    }

    /// Adds what another run has counted; `online` becomes that of the other.
    pub fn add(&mut self, other: &Self) {
        let flushes = self.operations.iter_mut().zip(other.operations);
        flushes.for_each(|(sum, more)| {
            sum.flushes += more.flushes;
            sum.verified += more.verified;
        });
        let faults = self.faults.iter_mut().zip(other.faults);
        faults.for_each(|(sum, more)| {
            sum.injected += more.injected;
            sum.accounted += more.accounted;
        });
        self.online = other.online;
        for (sum, more) in [
            (&mut self.milliseconds, other.milliseconds),
            (&mut self.accesses, other.accesses),
            (&mut self.stale, other.stale),
            (&mut self.controls, other.controls),
            (&mut self.controls_seen, other.controls_seen),
            (&mut self.switches, other.switches),
            (&mut self.kept, other.kept),
            (&mut self.migrations, other.migrations),
            (&mut self.pcids, other.pcids),
            (&mut self.lazy, other.lazy),
            (&mut self.reused, other.reused),
            (&mut self.pauses, other.pauses),
            (&mut self.unexplained, other.unexplained),
        ] {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_over_all_kinds() {
        let mut soak = Soak::default();
        for (number, each) in (1..).zip(&mut soak.operations) {
            *each = SoakFlushes {
                flushes: 2 * number,
                verified: number,
            };
        }
        assert_eq!((soak.flushes(), soak.verified()), (240, 120));
        let mut twice = soak;
        twice.add(&soak);
        assert_eq!((twice.flushes(), twice.verified()), (480, 240));
    }

    #[test]
    fn a_record_is_read_back() {
        let soak = Soak {
            stale: 3,
            ..Soak::default()
        };
        let text = serde_json::to_string(&soak).unwrap();
        assert_eq!(serde_json::from_str::<Soak>(&text).unwrap(), soak);
    }
}
