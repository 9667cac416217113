//! What the probe found.

use crate::cpu_facts::{CpuFacts, Rar};
use crate::hypervisor::Hypervisor;
use crate::{CpuNumber, Obstacle, Verdict};

/// What the probe found.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer in one word.
    pub verdict: Verdict,
    /// In the order of their numbers.
    pub(crate) cpus: Vec<CpuFacts>,
    /// CPUs that are there and were not asked.
    pub(crate) offline: Vec<CpuNumber>,
    /// `None` if the probe ran on no CPU.
    pub(crate) hypervisor: Option<Hypervisor>,
    /// Why there are no CPUs.
    pub(crate) obstacle: Option<Obstacle>,
}

impl Answer {
    /// Returns the answer for CPUs that were asked.
    pub(crate) fn new(cpus: Vec<CpuFacts>, hypervisor: Option<Hypervisor>) -> Self {
        Self {
            verdict: Verdict::of(&cpus),
            cpus,
            offline: Vec::new(),
            hypervisor,
            obstacle: None,
        }
    }

    /// Returns the answer if no CPU could be asked.
    pub(crate) const fn nothing(obstacle: Obstacle) -> Self {
        Self {
            verdict: Verdict::Unknown,
            cpus: Vec::new(),
            offline: Vec::new(),
            hypervisor: None,
            obstacle: Some(obstacle),
        }
    }

    /// Returns the answer as one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let all = self.cpus.len();
        let cpus = match (all, self.offline.is_empty()) {
            (1, true) => "the CPU".to_owned(),
            (1, false) => "the CPU that is online".to_owned(),
            (_, true) => format!("all {all} CPUs"),
            (_, false) => format!("all {all} CPUs that are online"),
        };
        match self.verdict {
            Verdict::Usable => format!("RAR: yes, the same on {cpus}"),
            Verdict::Absent => format!("RAR: no, on {cpus}"),
            Verdict::Unknown => "RAR: unknown, the probe could not read everything".to_owned(),
            Verdict::Disagree => "RAR: the CPUs disagree; use it on none".to_owned(),
            Verdict::Refused => format!("RAR: {cpus} set the bit, but a driver should refuse it"),
        }
    }

    /// Returns the CPU whose facts stand for all: the first with RAR, or else the first.
    pub(crate) fn first(&self) -> Option<&CpuFacts> {
        let with_rar = |cpu: &&CpuFacts| matches!(cpu.rar, Rar::Present { .. });
        self.cpus.iter().find(with_rar).or(self.cpus.first())
    }
}
