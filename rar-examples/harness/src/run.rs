//! One boot of the test kernel: what it runs, and the command line of QEMU.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rar_suite::TestInfo;
use rar_vocabulary::{Backend, TraceLevel};

use crate::expectation::Expectation;
use crate::guest;
use crate::modes::{Apic, OddJoins, Thread};
use crate::process::{Cmd, utf8};
use crate::requirements::{self, Machine};

/// Flushes per CPU in the volume tests.
pub const VOLUME: u32 = 20_000;

/// With a host thread per CPU and fewer cores than CPUs one flush takes milliseconds.
pub const RACE_VOLUME: u32 = 100;

/// Long enough for every list at the default volume on a slow machine with as many cores as CPUs.
const BASE_SECONDS: u64 = 60;

/// What runs where CPUs disagree. Software flushes below the shim there, and each interrupt empties
/// QEMU's TLB, so that no load shows what a flush has spared.
const BY_SOFTWARE: [&str; 12] = [
    "one-page",
    "pages-64",
    "address-space",
    "everything",
    "global-page",
    "freed-table",
    "two-spaces",
    "target-halted",
    "targets-change",
    "sleep-and-wake",
    "storm",
    "storm-hotplug",
];

/// How long a target may take to answer a signal while it has a core of the host for itself: the
/// kernel's own default.
const ANSWER_MILLISECONDS: u32 = 250;

/// The least that a target may take where a host thread runs it: a host that is busy with other
/// things may not run that thread for a second, which is no fault of the signal path. A signal that
/// is lost is never answered, so a longer wait misses none.
const THREAD_ANSWER_MILLISECONDS: u32 = 4_000;

/// CPUs that take turns on one host thread and all answer within [`ANSWER_MILLISECONDS`]: one that
/// waits gives its turn away.
const IN_TURN: u32 = 8;

/// Where the test kernel's shim writes its trace: the first debug console has the kernel's log.
const TRACE_PORT: u16 = 0xea;

/// The tests of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tests {
    /// Every test.
    Functional,
    /// Every test but the slow ones.
    Brief,
    /// Short tests for real concurrency.
    Race,
    /// These tests, by name.
    Named(Vec<String>),
}

/// One boot of the test kernel.
#[derive(Clone, Debug)]
pub struct Run {
    /// CPUs of the machine.
    pub cpus: u32,
    /// How many cores a socket has, if not all CPUs share one. APIC ids have holes if it is no
    /// power of two. The number of CPUs is a multiple.
    pub cores: Option<u32>,
    /// What executes remote flushes.
    pub backend: Backend,
    /// What executes them first, in the same boot.
    pub before: Option<Backend>,
    /// What is broken in every unit of the shim.
    pub defect: Option<&'static str>,
    /// How many entries the table of the last CPU has, if not as many as the others: the CPUs
    /// disagree on RAR then, and software flushes.
    pub odd_table: Option<u8>,
    /// When that CPU joins.
    pub odd_joins: OddJoins,
    /// How much the shim's units write, into a file of its own.
    pub trace: TraceLevel,
    /// How many milliseconds a target may take to answer, if not the usual.
    pub answer: Option<u32>,
    /// How the kernel drives its local APIC.
    pub apic: Apic,
    /// TCG's threads.
    pub thread: Thread,
    /// The tests.
    pub tests: Tests,
    /// Flushes per CPU in the volume tests.
    pub flushes: u32,
    /// How many CPUs initiate each test at most, if not all.
    pub initiators: Option<u32>,
    /// Tests that may hang a real machine run, too.
    pub risky: bool,
    /// How many flushes of each kind are measured, if any.
    pub measure: Option<u32>,
    /// Count instructions instead of time.
    pub deterministic: bool,
    /// The deadline, if the user chose one.
    pub timeout: Option<Duration>,
}

impl Tests {
    /// Returns the tests of a machine whose CPUs disagree on RAR.
    #[must_use]
    pub fn by_software() -> Self {
        Self::Named(BY_SOFTWARE.map(str::to_owned).to_vec())
    }
}

impl Run {
    /// Returns a run of every test with the default volume, on one host thread.
    #[must_use]
    pub const fn new(backend: Backend, cpus: u32) -> Self {
        Self {
            cpus,
            cores: None,
            backend,
            before: None,
            defect: None,
            odd_table: None,
            odd_joins: OddJoins::With,
            trace: TraceLevel::Off,
            answer: None,
            apic: Apic::X2apic,
            thread: Thread::Single,
            tests: Tests::Functional,
            flushes: VOLUME,
            initiators: None,
            risky: false,
            measure: None,
            deterministic: false,
            timeout: None,
        }
    }

    /// Returns a run of every test with this volume, in which at most `initiators` CPUs initiate.
    #[must_use]
    pub const fn functional(backend: Backend, cpus: u32, flushes: u32, initiators: u32) -> Self {
        let mut run = Self::new(backend, cpus);
        run.flushes = flushes;
        run.initiators = Some(initiators);
        run
    }

