//! All known defects of RAR units and drivers, by name.

use std::fmt;

use rar_model::{Defect as UnitDefect, Knobs};

use super::DriverDefect;
use crate::machine::MachineConfig;
use crate::platform;

/// How many CPUs the broken machines have.
pub const CPUS: u32 = 4;

/// One thing that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// The RAR unit of every CPU.
    Unit(UnitDefect),
    /// The driver.
    Driver(DriverDefect),
}

/// What a correct driver, or a correct unit, can do about a defect of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A stale translation may be used: a test must detect it.
    Fatal,
    /// The driver prevents stale uses, by waiting or by its fallback. A test must still detect the
    /// defect.
    Survived,
}

impl Defect {
    /// Returns all of them: units first.
    pub fn all() -> impl Iterator<Item = Self> {
        let units = UnitDefect::ALL.iter().copied().map(Self::Unit);
        units.chain(DriverDefect::ALL.iter().copied().map(Self::Driver))
    }

    /// Returns the name, in lower case and hyphens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unit(defect) => defect.name(),
            Self::Driver(defect) => defect.name(),
        }
    }

    /// Returns the description, in one sentence.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unit(defect) => defect.describe(),
            Self::Driver(defect) => defect.describe(),
        }
    }

    /// Returns the machine that has the defect.
    #[must_use]
    pub fn machine(self) -> MachineConfig {
        let knobs = match self {
            Self::Unit(defect) => {
                let mut knobs = Knobs::DEFAULT;
                defect.apply(&mut knobs);
                vec![knobs]
            }
            Self::Driver(defect) => defect.units(),
        };
        MachineConfig {
            knobs,
            ..platform::config(CPUS)
        }
    }

    /// Returns the driver's defect, if it is one.
    #[must_use]
    pub const fn of_driver(self) -> Option<DriverDefect> {
        match self {
            Self::Unit(_) => None,
            Self::Driver(defect) => Some(defect),
        }
    }

    /// Returns whether two defects have the same effect, and so are one defect with two names.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        self.of_driver() == other.of_driver() && self.machine().knobs == other.machine().knobs
    }

    /// Returns what must happen with it.
    #[must_use]
    pub const fn fate(self) -> Fate {
        match self {
            Self::Unit(defect) => fate_of_unit(defect),
            Self::Driver(defect) => fate_of_driver(defect),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No driver can work around a unit that answers SUCCESS without the flush.
const fn fate_of_unit(defect: UnitDefect) -> Fate {
    match defect {
        UnitDefect::SuccessWithoutFlush
        | UnitDefect::StatusBeforeFlush
        | UnitDefect::StoresNotDrained
        | UnitDefect::OnePageTooFew
        | UnitDefect::StrideSameSizeOnly
        | UnitDefect::StrideIgnored
        | UnitDefect::GlobalsKept
        | UnitDefect::PcidOneLess
        | UnitDefect::PcidCurrent
        | UnitDefect::GuestFlushed
        | UnitDefect::StructuresKept
        | UnitDefect::WalkSurvivesFlush
        | UnitDefect::DirtyBitKept
        | UnitDefect::PayloadIndexOff
        | UnitDefect::VectorBaseOff => Fate::Fatal,
        // A driver flushes its own TLB by instructions.
        UnitDefect::SuccessWithoutFlushToItself
        // The unit flushes more than requested.
        | UnitDefect::OnePageTooMany
        // A byte stays PENDING, or reads FAILURE: the fallback flushes.
        | UnitDefect::FirstEntryOnly
        | UnitDefect::HighestEntryOnly
        | UnitDefect::ScanStopsAtGap
        | UnitDefect::HalfTable
        | UnitDefect::NeverAnswers
        | UnitDefect::LatchedScan
        | UnitDefect::FailureAlways
        | UnitDefect::FailureSometimes
        | UnitDefect::SignalLost
        | UnitDefect::SignalsAnnihilate
        | UnitDefect::HaltNotServed
        | UnitDefect::IgnoreIfUnheeded
        // The flush takes longer, or is made twice.
        | UnitDefect::AckedLingers
        | UnitDefect::SignalDuplicated
        | UnitDefect::SignalDelayed
        // The driver writes every register whenever a CPU comes online, and only legal values.
        | UnitDefect::DisabledAnswers
        | UnitDefect::ControlLowBitsAccepted
        | UnitDefect::BaseLowBitsAccepted
        | UnitDefect::MsrsLostAtInit
        | UnitDefect::LatchKeptAtInit => Fate::Survived,
    }
}

/// A unit executes an entry as written, so a wrong entry is fatal unless it names too much or is
/// illegal.
const fn fate_of_driver(defect: DriverDefect) -> Fate {
    match defect {
        DriverDefect::OnePageTooFew
        | DriverDefect::OnePageLate
        | DriverDefect::PcidOfTheSender
        | DriverDefect::OwnTlbKept => Fate::Fatal,
        DriverDefect::SixSlots
        | DriverDefect::OnePageTooMany
        | DriverDefect::StalePageCount
        | DriverDefect::UnsynchronisedMaximum
        | DriverDefect::SignalBeforeArm
        | DriverDefect::LastTargetNotSignalled => Fate::Survived,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Defect::all().map(Defect::name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_pages_count_the_defects() {
        let all = Defect::all().count();
        let readme = include_str!("../../../../README.md");
        assert!(readme.contains(&format!("| {all} broken RAR units and drivers,")));
        let testing = include_str!("../../../../docs/testing.md");
        assert!(testing.contains(&format!("each of {all} broken units and drivers")));
    }

    #[test]
    fn every_defect_changes_something() {
        for defect in Defect::all() {
            let right = platform::config(CPUS).knobs;
            let machine = defect.machine().knobs;
            let same = machine.iter().all(|knobs| right.contains(knobs));
            assert!(!same || defect.of_driver().is_some(), "{defect}");
        }
    }
}
