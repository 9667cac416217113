//! The running Linux.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use rar_regs::{Cpuid, CpuidResult};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::affinity;
use crate::cpu_ranges;
use crate::obstacle::{Lockdown, User};
use crate::{CpuNumber, NotRead, Obstacle, System};

/// The running Linux, by `/sys`, `/proc` and `/dev/cpu/*/msr`.
#[derive(Clone, Debug)]
pub struct Linux {
    root: PathBuf,
}

impl Linux {
    /// Returns the running Linux.
    #[must_use]
    pub fn new() -> Self {
        Self::under(Path::new("/"))
    }

    /// Returns the running Linux with its files under another folder than `/`.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self { root: root.into() }
    }

    fn obstacle(&self, path: PathBuf, error: &io::Error) -> Obstacle {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::ACCESS | Errno::PERM) => Obstacle::NotPermitted {
                path,
                user: user(),
                lockdown: self.lockdown(),
            },
            Some(Errno::NXIO) => Obstacle::Offline { path },
            _ => Obstacle::File {
                path,
                error: error.to_string(),
            },
        }
    }

    fn lockdown(&self) -> Lockdown {
        let shown = fs::read_to_string(self.root.join("sys/kernel/security/lockdown"));
        match shown {
            Ok(levels) if !levels.contains("[none]") => Lockdown::On,
            _ => Lockdown::NotShown,
        }
    }
}

impl Default for Linux {
    fn default() -> Self {
        Self::new()
    }
}

impl System for Linux {
    type Cpuid = NativeCpuid;

    fn online(&self) -> Result<Vec<CpuNumber>, Obstacle> {
        let path = self.root.join("sys/devices/system/cpu/online");
        let text =
            fs::read_to_string(&path).map_err(|error| self.obstacle(path.clone(), &error))?;
        cpu_ranges::parse(&text).ok_or_else(|| Obstacle::File {
            path,
            error: format!("got `{}`, expected a list such as `0-3,8`", text.trim()),
        })
    }

    fn offline(&self) -> Vec<CpuNumber> {
        let listed = |name: &str| {
            let path = self.root.join("sys/devices/system/cpu").join(name);
            cpu_ranges::parse(&fs::read_to_string(path).ok()?)
        };
        let mut cpus = listed("present").unwrap_or_default();
        let online = listed("online").unwrap_or_default();
        cpus.retain(|cpu| !online.contains(cpu));
        cpus
    }

    fn microcode(&self) -> BTreeMap<CpuNumber, u64> {
        let text = fs::read_to_string(self.root.join("proc/cpuinfo")).unwrap_or_default();
        microcode(&text)
    }

    fn on_cpu<T: Send>(
        &self,
        cpu: CpuNumber,
        work: impl FnOnce(&Self::Cpuid) -> T + Send,
    ) -> Result<T, Obstacle> {
        // A thread of its own, so that the caller may go on wherever it was.
        let on_thread = || -> Result<T, Obstacle> {
            stay_on(cpu)?;
            Ok(work(&NativeCpuid))
        };
        let ended = thread::scope(|scope| scope.spawn(on_thread).join());
        ended.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    fn read_msr(&self, cpu: CpuNumber, msr: u32) -> Result<u64, NotRead> {
        let path = self.root.join(format!("dev/cpu/{cpu}/msr"));
        // CPUs with the same obstacle have the same sentence.
        let every = self.root.join("dev/cpu/*/msr");
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(NotRead::Obstacle(Obstacle::NoDevice { path: every }));
            }
            Err(error) => return Err(NotRead::Obstacle(self.obstacle(every, &error))),
        };
        let mut bytes = [0; 8];
        match file.read_exact_at(&mut bytes, u64::from(msr)) {
            Ok(()) => Ok(u64::from_le_bytes(bytes)),
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                Err(NotRead::Raised)
            }
            Err(error) => Err(NotRead::Obstacle(self.obstacle(every, &error))),
        }
    }
}

/// The CPUID instruction of the CPU on which the thread runs.
#[derive(Clone, Copy, Debug)]
pub struct NativeCpuid;

impl Cpuid for NativeCpuid {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let answer = core::arch::x86_64::__cpuid_count(leaf, subleaf);
        CpuidResult {
            eax: answer.eax,
            ebx: answer.ebx,
            ecx: answer.ecx,
            edx: answer.edx,
        }
    }
}

/// Binds this thread to a CPU.
fn stay_on(cpu: CpuNumber) -> Result<(), Obstacle> {
    let not_ours = |error: String| Obstacle::NotOurs { error };
    if cpu.0 >= cpu_ranges::MOST {
        let most = cpu_ranges::MOST;
        return Err(not_ours(format!("only CPUs below {most} can be asked")));
    }
    affinity::stay_on(cpu).map_err(|error| not_ours(error.to_string()))
}

fn user() -> User {
    if geteuid().is_root() {
        User::Root
    } else {
        User::Ordinary
    }
}

/// Reads the lines `processor` and `microcode` of `/proc/cpuinfo`.
fn microcode(cpuinfo: &str) -> BTreeMap<CpuNumber, u64> {
    let mut revisions = BTreeMap::new();
    let mut processor = None;
    for line in cpuinfo.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.trim() {
            "processor" => processor = value.trim().parse().ok().map(CpuNumber),
            "microcode" => {
                let digits = value.trim().trim_start_matches("0x");
                let revision = u64::from_str_radix(digits, 16).ok();
                revisions.extend(processor.zip(revision));
            }
            _ => {}
        }
    }
    revisions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microcode_is_that_of_the_processor_above() {
        let text = "processor\t: 0\nmicrocode\t: 0x2b000603\n\nprocessor\t: 3\nmodel\t: 143\n\
                    microcode\t: 0x11\n\nprocessor\t: 4\n";
        let revisions = microcode(text);
        let expected = [(CpuNumber(0), 0x2b00_0603), (CpuNumber(3), 0x11)];
        assert_eq!(revisions, expected.into());
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_an_obstacle() {
        let obstacle = |number| Linux::new().on_cpu(CpuNumber(number), |_| ()).unwrap_err();
        for number in [1023, 1024, 65535] {
            let text = obstacle(number).to_string();
            // The kernel was asked.
            assert!(text.contains("Invalid argument"), "{number}: {text}");
        }
        let beyond = obstacle(u32::MAX).to_string();
        assert!(beyond.contains("below 65536"), "{beyond}");
    }
}
