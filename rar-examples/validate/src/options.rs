//! What the command line asks for. Nothing on it can stop a run: what makes no sense is named, and the default is used.

use core::fmt;

use rar_kernel::CommandLine;

const STORM_FLUSHES: u64 = 20_000;
const QUICK_FLUSHES: u64 = 500;
/// From here on more CPUs do not make more flushes.
const STORM_CPUS: u64 = 8;
const SAMPLES: u32 = 2_000;
const QUICK_SAMPLES: u32 = 200;
/// A machine of hundreds would take hours with each CPU as initiator.
const INITIATORS: u32 = 8;
const QUICK_INITIATORS: u32 = 2;
/// Milliseconds. A host that is busy may not run a virtual CPU for a good part of it.
const DEADLINE: u64 = 250;
const PAGE_SECONDS: u64 = 15;
const PATIENCE: u64 = 20;
const TEST_SECONDS: u64 = 300;

/// The options, each with the values it takes.
pub const LEGAL: [(&str, &str); 17] = [
    ("run", "full, quick, ipi, enumerate"),
    ("backends", "a list of hardware, vrar, software"),
    (
        "models",
        "listed, any: which processors are believed that say they have RAR",
    ),
    ("test", "a list of tests"),
    ("defect", "a defect of the catalogue, for vrar"),
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
    ("page-seconds", "seconds, from 0"),
    ("serial", "on, off"),
    ("screen", "on, off"),
    ("end", "reboot, poweroff, halt, debug-exit"),
    ("stop", "CPU@TEST, a fault to be injected"),
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

/// Who answers a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The processors' RAR units.
    Hardware,
    /// The handler of an ordinary interrupt.
    Software,
    /// The shim's RAR units.
    Vrar,
}

impl Backend {
    /// All of them, in the order in which they run: the shim stays once it is there.
    pub const ALL: [Self; 3] = [Self::Hardware, Self::Software, Self::Vrar];

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Software => "software",
            Self::Vrar => "vrar",
        }
    }
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
    /// QEMU's exit device is told.
    DebugExit,
}

/// A fault to be injected: a CPU stops answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop<'a> {
    /// The CPU.
    pub cpu: u32,
    /// The test in which it does.
    pub test: &'a str,
}

/// What to run, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// How much is run.
    pub run: Run,
    /// The backends that were asked for; all that there are if none was named.
    pub backends: Option<&'a str>,
    /// Whether a processor is believed that says it has RAR, though no source lists its model.
    pub any_model: bool,
    /// Only these tests.
    pub test: Option<&'a str>,
    /// The defect of the shim's units.
    pub defect: Option<&'a str>,
    /// How many milliseconds a target may take to answer the signal.
    pub deadline: u64,
    /// How many flushes each CPU makes in a storm, if the command line says.
    pub flushes: Option<u64>,
    /// How many CPUs initiate each test; all if `None`.
    pub initiators: Option<u32>,
    /// How many flushes of each kind are timed; none if `None`.
    pub measure: Option<u32>,
    /// Whether to run tests that may hang the machine, too.
    pub risky: bool,
    /// How many seconds a CPU may take to come to where the others are.
    pub patience: u64,
    /// How many seconds a run of a test may take; 0 sets no bound.
    pub test_seconds: u64,
    /// How long a page stays; 0 skips the pages.
    pub page_seconds: u64,
    /// Whether the serial port is used.
    pub serial: bool,
    /// Whether the screen is used.
    pub screen: bool,
    /// What happens at the end.
    pub end: End,
    /// The CPU that is to stop.
    pub stop: Option<Stop<'a>>,
}

/// What is wrong with a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint<'a> {
    /// There is no such option.
    Unknown(&'a str),
    /// The option does not take this value.
    Bad {
        /// The option.
        key: &'a str,
        /// The value.
        value: &'a str,
    },
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unknown(key) => {
                write!(f, "option {key} is unknown and ignored; the options are")?;
                LEGAL.iter().enumerate().try_for_each(|(number, (key, _))| {
                    let comma = if number == 0 { "" } else { "," };
                    write!(f, "{comma} {key}")
                })
            }
            Self::Bad { key, value } => {
                let legal = LEGAL.iter().find(|(name, _)| *name == key);
                let legal = legal.map_or("none", |(_, legal)| legal);
                write!(
                    f,
                    "option {key}={value} makes no sense, and the default is used; it takes: {legal}"
                )
            }
        }
    }
}

