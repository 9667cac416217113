//! One slice of a soak: a machine, a seed, a length.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use rar_harness::guest;
use rar_harness::modes::Thread;
use rar_harness::process::{Cmd, utf8};
use rar_vocabulary::Backend;

/// How long a target has for its answer where one host thread runs all CPUs, in milliseconds. A
/// deaf CPU costs this, and twice as much if it hears nothing at all.
const ANSWER: u32 = 20;
/// The same where each CPU has a host thread: the host may not run that thread for a while.
const THREAD_ANSWER: u32 = 500;
/// One of how many flushes meets a fault where host threads race, which is slow.
const THREAD_FAULTS: u32 = 512;
/// The longest that a guest may take to boot and to end, and how many times its length.
const BOOT: u64 = 60;
const PATIENCE: u64 = 3;
/// Instruction counting makes a second of the guest that much longer.
const COUNTING: u64 = 10;

/// What runs a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Simulated machines, with RAR units or without.
    Simulated(Backend),
    /// QEMU.
    Guest(Backend, Thread),
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Simulated(Backend::Model),
        Self::Simulated(Backend::Software),
        Self::Guest(Backend::Software, Thread::Single),
        Self::Guest(Backend::Vrar, Thread::Single),
        Self::Guest(Backend::Software, Thread::Multi),
        Self::Guest(Backend::Vrar, Thread::Multi),
    ];

    /// Returns what answers flushes.
    #[must_use]
    pub const fn backend(self) -> Backend {
        match self {
            Self::Simulated(backend) | Self::Guest(backend, _) => backend,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated(backend) => write!(f, "sim-{backend}"),
            Self::Guest(backend, thread) => write!(f, "{backend}-{thread}"),
        }
    }
}

/// One slice of a soak. Its text repeats it: `MACHINE:CPUS:SEED:SECONDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What runs it.
    pub machine: Machine,
    /// How many CPUs it has.
    pub cpus: u32,
    /// All random choices depend on it.
    pub seed: u64,
    /// How long it runs.
    pub seconds: u64,
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            cpus,
            seed,
            seconds,
        } = self;
        write!(f, "{machine}:{cpus}:{seed}:{seconds}")
    }
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        let wrong = || {
            let machines = Machine::ALL.map(|machine| machine.to_string());
            format!(
                "a slice is MACHINE:CPUS:SEED:SECONDS, with a machine of {}",
                machines.join(", ")
            )
        };
        let [name, cpus, seed, seconds] = parts.as_slice() else {
            return Err(wrong());
        };
        let named = |machine: &Machine| machine.to_string() == *name;
        Ok(Self {
            machine: Machine::ALL.into_iter().find(named).ok_or_else(wrong)?,
            cpus: cpus.parse().map_err(|_| wrong())?,
            seed: seed.parse().map_err(|_| wrong())?,
            seconds: seconds.parse().map_err(|_| wrong())?,
        })
    }
}

/// The programs of slices.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    /// The simulator's.
    pub simulator: Option<&'a Path>,
    /// The emulator, and the test kernel.
    pub guest: Option<(&'a Path, &'a Path)>,
    /// Whether QEMU counts instructions instead of time.
    pub deterministic: bool,
    /// What is broken in every RAR unit.
    pub defect: Option<&'a str>,
}

impl Programs<'_> {
    /// Returns the command that repeats a slice.
    #[must_use]
    pub fn again(&self, slice: &Slice) -> String {
        let mut text = format!("cargo xtask soak --replay {slice}");
        if self.deterministic {
            text.push_str(" --deterministic");
        }
        if let Some(defect) = self.defect {
            text.push_str(&format!(" --defect {defect}"));
        }
        text
    }
}

