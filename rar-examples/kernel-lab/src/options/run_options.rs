//! The options of every kernel of the laboratory: what the suite runs, and how patiently.

use rar_kernel::options::{Word, Words, not_empty, positive, read, switch};
use rar_kernel::{CommandLine, KernelOptions};
use rar_suite::{Backend, List, Options};
use rar_vocabulary::TraceLevel;

use super::backend::are_backends;

/// Milliseconds. A host that is busy may not run a virtual CPU for a good part of it.
const DEADLINE: u64 = 250;
const PATIENCE: u64 = 20;

const WORDS: &[Word] = &[
    ("backends", "a list of hardware, software, vrar"),
    (
        "models",
        "listed, any: which processors may have RAR if they say so",
    ),
    ("test", "a list of tests"),
    ("list", "all, brief, race"),
    ("defect", "a defect of the catalogue, for vrar"),
    (
        "odd-table",
        "ENTRIES@ID, 1 to 64 and an APIC id: the table of one unit, for vrar",
    ),
    (
        "odd-joins",
        "with, late: while the others join, or under a flush of theirs",
    ),
    ("trace", "off, offences, signals, all: what vrar writes"),
    ("deadline", "milliseconds, from 1"),
    ("flushes", "flushes of each CPU in a storm, from 1"),
    (
        "initiators",
        "how many CPUs initiate each test, from 1, or all",
    ),
    (
        "measure",
        "how many flushes of each kind are timed, from 1, or off",
    ),
    ("risky", "on, off: tests that may hang the machine"),
    ("patience", "seconds, from 1"),
    ("test-seconds", "seconds, from 0"),
    ("stop", "CPU@TEST, a fault to be injected"),
];

/// What the suite runs, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions<'a> {
    /// What every kernel obeys.
    pub kernel: KernelOptions,
    /// The backends; all that the machine has if none is named.
    pub backends: Option<&'a str>,
    /// Which processors may have RAR.
    pub models: Models,
    /// Only these tests.
    pub test: Option<&'a str>,
    /// Which list of tests.
    pub list: List,
    /// The defect of the shim's units.
    pub defect: Option<&'a str>,
    /// The unit of the shim that has another table than the rest.
    pub odd_table: Option<OddTable>,
    /// When its CPU joins.
    pub odd_joins: Joins,
    /// How much the shim's units write to their port.
    pub trace: TraceLevel,
    /// How many milliseconds a target may take to answer the signal.
    pub deadline: u64,
    /// How many flushes each CPU makes in a storm.
    pub flushes: Amount<u64>,
    /// How many CPUs initiate each test; the others never do.
    pub initiators: Amount<u32>,
    /// How many flushes of each kind are timed.
    pub measure: Amount<u32>,
    /// Whether tests that may hang the machine run, too.
    pub risky: bool,
    /// How many seconds a CPU may take to reach a barrier.
    pub patience: u64,
    /// How many seconds a run of a test may take; 0 sets no bound.
    pub test_seconds: u64,
    /// The CPU that is to stop.
    pub stop: Option<Stop<'a>>,
}

/// An amount that the command line may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<N> {
    /// Not set: as much as is usual in this kernel.
    Usual,
    /// This much.
    Of(N),
    /// `all` or `off`: no limit to the CPUs that initiate, or no flush that is timed.
    Unbounded,
}

/// The amounts that are usual in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualAmounts {
    /// Flushes of each CPU in a storm.
    pub flushes: u64,
    /// CPUs that initiate each test; all if `None`.
    pub initiators: Option<u32>,
    /// Flushes of each kind that are timed, unless the command line names tests.
    pub samples: Option<u32>,
}

/// Which processors may have RAR if they say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    /// Those that a source lists.
    Listed,
    /// Any.
    Any,
}

/// A fault to be injected: the CPU stops at its first load from a page under test in the test of
/// that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop<'a> {
    /// The CPU.
    pub cpu: u32,
    /// The test in which it does.
    pub test: &'a str,
}

/// When the CPU with another table joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// While the others do.
    With,
    /// When the others are online, and one of them has a flush in the air.
    Late,
}

/// A unit with a table of its own size, so that the CPUs disagree on RAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OddTable {
    /// How many entries it has, 1 to 64.
    pub entries: u8,
    /// The APIC id of its CPU.
    pub apic_id: u32,
}

impl<'a> RunOptions<'a> {
    /// The options beside those of every kernel, each with the values it takes.
    pub const WORDS: &'static [Word] = WORDS;

