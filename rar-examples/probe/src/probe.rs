//! Asks each CPU.

use rar_regs::RarSupport;

use crate::cpu_facts::CpuFacts;
use crate::cpu_of_linux::CpuOfLinux;
use crate::hypervisor::Hypervisor;
use crate::{Answer, System};

/// Asks each CPU of a system. Reads only.
pub fn probe<S: System + Sync>(system: &S) -> Answer
where
    S::Cpuid: Sync,
{
    let online = match system.online() {
        Ok(online) => online,
        Err(obstacle) => return Answer::nothing(obstacle),
    };
    let microcode = system.microcode();
    let mut first: Option<RarSupport> = None;
    let mut hypervisor = None;
    let mut cpus = Vec::new();
    for number in online {
        let asked = system.on_cpu(number, |cpuid| {
            let cpu = CpuOfLinux::new(system, number, cpuid);
            let facts = CpuFacts::detect(&cpu, number, first.as_ref());
            (facts, Hypervisor::detect(cpuid))
        });
        let mut facts = match asked {
            Ok((facts, below)) => {
                hypervisor.get_or_insert(below);
                facts
            }
            Err(obstacle) => CpuFacts::unknown(number, obstacle),
        };
        facts.microcode = microcode.get(&number).copied();
        first = first.or(facts.rar.support().copied());
        cpus.push(facts);
    }
    Answer {
        offline: system.offline(),
        ..Answer::new(cpus, hypervisor)
    }
}