impl Slice {
    /// Returns the command that runs it; `None` without its program.
    ///
    /// # Errors
    ///
    /// A path is not UTF-8.
    pub fn command(&self, programs: &Programs<'_>) -> Result<Option<Cmd>> {
        match self.machine {
            Machine::Simulated(backend) => {
                let program = programs.simulator.map(utf8).transpose()?;
                let defect = programs.defect.map(|name| ["--defect", name]);
                let cmd = program.map(|program| {
                    Cmd::new(program)
                        .args(["--backend", backend.name()])
                        .args(["--cpus", &self.cpus.to_string()])
                        .args(["--seed", &self.seed.to_string()])
                        .args(["--seconds", &self.seconds.to_string()])
                        .args(defect.into_iter().flatten())
                });
                Ok(cmd)
            }
            Machine::Guest(_, thread) => {
                let Some((qemu, kernel)) = programs.guest else {
                    return Ok(None);
                };
                let cmd = guest::bare(qemu, "q35", "max", thread)?
                    .args(["-smp", &self.cpus.to_string()])
                    .args(["-m", "512M"])
                    .args(["-serial", "stdio"])
                    .args(["-kernel", utf8(kernel)?])
                    .args(["-append", &self.kernel_command_line(programs)]);
                Ok(Some(match programs.deterministic {
                    true => cmd.args(["-icount", "shift=0,sleep=off"]),
                    false => cmd,
                }))
            }
        }
    }

    fn kernel_command_line(&self, programs: &Programs<'_>) -> String {
        let backend = self.machine.backend();
        let deadline = match self.machine {
            Machine::Guest(_, Thread::Multi) => THREAD_ANSWER,
            _ => ANSWER,
        };
        let seconds = match programs.deterministic {
            true => self.seconds.div_ceil(COUNTING),
            false => self.seconds,
        };
        let seed = self.seed;
        let mut line = format!("soak={seconds} seed={seed} backends={backend} deadline={deadline}");
        if matches!(self.machine, Machine::Guest(_, Thread::Multi)) {
            line.push_str(&format!(" faults={THREAD_FAULTS}"));
        }
        if let Some(defect) = programs.defect {
            line.push_str(&format!(" defect={defect}"));
        }
        line
    }

    /// Returns when the slice counts as hung.
    #[must_use]
    pub const fn time_limit(&self) -> Duration {
        Duration::from_secs(BOOT + PATIENCE * self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_read_back() {
        for machine in Machine::ALL {
            let slice = Slice {
                machine,
                cpus: 4,
                seed: 77,
                seconds: 9,
            };
            assert_eq!(slice.to_string().parse(), Ok(slice));
        }
        for wrong in ["", "software-single:4:1", "kvm:1:1:1", "sim-model:x:1:1"] {
            let error = wrong.parse::<Slice>().unwrap_err();
            assert!(error.contains("software-multi"), "{error}");
        }
    }

    #[test]
    fn a_slice_is_repeated_with_what_was_broken() {
        let slice = "sim-model:2:7:1".parse().unwrap();
        let again = |deterministic, defect| {
            let programs = Programs {
                simulator: None,
                guest: None,
                deterministic,
                defect,
            };
            programs.again(&slice)
        };
        let plain = "cargo xtask soak --replay sim-model:2:7:1";
        assert_eq!(again(false, None), plain);
        let all = format!("{plain} --deterministic --defect signal-lost");
        assert_eq!(again(true, Some("signal-lost")), all);
    }

    #[test]
    fn the_kernel_gets_all_it_needs() {
        let line = |machine, deterministic, defect| {
            let slice = Slice {
                machine,
                cpus: 2,
                seed: 3,
                seconds: 25,
            };
            slice.kernel_command_line(&Programs {
                simulator: None,
                guest: None,
                deterministic,
                defect,
            })
        };
        assert_eq!(
            line(Machine::Guest(Backend::Vrar, Thread::Multi), false, None),
            "soak=25 seed=3 backends=vrar deadline=500 faults=512"
        );
        let single = Machine::Guest(Backend::Software, Thread::Single);
        assert_eq!(
            line(single, true, Some("signal-lost")),
            "soak=3 seed=3 backends=software deadline=20 defect=signal-lost"
        );
    }
}
