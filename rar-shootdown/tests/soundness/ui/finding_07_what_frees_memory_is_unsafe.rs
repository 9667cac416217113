//! Finding 7: each call that makes later flushes skip a CPU, or forges which CPU the code runs on,
//! needs `unsafe`.
use rar_percpu::fake::FakeTlb;
use rar_percpu::{
    AtomicCpuSet, Configured, CpuId, Domain, Enabled, PinnedCpu, RarCpu, SoftwareCpu,
};
use rar_regs::{FakeCpu, InterruptPolicy};

fn leave(software: SoftwareCpu<'_, 1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>) {
    let _ = software.take_offline(cpu, tlb);
}

fn disable(unit: RarCpu<'_, FakeCpu, Enabled, 1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>) {
    let _ = unit.take_offline(cpu, tlb);
}

fn enable(unit: RarCpu<'_, FakeCpu, Configured, 1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>) {
    let _ = unit.bring_online(cpu, InterruptPolicy::IgnoreIf, tlb);
}

fn skip(domain: &Domain<1>, cpu: &PinnedCpu<'_>, set: &AtomicCpuSet<1>) {
    domain.enter_lazy(cpu);
    let _ = domain.enter_guest(cpu);
    domain.declare_dead(cpu.id());
    set.remove(cpu.id());
    let _forged = PinnedCpu::new(CpuId::new(1));
}

fn main() {}
