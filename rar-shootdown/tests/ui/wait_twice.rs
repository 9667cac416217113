//! The end of a flush gives what it owned back once.
use rar_percpu::PinnedCpu;
use rar_shootdown::{Machine, Pending};

fn twice<M: Machine<1>>(pending: Pending<'_, M, Box<u8>, 1>, cpu: &PinnedCpu<'_>) {
    let _first = pending.wait(cpu);
    let _second = pending.wait(cpu);
}

fn main() {}
