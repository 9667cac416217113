//! Which tests to run, and how much of them.

use crate::samples::MOST_SAMPLES;

/// The name of the test that measures. It runs only on request, by name or by [`Options::measure`].
pub const MEASUREMENTS: &str = "measurements";

/// How many flushes of each kind are measured by default.
const FEW_SAMPLES: u32 = 200;

/// Which tests to run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Only the tests of these names, separated by commas.
    pub test: Option<&'a str>,
    /// Which list.
    pub list: List,
    /// How many flushes each CPU makes in a storm.
    pub storm_flushes: u64,
    /// At most this many CPUs initiate each test: all if `None`. A quick run, or a machine with
    /// hundreds of CPUs, needs few.
    pub initiators: Option<u32>,
    /// Whether to run tests that may hang the machine or change its state permanently.
    pub risky: bool,
    /// How many flushes of each kind to measure, up to [`MOST_SAMPLES`]. `None` measures nothing,
    /// except when `test` names the measurements: then a few.
    pub measure: Option<u32>,
}

/// Which list of tests to run. Each holds the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// The short list for machines whose CPUs run in parallel.
    Race,
    /// All but the slow ones.
    Brief,
    /// All of them.
    All,
}

impl Options<'_> {
    /// All harmless tests, each with every CPU as initiator, and a storm of medium length.
    pub const ALL: Self = Self {
        test: None,
        list: List::All,
        storm_flushes: 20_000,
        initiators: None,
        risky: false,
        measure: None,
    };

    /// Returns how many of `cpus` CPUs initiate each test.
    pub(crate) fn initiators_of(&self, cpus: u32) -> u32 {
        self.initiators.map_or(cpus, |most| most.clamp(1, cpus))
    }

    /// Returns whether a test runs, given its name and the shortest list that it is in.
    pub(crate) fn choose(&self, name: &str, list: List) -> bool {
        let names = |names: &str| names.split(',').any(|one| one == name);
        if name == MEASUREMENTS {
            return self.measure.is_some() || self.test.is_some_and(names);
        }
        match self.test {
            Some(list) => names(list),
            None => list <= self.list,
        }
    }

    /// Returns how many flushes of each kind are measured.
    pub(crate) fn samples(&self) -> u32 {
        self.measure.unwrap_or(FEW_SAMPLES).clamp(1, MOST_SAMPLES)
    }
}
