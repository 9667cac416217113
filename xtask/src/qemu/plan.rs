//! Which runs a command makes, and the QEMU command line of each.

use crate::cli::{Apic, QemuArgs, Thread};
use crate::qemu::guest;
use crate::qemu::judge::Expectation;
use crate::qemu::requirements::{self, Machine};
use anyhow::Result;
use rar_harness::process::{Cmd, utf8};
use rar_suite::TestInfo;
use rar_vocabulary::Backend;
use std::path::Path;
use std::time::Duration;

/// Flushes per CPU in the volume tests.
const VOLUME: u32 = 20_000;

/// With a host thread per CPU and fewer cores than CPUs one flush takes milliseconds.
const RACE_VOLUME: u32 = 100;

/// Long enough for every list at the default volume on a slow machine with as many cores as CPUs.
const BASE_SECONDS: u64 = 60;

/// How long a target may take to answer a signal while it has a core of the host for itself: the kernel's own default.
const ANSWER_MILLISECONDS: u32 = 250;

/// The tests of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tests {
    /// Every test.
    Functional,
    /// Short tests for real concurrency.
    Race,
    /// These tests, by name.
    Named(Vec<String>),
}

/// One boot of the test kernel.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// CPUs of the machine.
    pub(crate) cpus: u32,
    /// What executes remote flushes.
    pub(crate) backend: Backend,
    /// What executes them first, in the same boot.
    pub(crate) before: Option<Backend>,
    /// What is broken in every unit of the shim.
    pub(crate) defect: Option<&'static str>,
    /// How many milliseconds a target may take to answer, if not the usual.
    pub(crate) answer: Option<u32>,
    /// How the kernel drives its local APIC.
    pub(crate) apic: Apic,
    /// TCG's threads.
    pub(crate) thread: Thread,
    /// The tests.
    pub(crate) tests: Tests,
    /// Flushes per CPU in the volume tests.
    pub(crate) flushes: u32,
    /// How many CPUs initiate each test at most, if not all.
    pub(crate) initiators: Option<u32>,
    /// Tests that may hang a real machine run, too.
    pub(crate) risky: bool,
    /// How many flushes of each kind are measured, if any.
    pub(crate) measure: Option<u32>,
    /// Count instructions instead of time.
    pub(crate) deterministic: bool,
    /// The deadline, if the user chose one.
    pub(crate) timeout: Option<Duration>,
}

/// Returns the runs that the options ask for.
pub(crate) fn runs(args: &QemuArgs) -> Vec<Run> {
    let mut runs = Vec::new();
    for &cpus in &args.cpus {
        let run = |thread, tests| Run {
            cpus,
            backend: args.backend.unwrap_or(Backend::Vrar),
            before: args.late_launch.then_some(Backend::Software),
            defect: None,
            answer: None,
            apic: args.apic,
            thread,
            tests,
            flushes: args.flushes.unwrap_or(if thread == Thread::Multi {
                RACE_VOLUME
            } else {
                VOLUME
            }),
            initiators: args.initiators,
            risky: args.risky,
            // Beside a run on one thread the race pass is for races alone.
            measure: args
                .measure
                .filter(|_| thread == Thread::Single || args.thread.is_some()),
            deterministic: args.deterministic,
            timeout: args.timeout.map(Duration::from_secs),
        };
        match args.thread {
            thread if !args.test.is_empty() => {
                let tests = Tests::Named(args.test.clone());
                runs.push(run(thread.unwrap_or(Thread::Single), tests));
            }
            Some(Thread::Multi) => runs.push(run(Thread::Multi, Tests::Race)),
            Some(Thread::Single) => runs.push(run(Thread::Single, Tests::Functional)),
            None => {
                runs.push(run(Thread::Single, Tests::Functional));
                // A race needs two CPUs; a replay must not depend on host threads.
                if cpus > 1 && !args.deterministic {
                    runs.push(run(Thread::Multi, Tests::Race));
                }
            }
        }
    }
    runs
}

impl Run {
    /// Returns a run of every test, on one host thread.
    pub(crate) const fn functional(
        backend: Backend,
        cpus: u32,
        flushes: u32,
        initiators: u32,
    ) -> Self {
        Self {
            cpus,
            backend,
            before: None,
            defect: None,
            answer: None,
            apic: Apic::X2apic,
            thread: Thread::Single,
            tests: Tests::Functional,
            flushes,
            initiators: Some(initiators),
            risky: false,
            measure: None,
            deterministic: false,
            timeout: None,
        }
    }

