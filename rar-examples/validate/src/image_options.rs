//! What the command line asks for. Nothing on it can stop a run: an invalid value is reported, and
//! the default is used.

use rar_kernel::options::{OptionError, Word, Words, read};
use rar_kernel::{ComPort, CommandLine, KernelOptions};
use rar_kernel_lab::options::{RunOptions, UsualAmounts};
use rar_suite::Backend;

const STORM_FLUSHES: u64 = 20_000;
const QUICK_FLUSHES: u64 = 500;
/// From here on more CPUs do not make more flushes.
const STORM_CPUS: u64 = 8;
const SAMPLES: u32 = 2_000;
const QUICK_SAMPLES: u32 = 200;
/// A machine of hundreds would take hours with each CPU as initiator.
const INITIATORS: u32 = 8;
const QUICK_INITIATORS: u32 = 2;
const PAGE_SECONDS: u64 = 15;
const TEST_SECONDS: u64 = 300;

/// The options of the boot image, each with the values it takes.
const LEGAL: &[Word] = &[
    ("run", "full, quick, ipi, enumerate"),
    ("page-seconds", "seconds, from 0"),
    (
        "serial",
        "on, off, ttyS0 to ttyS3, with a speed: ttyS1,57600",
    ),
    ("end", "reboot, poweroff, halt, debug-exit"),
];

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Every test on every backend.
    Full,
    /// Every test, with small storms.
    Quick,
    /// The software backend only.
    Ipi,
    /// No test: what each CPU says of itself.
    Enumerate,
}

/// What happens after the last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The machine starts again.
    Reboot,
    /// The machine is turned off where that can be done.
    PowerOff,
    /// The pages turn until somebody turns the machine off.
    Halt,
    /// QEMU's exit device gets the verdict.
    DebugExit,
}

/// What to run, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOptions<'a> {
    /// What every kernel of the laboratory takes.
    pub suite: RunOptions<'a>,
    /// How much is run.
    pub run: Run,
    /// How long a page stays; 0 skips the pages.
    pub page_seconds: u64,
    /// The serial port, if one is used.
    pub serial: Option<ComPort>,
    /// What happens at the end.
    pub end: End,
}

impl<'a> ImageOptions<'a> {
    /// Reads the command line; `report` gets each word that is unknown or invalid.
    #[must_use]
    pub fn read(line: &'a CommandLine, report: impl FnMut(OptionError<'a>)) -> Self {
        let mut options = Self {
            suite: RunOptions {
                test_seconds: TEST_SECONDS,
                ..RunOptions::DEFAULT
            },
            run: Run::Full,
            page_seconds: PAGE_SECONDS,
            serial: Some(ComPort::COM1),
            end: End::Reboot,
        };
        read(line, &mut options, report);
        options
    }

    /// Returns how much this kind of run makes on a machine with that many CPUs.
    ///
    /// Each flush of a storm costs every other CPU a service: more than eight CPUs make as many
    /// flushes together as eight.
    #[must_use]
    pub fn usual(&self, cpus: u32) -> UsualAmounts {
        let (flushes, initiators, samples) = match self.run {
            Run::Quick => (QUICK_FLUSHES, QUICK_INITIATORS, QUICK_SAMPLES),
            Run::Full | Run::Ipi | Run::Enumerate => (STORM_FLUSHES, INITIATORS, SAMPLES),
        };
        let share = flushes * STORM_CPUS / u64::from(cpus).max(STORM_CPUS);
        UsualAmounts {
            flushes: share.max(1),
            initiators: Some(initiators),
            samples: Some(samples),
        }
    }

    /// Returns whether a backend is to run where the machine has it.
    #[must_use]
    pub fn wants(&self, backend: Backend) -> bool {
        match self.run {
            Run::Enumerate => false,
            Run::Ipi => backend == Backend::Software,
            Run::Full | Run::Quick => self.suite.wants(backend),
        }
    }
}

