//! A system of CPUs made of memory.

use std::collections::BTreeMap;

use rar_regs::FakeCpu;

use crate::{CpuNumber, NotRead, Obstacle, System};

/// What every read of a register meets.
pub(crate) enum Reads {
    /// The register.
    Answer,
    /// This obstacle.
    Fail(Obstacle),
}

pub(crate) struct FakeSystem {
    pub(crate) cpus: BTreeMap<CpuNumber, FakeCpu>,
    pub(crate) reads: Reads,
    /// CPUs on which the process may not run.
    pub(crate) closed: Vec<CpuNumber>,
    pub(crate) offline: Vec<CpuNumber>,
}

impl FakeSystem {
    pub(crate) fn new<const N: usize>(cpus: [FakeCpu; N]) -> Self {
        Self {
            cpus: (0..).map(CpuNumber).zip(cpus).collect(),
            reads: Reads::Answer,
            closed: Vec::new(),
            offline: Vec::new(),
        }
    }
}

impl System for FakeSystem {
    type Cpuid = FakeCpu;

    fn online(&self) -> Result<Vec<CpuNumber>, Obstacle> {
        Ok(self.cpus.keys().copied().collect())
    }

    fn offline(&self) -> Vec<CpuNumber> {
        self.offline.clone()
    }

    fn microcode(&self) -> BTreeMap<CpuNumber, u64> {
        self.cpus.keys().map(|cpu| (*cpu, 0x2b00_0603)).collect()
    }

    fn on_cpu<T: Send>(
        &self,
        cpu: CpuNumber,
        work: impl FnOnce(&FakeCpu) -> T + Send,
    ) -> Result<T, Obstacle> {
        if self.closed.contains(&cpu) {
            let error = "Invalid argument".to_owned();
            return Err(Obstacle::NotOurs { error });
        }
        Ok(work(&self.cpus[&cpu]))
    }

    fn read_msr(&self, cpu: CpuNumber, msr: u32) -> Result<u64, NotRead> {
        match &self.reads {
            Reads::Answer => self.cpus[&cpu].msr(msr).ok_or(NotRead::Raised),
            Reads::Fail(obstacle) => Err(NotRead::Obstacle(obstacle.clone())),
        }
    }
}