impl<'a> Options<'a> {
    /// Reads the command line; `complain` hears of each word that makes no sense. Of an option given twice the last one counts.
    #[must_use]
    pub fn read(line: &'a CommandLine, mut complain: impl FnMut(Complaint<'a>)) -> Self {
        let mut options = Self {
            run: Run::Full,
            backends: None,
            any_model: false,
            test: None,
            defect: None,
            deadline: DEADLINE,
            flushes: None,
            initiators: Some(0),
            measure: Some(0),
            risky: false,
            patience: PATIENCE,
            test_seconds: TEST_SECONDS,
            page_seconds: PAGE_SECONDS,
            serial: true,
            screen: true,
            end: End::Reboot,
            stop: None,
        };
        for (key, value) in line.words() {
            if !LEGAL.iter().any(|(name, _)| *name == key) {
                complain(Complaint::Unknown(key));
            } else if options.set(key, value).is_none() {
                complain(Complaint::Bad { key, value });
            }
        }
        let (initiators, samples) = match options.run {
            Run::Quick => (QUICK_INITIATORS, QUICK_SAMPLES),
            Run::Full | Run::Ipi | Run::Enumerate => (INITIATORS, SAMPLES),
        };
        if options.initiators == Some(0) {
            options.initiators = Some(initiators);
        }
        if options.measure == Some(0) {
            // Who names tests wants no others.
            options.measure = options.test.is_none().then_some(samples);
        }
        options
    }

    /// Returns how many flushes each of so many CPUs makes in a storm: each of them costs all the others a service, so that many CPUs make
    /// as many together as eight would, unless the command line says how many.
    #[must_use]
    pub fn storm_flushes(&self, cpus: u32) -> u64 {
        let usual = match self.run {
            Run::Quick => QUICK_FLUSHES,
            Run::Full | Run::Ipi | Run::Enumerate => STORM_FLUSHES,
        };
        let share = usual * STORM_CPUS / u64::from(cpus).max(STORM_CPUS);
        self.flushes.unwrap_or(share.max(1))
    }

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
            "end" => {
                self.end = match value {
                    "reboot" => End::Reboot,
                    "poweroff" => End::PowerOff,
                    "halt" => End::Halt,
                    "debug-exit" => End::DebugExit,
                    _ => return None,
                }
            }
            "models" => {
                self.any_model = match value {
                    "listed" => false,
                    "any" => true,
                    _ => return None,
                }
            }
            _ => return self.set_other(key, value),
        }
        Some(())
    }

    fn set_other(&mut self, key: &str, value: &'a str) -> Option<()> {
        let number = value.parse().ok();
        let positive = number.filter(|number| *number > 0);
        let switch = || match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        match key {
            "backends" => self.backends = Some(value).filter(|list| known(list)).map(Some)?,
            "test" => self.test = Some(not_empty(value)?),
            "defect" => self.defect = Some(not_empty(value)?),
            "deadline" => self.deadline = positive?,
            "flushes" => self.flushes = Some(positive?),
            "initiators" if value == "all" => self.initiators = None,
            "initiators" => {
                self.initiators = Some(positive.and_then(|number| u32::try_from(number).ok())?);
            }
            "measure" if value == "off" => self.measure = None,
            "measure" => {
                self.measure = Some(positive.and_then(|number| u32::try_from(number).ok())?);
            }
            "risky" => self.risky = switch()?,
            "patience" => self.patience = positive?,
            "test-seconds" => self.test_seconds = number?,
            "page-seconds" => self.page_seconds = number?,
            "serial" => self.serial = switch()?,
            "screen" => self.screen = switch()?,
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

    /// Returns whether a backend is to run where the machine has it: those that are named, or all.
    #[must_use]
    pub fn wants(&self, backend: Backend) -> bool {
        match (self.run, self.backends) {
            (Run::Enumerate, _) => false,
            (Run::Ipi, _) => backend == Backend::Software,
            (_, Some(list)) => list.split(',').any(|name| name == backend.name()),
            (_, None) => true,
        }
    }
}

fn not_empty(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

fn known(list: &str) -> bool {
    list.split(',')
        .all(|name| Backend::ALL.iter().any(|backend| backend.name() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> CommandLine {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(text.as_bytes());
        line
    }

    fn complaints(text: &str) -> Vec<String> {
        let line = line(text);
        let mut heard = Vec::new();
        let options = Options::read(&line, |complaint| heard.push(complaint.to_string()));
        if !heard.is_empty() {
            let empty = CommandLine::empty();
            assert_eq!(options, Options::read(&empty, |_| {}), "{text}");
        }
        heard
    }

    #[test]
    fn every_option_is_taken() {
        let text = "run=quick backends=vrar,software models=any test=a,b defect=lost deadline=9 flushes=3 page-seconds=0 serial=off \
                    initiators=all measure=7 risky=on patience=5 test-seconds=6 screen=off end=halt stop=2@storm";
        let line = line(text);
        let options = Options::read(&line, |complaint| panic!("{complaint}"));
        let expected = Options {
            run: Run::Quick,
            backends: Some("vrar,software"),
            any_model: true,
            test: Some("a,b"),
            defect: Some("lost"),
            deadline: 9,
            flushes: Some(3),
            initiators: None,
            measure: Some(7),
            risky: true,
            patience: 5,
            test_seconds: 6,
            page_seconds: 0,
            serial: false,
            screen: false,
            end: End::Halt,
            stop: Some(Stop {
                cpu: 2,
                test: "storm",
            }),
        };
        assert_eq!(options, expected);
        for (key, _) in LEGAL {
            assert!(text.contains(&format!("{key}=")), "{key}");
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_what_the_option_takes() {
        for (key, legal) in LEGAL {
            let heard = complaints(&format!("{key}="));
            assert_eq!(heard.len(), 1, "{key}");
            assert!(heard[0].contains(legal), "{heard:?}");
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
            "end=now",
            "stop=storm",
            "stop=x@storm",
            "stop=1@",
        ] {
            assert!(complaints(text)[0].contains(text), "{text}");
        }
    }

    #[test]
    fn a_run_measures_unless_it_is_of_named_tests() {
        let measure = |text: &str| Options::read(&line(text), |_| {}).measure;
        assert_eq!(measure(""), Some(SAMPLES));
        assert_eq!(measure("run=quick"), Some(QUICK_SAMPLES));
        assert_eq!(measure("test=storm"), None);
        assert_eq!(measure("test=storm measure=5"), Some(5));
        assert_eq!(measure("run=quick measure=off"), None);
    }

    #[test]
    fn an_unknown_option_is_named_and_ignored() {
        let heard = complaints("quiet speed=7");
        assert!(heard[0].contains("option quiet is unknown"), "{heard:?}");
        assert!(heard[1].contains("option speed is unknown"), "{heard:?}");
    }

    #[test]
    fn what_runs_follows_the_kind_of_run() {
        let wanted = |text: &str| {
            let line = line(text);
            let options = Options::read(&line, |complaint| panic!("{complaint}"));
            Backend::ALL.map(|backend| options.wants(backend))
        };
        assert_eq!(wanted(""), [true, true, true]);
        assert_eq!(wanted("run=ipi"), [false, true, false]);
        assert_eq!(wanted("run=enumerate"), [false, false, false]);
        assert_eq!(wanted("backends=vrar"), [false, false, true]);
        assert_eq!(wanted("backends=software,hardware"), [true, true, false]);
    }

    #[test]
    fn a_quick_run_has_small_storms_and_few_initiators() {
        let flushes = |text: &str, cpus| Options::read(&line(text), |_| {}).storm_flushes(cpus);
        assert_eq!(flushes("run=quick", 4), QUICK_FLUSHES);
        assert_eq!(
            [1, 8, 16].map(|cpus| flushes("", cpus)),
            [20_000, 20_000, 10_000]
        );
        assert_eq!(flushes("run=quick", 1024), 3);
        assert_eq!(flushes("", u32::MAX), 1);
        assert_eq!(flushes("flushes=7 run=quick", 64), 7);
        let initiators = |text: &str| Options::read(&line(text), |_| {}).initiators;
        assert_eq!(initiators("run=quick"), Some(QUICK_INITIATORS));
        assert_eq!(initiators(""), Some(INITIATORS));
        assert_eq!(initiators("initiators=3 run=quick"), Some(3));
        assert_eq!(initiators("run=quick initiators=all"), None);
    }
}
