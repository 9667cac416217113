//! A CPU that is not online has no value that takes it offline.
use rar_percpu::fake::FakeTlb;
use rar_percpu::{Detected, PinnedCpu, RarCpu};
use rar_regs::FakeCpu;

fn down(unit: RarCpu<'_, FakeCpu, Detected, 1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>) {
    let _ = unsafe { unit.take_offline(cpu, tlb) };
}

fn main() {}