    /// Returns what the verdict compares the run with.
    pub(crate) fn expectation(&self) -> Expectation {
        let (tests, list) = match &self.tests {
            Tests::Functional => (Vec::new(), names(requirements::functional())),
            Tests::Race => (Vec::new(), names(requirements::race())),
            Tests::Named(names) => (names.clone(), Vec::new()),
        };
        let machine = Machine {
            backend: self.backend,
            apic: self.apic,
            cpus: self.cpus,
        };
        let required = requirements::functional()
            .filter(|test| self.risky || test.risk.is_none())
            .filter(|test| !machine.lacks(test));
        Expectation {
            required: names(required),
            backend: self.backend,
            cpus: self.cpus,
            tests,
            list,
            flushes: self.flushes,
            initiators: self.initiators,
            measures: self.measure.is_some(),
        }
    }

    /// Returns a short name for lines and log files.
    pub(crate) fn label(&self) -> String {
        let list = match &self.tests {
            Tests::Functional => "functional",
            Tests::Race => "race",
            Tests::Named(names) => match names.as_slice() {
                [name] => name,
                names => &format!("{}-tests", names.len()),
            },
        };
        let apic = match self.apic {
            Apic::X2apic => "",
            Apic::Xapic => "-xapic",
        };
        let before = self
            .before
            .map_or(String::new(), |before| format!("{before}-then-"));
        let (backend, cpus, thread) = (self.backend, self.cpus, self.thread);
        let defect = self.defect.map_or(String::new(), |name| format!("-{name}"));
        format!("{before}{backend}{apic}-{cpus}cpus-{thread}-{list}{defect}")
    }

    /// Returns the kernel's command line, for a host with that many cores.
    pub(crate) fn kernel_command_line(&self, cores: u32) -> String {
        let tests = match &self.tests {
            Tests::Functional => "list=all".to_owned(),
            Tests::Race => "list=race".to_owned(),
            Tests::Named(names) => format!("test={}", names.join(",")),
        };
        let before = self
            .before
            .map_or(String::new(), |before| format!("{before},"));
        let (flushes, backend) = (self.flushes, self.backend);
        let mut line = format!("{tests} flushes={flushes} backends={before}{backend}");
        if self.apic == Apic::Xapic {
            line.push_str(" apic=xapic");
        }
        if let Some(most) = self.initiators {
            line.push_str(&format!(" initiators={most}"));
        }
        if self.risky {
            line.push_str(" risky=on");
        }
        if let Some(samples) = self.measure {
            line.push_str(&format!(" measure={samples}"));
        }
        if let Some(name) = self.defect {
            line.push_str(&format!(" defect={name}"));
        }
        if let Some(answer) = self.answer {
            return format!("{line} deadline={answer}");
        }
        if self.thread == Thread::Single {
            return line;
        }
        let deadline = ANSWER_MILLISECONDS.saturating_mul(self.crowding(cores));
        format!("{line} deadline={deadline}")
    }

    /// Returns when a guest counts as hung, on a host with that many cores.
    pub(crate) fn deadline(&self, cores: u32) -> Duration {
        if let Some(chosen) = self.timeout {
            return chosen;
        }
        let usual = if self.thread == Thread::Multi {
            RACE_VOLUME
        } else {
            VOLUME
        };
        let volume = u64::from(self.flushes.div_ceil(usual)).max(1);
        let crowding = u64::from(self.crowding(cores));
        // Instruction counting is several times slower.
        let counting = if self.deterministic { 4 } else { 1 };
        let turns = if self.before.is_some() { 2 } else { 1 };
        Duration::from_secs(BASE_SECONDS * volume * crowding * counting * turns)
    }

    /// Returns the turns of the backends in this boot, each as a run of its own.
    pub(crate) fn turns(&self) -> Vec<Self> {
        let turn = |backend| Self {
            backend,
            before: None,
            ..self.clone()
        };
        let backends = self.before.into_iter().chain([self.backend]);
        backends.map(turn).collect()
    }

    /// Returns how many CPUs share one core of a host with that many.
    fn crowding(&self, cores: u32) -> u32 {
        let host_threads = match self.thread {
            Thread::Multi => cores.max(1),
            Thread::Single => 1,
        };
        self.cpus.div_ceil(host_threads).max(1)
    }

    /// Returns the QEMU command on a host with that many cores; console on standard output, defmt frames into `frames`.
    pub(crate) fn qemu(
        &self,
        qemu: &Path,
        kernel: &Path,
        frames: &Path,
        cores: u32,
    ) -> Result<Cmd> {
        let mut cmd = guest::bare(qemu, "q35", "max", self.thread)?
            .args(["-smp", &self.cpus.to_string(), "-m", "512M"])
            .args([
                "-serial",
                "stdio",
                "-debugcon",
                &format!("file:{}", escape(utf8(frames)?)),
            ])
            .args([
                "-kernel",
                utf8(kernel)?,
                "-append",
                &self.kernel_command_line(cores),
            ]);
        if self.deterministic {
            cmd = cmd.args(["-icount", "shift=0,sleep=off"]);
        }
        Ok(cmd)
    }
}

