//! The options of a soak, beside those of every kernel of the laboratory.

use rar_kernel::KernelOptions;
use rar_kernel::options::{Word, Words, positive};

use super::run_options::RunOptions;

/// Most faults take as long as the deadline: they are rare enough to leave most of the time.
const FAULTS: u32 = 4_096;

const WORDS: &[Word] = &[
    ("soak", "seconds of a soak instead of tests, from 1"),
    ("seed", "a number, for all random choices of a soak"),
    (
        "faults",
        "one of how many flushes of a soak meets a fault, from 1",
    ),
];

/// What a kernel runs that knows tests and soaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoakRun<'a> {
    /// What the suite runs, and on which backends.
    pub run: RunOptions<'a>,
    /// How many seconds a soak takes, if one runs instead of tests.
    pub seconds: Option<u64>,
    /// The seed of the soak.
    pub seed: u64,
    /// One of how many flushes of the soak meets a fault.
    pub faults: u32,
}

impl<'a> SoakRun<'a> {
    /// Returns a run of the suite, with the usual soak for a command line that asks for one.
    #[must_use]
    pub const fn new(run: RunOptions<'a>) -> Self {
        Self {
            run,
            seconds: None,
            seed: 1,
            faults: FAULTS,
        }
    }
}

impl<'a> Words<'a> for SoakRun<'a> {
    const LEGAL: &'static [&'static [Word]] = &[WORDS, RunOptions::WORDS, KernelOptions::WORDS];

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "soak" => self.seconds = Some(positive(value)?),
            "seed" => self.seed = value.parse().ok()?,
            "faults" => self.faults = u32::try_from(positive(value)?).ok()?,
            _ => return self.run.set(key, value),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use rar_kernel::CommandLine;
    use rar_kernel::options::read;
    use rar_suite::Backend;

    use super::*;

    #[test]
    fn a_soak_is_asked_for_beside_the_other_options() {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(b"soak=5 seed=18446744073709551615 backends=vrar deadline=20");
        let mut options = SoakRun::new(RunOptions::DEFAULT);
        read(&line, &mut options, |error| panic!("{error}"));
        assert_eq!((options.seconds, options.seed), (Some(5), u64::MAX));
        assert_eq!((options.faults, options.run.deadline), (FAULTS, 20));
        assert!(options.run.wants(Backend::Vrar));
    }

    #[test]
    fn invalid_values_are_reported_and_change_nothing() {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(b"soak=0 seed=x faults=0");
        let mut options = SoakRun::new(RunOptions::DEFAULT);
        let mut errors = 0;
        read(&line, &mut options, |_| errors += 1);
        assert_eq!(errors, 3);
        assert_eq!(options, SoakRun::new(RunOptions::DEFAULT));
    }
}
