//! Who is online in the domain.

use rar_percpu::SoftwareCpu;
use rar_shootdown::Machine as _;
use rar_suite::Lab as _;

use super::{CPUS, DOMAIN, KernelLab};
use crate::freestanding::{SpinLock, percpu};

/// For each CPU its place in the domain while it is online. Only that CPU takes its lock.
static MEMBERS: [SpinLock<Option<SoftwareCpu<'static>>>; CPUS] =
    [const { SpinLock::new(None) }; CPUS];

fn mine() -> &'static SpinLock<Option<SoftwareCpu<'static>>> {
    #[expect(
        clippy::indexing_slicing,
        reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
    )]
    &MEMBERS[percpu::this().id().index()]
}

pub(super) fn join(lab: &KernelLab) {
    let cpu = percpu::pin();
    match SoftwareCpu::join(&DOMAIN, &cpu, lab.shootdown().machine().tlb()) {
        Ok(member) => *mine().lock() = Some(member),
        Err(error) => lab.give_up(format_args!(
            "CPU {} does not come online: {error}",
            cpu.id()
        )),
    }
}

pub(super) fn leave(lab: &KernelLab) {
    let cpu = percpu::pin();
    let member = mine().lock().take();
    let tlb = lab.shootdown().machine().tlb();
    if let Some(Err(error)) = member.map(|member| member.leave(&cpu, tlb)) {
        lab.give_up(format_args!("CPU {} stays online: {error}", cpu.id()));
    }
}