fn names(tests: impl Iterator<Item = &'static TestInfo>) -> Vec<&'static str> {
    tests.map(|test| test.name).collect()
}

/// QEMU splits option values at commas; a doubled comma is a comma.
pub(crate) fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Subcommands};
    use clap::Parser as _;

    fn plan(args: &[&str]) -> Vec<Run> {
        let cli = Cli::try_parse_from(["xtask", "qemu"].iter().chain(args)).unwrap();
        let Subcommands::Qemu(args) = cli.command else {
            panic!()
        };
        runs(&args)
    }

    fn labels(args: &[&str]) -> Vec<String> {
        plan(args).iter().map(Run::label).collect()
    }

    #[test]
    fn the_default_is_functional_then_race() {
        assert_eq!(
            labels(&[]),
            ["vrar-4cpus-single-functional", "vrar-4cpus-multi-race"]
        );
        assert_eq!(labels(&["--cpus", "1"]), ["vrar-1cpus-single-functional"]);
        assert_eq!(labels(&["--thread", "multi"]), ["vrar-4cpus-multi-race"]);
        assert_eq!(labels(&["--test", "storm"]), ["vrar-4cpus-single-storm"]);
        assert_eq!(
            labels(&["--deterministic"]),
            ["vrar-4cpus-single-functional"]
        );
    }

    #[test]
    fn the_other_backend_by_name() {
        assert_eq!(
            labels(&["--backend", "software", "--cpus", "1"]),
            ["software-1cpus-single-functional"]
        );
        let xapic = plan(&["--apic", "xapic", "--cpus", "1"]);
        let xapic = xapic.first().unwrap();
        assert_eq!(xapic.label(), "vrar-xapic-1cpus-single-functional");
        assert!(xapic.kernel_command_line(2).ends_with(" apic=xapic"));
    }

    #[test]
    fn two_backends_in_one_boot() {
        let late = plan(&["--late-launch", "--thread", "single"]);
        let late = late.first().unwrap();
        assert_eq!(late.label(), "software-then-vrar-4cpus-single-functional");
        let line = late.kernel_command_line(2);
        assert!(line.ends_with(" backends=software,vrar"), "{line}");
        let turns: Vec<_> = late.turns().iter().map(|turn| turn.backend).collect();
        assert_eq!(turns, [Backend::Software, Backend::Vrar]);
        let alone = plan(&[]);
        assert_eq!(alone.first().unwrap().turns().len(), 1);
    }

    #[test]
    fn risky_tests_are_required_only_when_asked_for() {
        let required = |args: &[&str]| plan(args).first().unwrap().expectation().required;
        let (usual, risky) = (required(&[]), required(&["--risky"]));
        let more = risky.iter().filter(|test| !usual.contains(test));
        assert_eq!(more.count(), 2);
        assert!(usual.contains(&"unit-foreign-signal") && !usual.contains(&"target-in-guest"));
    }

    #[test]
    fn the_kernel_command_line() {
        let lines: Vec<_> = plan(&[])
            .iter()
            .map(|run| run.kernel_command_line(2))
            .collect();
        assert_eq!(
            lines,
            [
                "list=all flushes=20000 backends=vrar",
                "list=race flushes=100 backends=vrar deadline=500"
            ]
        );
        let one = plan(&["--test", "one-page", "--flushes", "3"]);
        assert_eq!(
            one.first().unwrap().kernel_command_line(2),
            "test=one-page flushes=3 backends=vrar"
        );
        let two = plan(&["--test", "one-page,storm"]);
        assert!(
            two.first()
                .unwrap()
                .kernel_command_line(2)
                .starts_with("test=one-page,storm ")
        );
    }

    #[test]
    fn never_kvm_and_always_without_defaults() {
        for run in plan(&["--cpus", "1,2"]) {
            let line = run
                .qemu(Path::new("q"), Path::new("k"), Path::new("a,b"), 2)
                .unwrap()
                .line();
            assert!(
                line.contains("-accel 'tcg,thread=") || line.contains("-accel tcg,thread="),
                "{line}"
            );
            assert!(
                !line.contains("kvm") && line.contains("-nodefaults"),
                "{line}"
            );
            assert!(line.contains("file:a,,b"), "{line}");
        }
        let replay = plan(&["--deterministic"]);
        let line = replay
            .first()
            .unwrap()
            .qemu(Path::new("q"), Path::new("k"), Path::new("f"), 2)
            .unwrap()
            .line();
        assert!(
            line.contains("-icount") && line.contains("thread=single"),
            "{line}"
        );
    }

    #[test]
    fn deadlines_grow_with_crowding_and_volume() {
        let run = |args: &[&str]| plan(args).first().unwrap().deadline(2).as_secs();
        assert_eq!(run(&["--cpus", "1"]), 60);
        assert_eq!(run(&["--cpus", "8"]), 480);
        assert_eq!(run(&["--cpus", "8", "--thread", "multi"]), 240);
        assert_eq!(run(&["--cpus", "1", "--flushes", "40001"]), 180);
        assert_eq!(run(&["--timeout", "5"]), 5);
    }
}
