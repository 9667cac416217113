//! Every defect against every test.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rar_suite::{BY_OTHER_MEANS, MEASUREMENTS, Options, Outcome, TESTS, reports_stale_use};
use serde::Serialize;

use super::{Defect, Fate};
use crate::defects::catalogue::CPUS;
use crate::machine::MachineConfig;
use crate::platform::{self, BY_NMI, SuiteRun, Transcript, Trouble};

/// A test that takes more steps has hung.
const MOST_STEPS: u64 = 20_000_000;
const STORM_FLUSHES: u64 = 20;

/// One test of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Test {
    /// The name.
    pub name: &'static str,
    /// Whether the test uses the units instead of the driver.
    pub below_driver: bool,
}

/// How a test ended on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "seen", content = "why")]
pub enum Cell {
    /// It passes.
    Passed,
    /// It observed behaviour that no source calls right or wrong.
    Observed(String),
    /// All assertions held, but the flush used other means than the signal.
    ByOtherMeans(String),
    /// An assertion failed.
    Failed(String),
    /// The test did not end.
    BrokenOff(String),
    /// The test was skipped.
    Skipped(String),
}

/// One defect and the outcome of every test.
#[derive(Clone, Debug)]
pub struct Row {
    /// The defect; `None` for the machine without one.
    pub defect: Option<Defect>,
    /// One for each test.
    pub cells: Vec<Cell>,
}

/// The verdict on a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A test detects it.
    Caught,
    /// A test detects it, and every test of the driver ended without a stale use.
    Survived,
    /// No test detects it.
    Uncaught,
    /// The driver should survive it, but a stale translation was used, or a test of the driver did
    /// not end.
    NotSurvived,
}

impl Test {
    /// Returns all tests in the order in which they run.
    #[must_use]
    pub fn all() -> Vec<Self> {
        // The measurements exercise nothing that the tests do not.
        TESTS
            .iter()
            .filter(|test| ![MEASUREMENTS, BY_NMI].contains(&test.name))
            .map(|test| Self {
                name: test.name,
                below_driver: test.units.is_some(),
            })
            .collect()
    }

    /// Runs the test on its own machine.
    #[must_use]
    pub fn run(self, defect: Option<Defect>, seed: u64) -> Cell {
        let config = defect.map_or_else(|| platform::config(CPUS), Defect::machine);
        let run = SuiteRun {
            config: MachineConfig { seed, ..config },
            defect: defect.and_then(Defect::of_driver),
            seed,
            options: Options {
                test: Some(self.name),
                storm_flushes: STORM_FLUSHES,
                // Risky tests cannot harm the simulator.
                risky: true,
                ..Options::ALL
            },
            trouble: Trouble::NONE,
            most_steps: MOST_STEPS,
            until_failure: true,
        };
        Cell::of(run.run())
    }
}

impl Cell {
    fn of(transcript: Transcript) -> Self {
        let (observed, others): (Vec<_>, Vec<_>) = transcript
            .tests
            .into_iter()
            .partition(|test| test.outcome == Outcome::Observed);
        let not_passed = others
            .into_iter()
            .find(|test| test.outcome != Outcome::Pass);
        let observed = observed.into_iter().next().map(|test| test.why);
        match (not_passed, transcript.broken_off) {
            (Some(test), _) if test.outcome == Outcome::Skipped => Self::Skipped(test.why),
            (Some(test), _) if test.why.starts_with(BY_OTHER_MEANS) => Self::ByOtherMeans(test.why),
            (Some(test), _) => Self::Failed(test.why),
            (None, Some(why)) => Self::BrokenOff(why),
            (None, None) => observed.map_or(Self::Passed, Self::Observed),
        }
    }

    /// Returns the mark of the matrix.
    #[must_use]
    pub const fn mark(&self) -> char {
        match self {
            Self::Passed => '.',
            Self::Observed(_) => ':',
            Self::ByOtherMeans(_) => 'o',
            Self::Failed(_) => 'X',
            Self::BrokenOff(_) => '!',
            Self::Skipped(_) => '-',
        }
    }

