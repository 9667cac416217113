//! Without a guard there is no proof to be on a CPU, and no call that needs it.
use rar_percpu::{CpuId, Domain, LocalTlb, OnlineCpu, SoftwareCpu};
use rar_regs::FakeCpu;
use rar_shootdown::{AllOnline, Machine, Pending, Shootdown};

fn flush<M: Machine<1>>(shootdown: &Shootdown<M, 1>, cpu: &CpuId) {
    let _ = shootdown.flush(cpu, &[], &AllOnline);
    let _ = shootdown.start(cpu, &[], &AllOnline, ());
    let _ = shootdown.serve(cpu);
}

fn wait<M: Machine<1>>(pending: Pending<'_, M, (), 1>, cpu: &CpuId) {
    let _ = pending.wait(cpu);
}

fn poll<M: Machine<1>>(mut pending: Pending<'_, M, (), 1>, cpu: &CpuId) {
    let _ = pending.poll(cpu);
    let _ = pending.try_wait(cpu);
}

fn lazy(domain: &Domain<1>, cpu: &CpuId, tlb: &impl LocalTlb) {
    unsafe { domain.enter_lazy(cpu) };
    let _ = domain.leave_lazy(cpu, tlb);
}

fn up_and_down(
    domain: &Domain<1>,
    online: OnlineCpu<'_, FakeCpu, 1>,
    cpu: &CpuId,
    tlb: &impl LocalTlb,
) {
    let _ = unsafe { online.take_offline(cpu, tlb) };
    let _ = SoftwareCpu::bring_online(domain, cpu, tlb);
}

fn main() {}