    /// What runs without any option: everything.
    pub const DEFAULT: Self = Self {
        kernel: KernelOptions::DEFAULT,
        backends: None,
        models: Models::Listed,
        test: None,
        list: List::All,
        defect: None,
        odd_table: None,
        odd_joins: Joins::With,
        trace: TraceLevel::Off,
        deadline: DEADLINE,
        flushes: Amount::Usual,
        initiators: Amount::Usual,
        measure: Amount::Usual,
        risky: false,
        patience: PATIENCE,
        test_seconds: 0,
        stop: None,
    };

    /// Reads the command line. The main function reports what is unknown or invalid.
    #[must_use]
    pub fn read(line: &'a CommandLine) -> Self {
        let mut options = Self::DEFAULT;
        read(line, &mut options, |_| {});
        options
    }

    /// Returns whether `vrar` is the first backend that is named.
    #[must_use]
    pub fn begins_under_shim(&self) -> bool {
        let first = self.backends.and_then(|list| list.split(',').next());
        first == Some(Backend::Vrar.name())
    }

    /// Returns whether a backend is to run where the machine has it: those that are named, or all.
    #[must_use]
    pub fn wants(&self, backend: Backend) -> bool {
        self.backends
            .is_none_or(|list| list.split(',').any(|name| name == backend.name()))
    }

    /// Returns what the suite runs.
    #[must_use]
    pub fn suite(&self, usual: &UsualAmounts) -> Options<'a> {
        Options {
            test: self.test,
            list: self.list,
            storm_flushes: match self.flushes {
                Amount::Of(number) => number,
                Amount::Usual | Amount::Unbounded => usual.flushes,
            },
            initiators: match self.initiators {
                Amount::Usual => usual.initiators,
                Amount::Of(number) => Some(number),
                Amount::Unbounded => None,
            },
            risky: self.risky,
            measure: match self.measure {
                // A run of named tests has no others.
                Amount::Usual => usual.samples.filter(|_| self.test.is_none()),
                Amount::Of(number) => Some(number),
                Amount::Unbounded => None,
            },
        }
    }
}

impl<'a> Words<'a> for RunOptions<'a> {
    const LEGAL: &'static [&'static [Word]] = &[WORDS, KernelOptions::WORDS];

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "backends" => {
                self.backends = Some(value).filter(|list| are_backends(list)).map(Some)?
            }
            "models" => {
                self.models = match value {
                    "listed" => Models::Listed,
                    "any" => Models::Any,
                    _ => return None,
                }
            }
            "test" => self.test = Some(not_empty(value)?),
            "list" => {
                self.list = match value {
                    "all" => List::All,
                    "brief" => List::Brief,
                    "race" => List::Race,
                    _ => return None,
                }
            }
            "defect" => self.defect = Some(not_empty(value)?),
            "odd-joins" => {
                self.odd_joins = match value {
                    "with" => Joins::With,
                    "late" => Joins::Late,
                    _ => return None,
                }
            }
            "odd-table" => self.odd_table = Some(odd_table(value)?),
            "trace" => self.trace = TraceLevel::by_name(value)?,
            _ => {
                return self
                    .set_number(key, value)
                    .or_else(|| self.kernel.set(key, value));
            }
        }
        Some(())
    }
}

impl<'a> RunOptions<'a> {
    fn set_number(&mut self, key: &str, value: &'a str) -> Option<()> {
        let number = || positive(value).and_then(|number| u32::try_from(number).ok());
        match key {
            "deadline" => self.deadline = positive(value)?,
            "flushes" => self.flushes = Amount::Of(positive(value)?),
            "initiators" if value == "all" => self.initiators = Amount::Unbounded,
            "initiators" => self.initiators = Amount::Of(number()?),
            "measure" if value == "off" => self.measure = Amount::Unbounded,
            "measure" => self.measure = Amount::Of(number()?),
            "risky" => self.risky = switch(value)?,
            "patience" => self.patience = positive(value)?,
            "test-seconds" => self.test_seconds = value.parse().ok()?,
            "stop" => {
                let (cpu, test) = value.split_once('@')?;
                self.stop = Some(Stop {
                    cpu: cpu.parse().ok()?,
                    test: not_empty(test)?,
                });
            }
            _ => return None,
        }
        Some(())
    }
}

fn odd_table(value: &str) -> Option<OddTable> {
    let (entries, apic_id) = value.split_once('@')?;
    let entries = entries
        .parse()
        .ok()
        .filter(|each| (1..=64).contains(each))?;
    let apic_id = apic_id.parse().ok()?;
    Some(OddTable { entries, apic_id })
}

#[cfg(test)]
mod tests;