    /// Returns why the test did not pass.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Observed(why)
            | Self::ByOtherMeans(why)
            | Self::Failed(why)
            | Self::BrokenOff(why)
            | Self::Skipped(why) => why,
        }
    }

    /// Returns whether the test holds, or only observes.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        matches!(self, Self::Passed | Self::Observed(_))
    }

    /// Returns whether the test detects a defect, given its outcome `right` without one: the test
    /// does not hold, or it only observes where it held.
    #[must_use]
    pub fn detects(&self, right: &Self) -> bool {
        match self {
            Self::ByOtherMeans(_) | Self::Failed(_) | Self::BrokenOff(_) => true,
            Self::Observed(_) => *right == Self::Passed,
            Self::Passed | Self::Skipped(_) => false,
        }
    }

    /// Whether a test of the driver shows that the driver did not survive: a stale translation was
    /// used, or the test did not end.
    fn is_fatal(&self) -> bool {
        match self {
            Self::Failed(why) => reports_stale_use(why),
            Self::BrokenOff(_) => true,
            Self::Passed | Self::Observed(_) | Self::ByOtherMeans(_) | Self::Skipped(_) => false,
        }
    }
}

impl Row {
    /// Returns the tests that detect the defect, each with its outcome. `right` is the row of the
    /// machine without a defect.
    pub fn detected_by<'t>(
        &self,
        tests: &'t [Test],
        right: &Self,
    ) -> impl Iterator<Item = (&'t Test, &Cell)> {
        let cells = self.cells.iter().zip(&right.cells);
        tests
            .iter()
            .zip(cells)
            .filter(|(_, (cell, right))| cell.detects(right))
            .map(|(test, (cell, _))| (test, cell))
    }

    /// Returns the tests of the driver that show that the driver has not survived.
    pub(crate) fn fatal<'t>(&self, tests: &'t [Test]) -> impl Iterator<Item = (&'t Test, &Cell)> {
        let pairs = tests.iter().zip(&self.cells);
        pairs.filter(|(test, cell)| !test.below_driver && cell.is_fatal())
    }

    /// Returns how it ended.
    #[must_use]
    pub fn verdict(&self, tests: &[Test], right: &Self) -> Verdict {
        if self.detected_by(tests, right).next().is_none() {
            return Verdict::Uncaught;
        }
        match self.defect.map(Defect::fate) {
            Some(Fate::Survived) if self.fatal(tests).next().is_some() => Verdict::NotSurvived,
            Some(Fate::Survived) => Verdict::Survived,
            Some(Fate::Fatal) | None => Verdict::Caught,
        }
    }
}

/// Runs every test on a machine without a defect and on one for each defect, one run per core at a
/// time. Calls `progress` with the finished and the total number of runs.
pub fn run(
    defects: &[Defect],
    tests: &[Test],
    seed: u64,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> (Row, Vec<Row>) {
    let machines = || std::iter::once(None).chain(defects.iter().copied().map(Some));
    let jobs: Vec<_> = machines()
        .flat_map(|defect| tests.iter().map(move |test| (defect, *test)))
        .collect();
    let mut cells = run_jobs(&jobs, seed, progress).into_iter();
    let mut row = |defect| Row {
        defect,
        cells: cells.by_ref().take(tests.len()).collect(),
    };
    (
        row(None),
        defects.iter().copied().map(Some).map(row).collect(),
    )
}

fn run_jobs(
    jobs: &[(Option<Defect>, Test)],
    seed: u64,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Cell> {
    let all = jobs.len();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mine = || -> Vec<_> {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let jobs = numbers.map_while(|number| Some((number, jobs.get(number)?)));
        jobs.map(|(number, (defect, test))| {
            let cell = test.run(*defect, seed);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
            (number, cell)
        })
        .collect()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut cells: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(mine)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    cells.sort_unstable_by_key(|(number, _)| *number);
    cells.into_iter().map(|(_, cell)| cell).collect()
}