    /// Returns what the verdict compares the run with.
    pub fn expectation(&self) -> Expectation {
        let (tests, list) = match &self.tests {
            Tests::Functional => (Vec::new(), names(requirements::functional())),
            Tests::Brief => (Vec::new(), names(requirements::brief())),
            Tests::Race => (Vec::new(), names(requirements::race())),
            Tests::Named(names) => (names.clone(), Vec::new()),
        };
        let backend = self.odd_table.map_or(self.backend, |_| Backend::Software);
        let machine = Machine {
            backend,
            apic: self.apic,
            cpus: self.cpus,
        };
        let required = requirements::functional()
            .filter(|test| self.risky || test.risk.is_none())
            .filter(|test| !machine.lacks(test));
        Expectation {
            required: names(required),
            backend,
            refused_by: self.odd_table.and(self.cpus.checked_sub(1)),
            refused_under_a_flush: self.odd_table.is_some() && self.odd_joins == OddJoins::Late,
            cpus: self.cpus,
            missing: Vec::new(),
            tests,
            list,
            flushes: self.flushes,
            initiators: self.initiators,
            measures: self.measure.is_some(),
        }
    }

    /// Returns a short name for lines and log files.
    pub fn label(&self) -> String {
        let list = match &self.tests {
            Tests::Functional => "functional",
            Tests::Brief => "brief",
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
        let odd = match (self.odd_table, self.odd_joins) {
            (None, _) => "",
            (Some(_), OddJoins::With) => "-odd-table",
            (Some(_), OddJoins::Late) => "-late-odd-table",
        };
        let cores = self
            .cores
            .map_or(String::new(), |cores| format!("-cores{cores}"));
        format!("{before}{backend}{apic}-{cpus}cpus{cores}-{thread}-{list}{defect}{odd}")
    }

    /// Returns the kernel's command line, for a host with that many cores.
    pub fn kernel_command_line(&self, cores: u32) -> String {
        let tests = match &self.tests {
            Tests::Functional => "list=all".to_owned(),
            Tests::Brief => "list=brief".to_owned(),
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
        if let Some(entries) = self.odd_table {
            // APIC ids have no holes in these machines.
            let last = self.cpus.saturating_sub(1);
            line.push_str(&format!(" odd-table={entries}@{last}"));
            if self.odd_joins == OddJoins::Late {
                line.push_str(" odd-joins=late");
            }
        }
        if self.trace != TraceLevel::Off {
            line.push_str(&format!(" trace={}", self.trace.name()));
        }
        if let Some(answer) = self.answer {
            return format!("{line} deadline={answer}");
        }
        match self.patience(cores) {
            ANSWER_MILLISECONDS => line,
            deadline => format!("{line} deadline={deadline}"),
        }
    }

    /// Returns how many milliseconds a target may take to answer a signal, on a host with that many
    /// cores.
    fn patience(&self, cores: u32) -> u32 {
        let crowding = self.crowding(cores);
        match self.thread {
            Thread::Single => ANSWER_MILLISECONDS.saturating_mul(crowding.div_ceil(IN_TURN)),
            Thread::Multi => ANSWER_MILLISECONDS
                .saturating_mul(crowding)
                .max(THREAD_ANSWER_MILLISECONDS),
        }
    }

    /// Returns when a guest counts as hung, on a host with that many cores.
    pub fn deadline(&self, cores: u32) -> Duration {
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
    pub fn turns(&self) -> Vec<Self> {
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

    /// Returns the CPUs of the machine as QEMU's option `-smp` takes them.
    fn topology(&self) -> String {
        let cpus = self.cpus;
        self.cores.map_or(cpus.to_string(), |cores| {
            format!("{cpus},sockets={},cores={cores}", cpus / cores.max(1))
        })
    }

    /// Returns the QEMU command on a host with that many cores.
    ///
    /// The console is standard output; defmt frames go into the file `frames`, and a trace into one
    /// beside it.
    ///
    /// # Errors
    ///
    /// A path is not UTF-8.
    pub fn qemu(&self, qemu: &Path, kernel: &Path, frames: &Path, cores: u32) -> Result<Cmd> {
        let trace = format!("file,id=trace,path={}", escape(utf8(&trace_of(frames))?));
        let frames = format!("file:{}", escape(utf8(frames)?));
        let mut cmd = guest::bare(qemu, "q35", "max", self.thread)?
            .args(["-smp", &self.topology()])
            // Enough for the page tables and the transcript of 255 CPUs.
            .args(["-m", "512M"])
            // The console, with the records.
            .args(["-serial", "stdio"])
            // defmt frames are bytes: they have a port of their own.
            .args(["-debugcon", &frames])
            .args(["-kernel", utf8(kernel)?])
            .args(["-append", &self.kernel_command_line(cores)]);
        if self.trace != TraceLevel::Off {
            let port = format!("isa-debugcon,iobase={TRACE_PORT:#x},chardev=trace");
            cmd = cmd.args(["-chardev", &trace]).args(["-device", &port]);
        }
        if self.deterministic {
            // Time is instructions, so that every repeat is the same.
            cmd = cmd.args(["-icount", "shift=0,sleep=off"]);
        }
        Ok(cmd)
    }
}

/// Returns the file of the trace of a run with these frames.
fn trace_of(frames: &Path) -> PathBuf {
    // `NAME.defmt.bin`
    frames.with_extension("").with_extension("trace.log")
}

fn names(tests: impl Iterator<Item = &'static TestInfo>) -> Vec<&'static str> {
    tests.map(|test| test.name).collect()
}

/// QEMU splits option values at commas; a doubled comma is a comma.
pub fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests;