impl<'a> Words<'a> for ImageOptions<'a> {
    const LEGAL: &'static [&'static [Word]] = &[LEGAL, RunOptions::WORDS, KernelOptions::WORDS];

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "run" => {
                self.run = match value {
                    "full" => Run::Full,
                    "quick" => Run::Quick,
                    "ipi" => Run::Ipi,
                    "enumerate" => Run::Enumerate,
                    _ => return None,
                }
            }
            "page-seconds" => self.page_seconds = value.parse().ok()?,
            "serial" => {
                self.serial = match value {
                    "on" => Some(ComPort::COM1),
                    "off" => None,
                    place => Some(ComPort::parse(place)?),
                }
            }
            "end" => {
                self.end = match value {
                    "reboot" => End::Reboot,
                    "poweroff" => End::PowerOff,
                    "halt" => End::Halt,
                    "debug-exit" => End::DebugExit,
                    _ => return None,
                }
            }
            _ => return self.suite.set(key, value),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rar_kernel_lab::options::{Amount, Joins, Models, OddTable, Stop};
    use rar_suite::Options;
    use rar_vocabulary::TraceLevel;

    fn line(text: &str) -> CommandLine {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(text.as_bytes());
        line
    }

    fn errors(text: &str) -> Vec<String> {
        let line = line(text);
        let mut errors = Vec::new();
        let options = ImageOptions::read(&line, |error| errors.push(error.to_string()));
        if !errors.is_empty() {
            let empty = CommandLine::empty();
            assert_eq!(options, ImageOptions::read(&empty, |_| {}), "{text}");
        }
        errors
    }

    fn suite(text: &str, cpus: u32) -> Options<'static> {
        let line = Box::leak(Box::new(line(text)));
        let options = ImageOptions::read(line, |error| panic!("{error}"));
        options.suite.suite(&options.usual(cpus))
    }

    #[test]
    fn every_option_is_taken() {
        let text = "run=quick backends=vrar,software models=any test=a,b defect=lost \
                    odd-table=32@3 odd-joins=late \
                    deadline=9 flushes=3 page-seconds=0 serial=off initiators=all measure=7 \
                    risky=on patience=5 test-seconds=6 screen=off end=halt \
                    stop=2@storm list=all apic=x2apic trace=signals rsdp=0x7ff0";
        let line = line(text);
        let options = ImageOptions::read(&line, |error| panic!("{error}"));
        let expected = ImageOptions {
            suite: RunOptions {
                backends: Some("vrar,software"),
                models: Models::Any,
                test: Some("a,b"),
                defect: Some("lost"),
                odd_table: Some(OddTable {
                    entries: 32,
                    apic_id: 3,
                }),
                odd_joins: Joins::Late,
                deadline: 9,
                flushes: Amount::Of(3),
                initiators: Amount::Unbounded,
                measure: Amount::Of(7),
                risky: true,
                patience: 5,
                test_seconds: 6,
                kernel: KernelOptions {
                    screen: false,
                    rsdp: Some(0x7ff0),
                    ..KernelOptions::DEFAULT
                },
                stop: Some(Stop {
                    cpu: 2,
                    test: "storm",
                }),
                trace: TraceLevel::Signals,
                ..RunOptions::DEFAULT
            },
            run: Run::Quick,
            page_seconds: 0,
            serial: None,
            end: End::Halt,
        };
        assert_eq!(options, expected);
        for (key, _) in ImageOptions::LEGAL.iter().copied().flatten() {
            assert!(text.contains(&format!("{key}=")), "{key}");
        }
    }

    #[test]
    fn the_page_lists_every_option() {
        let page = include_str!("../../../docs/validating.md");
        let mut listed: Vec<_> = page
            .lines()
            .skip_while(|line| !line.starts_with("| option | values |"))
            .skip(2)
            .map_while(|line| line.strip_prefix("| `")?.split_once("=`"))
            .map(|(key, _)| key)
            .collect();
        let legal = ImageOptions::LEGAL.iter().copied().flatten();
        let mut known: Vec<_> = legal.map(|(key, _)| *key).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }

    #[test]
    fn an_invalid_value_is_named_with_what_the_option_takes() {
        for (key, legal) in ImageOptions::LEGAL.iter().copied().flatten() {
            let errors = errors(&format!("{key}="));
            assert_eq!(errors.len(), 1, "{key}");
            assert!(errors[0].contains(legal), "{errors:?}");
        }
        for text in [
            "run=fast",
            "backends=hardware,kvm",
            "models=new",
            "deadline=0",
            "deadline=-1",
            "flushes=many",
            "initiators=0",
            "measure=0",
            "measure=many",
            "risky=yes",
            "serial=com1",
            "serial=ttyS1,100000",
            "rsdp=0xyz",
            "end=now",
            "stop=storm",
            "stop=x@storm",
            "stop=1@",
        ] {
            assert!(errors(text)[0].contains(text), "{text}");
        }
    }

    #[test]
    fn a_run_measures_unless_it_is_of_named_tests() {
        let measure = |text: &str| suite(text, 4).measure;
        assert_eq!(measure(""), Some(SAMPLES));
        assert_eq!(measure("run=quick"), Some(QUICK_SAMPLES));
        assert_eq!(measure("test=storm"), None);
        assert_eq!(measure("test=storm measure=5"), Some(5));
        assert_eq!(measure("run=quick measure=off"), None);
    }

    #[test]
    fn an_unknown_option_is_named_and_ignored() {
        let errors = errors("quiet speed=7");
        assert!(errors[0].contains("option quiet is unknown"), "{errors:?}");
        assert!(errors[1].contains("option speed is unknown"), "{errors:?}");
    }

    #[test]
    fn what_runs_follows_the_kind_of_run() {
        let wanted = |text: &str| {
            let line = line(text);
            let options = ImageOptions::read(&line, |error| panic!("{error}"));
            rar_kernel_lab::RUN_ORDER.map(|backend| options.wants(backend))
        };
        assert_eq!(wanted(""), [true, true, true]);
        assert_eq!(wanted("run=ipi"), [false, true, false]);
        assert_eq!(wanted("run=enumerate"), [false, false, false]);
        assert_eq!(wanted("backends=vrar"), [false, false, true]);
        assert_eq!(wanted("backends=software,hardware"), [true, true, false]);
    }

    #[test]
    fn a_quick_run_has_small_storms_and_few_initiators() {
        let flushes = |text: &str, cpus| suite(text, cpus).storm_flushes;
        assert_eq!(flushes("run=quick", 4), QUICK_FLUSHES);
        assert_eq!(
            [1, 8, 16].map(|cpus| flushes("", cpus)),
            [20_000, 20_000, 10_000]
        );
        assert_eq!(flushes("run=quick", 1024), 3);
        assert_eq!(flushes("", u32::MAX), 1);
        assert_eq!(flushes("flushes=7 run=quick", 64), 7);
        let initiators = |text: &str| suite(text, 4).initiators;
        assert_eq!(initiators("run=quick"), Some(QUICK_INITIATORS));
        assert_eq!(initiators(""), Some(INITIATORS));
        assert_eq!(initiators("initiators=3 run=quick"), Some(3));
        assert_eq!(initiators("run=quick initiators=all"), None);
    }
}
