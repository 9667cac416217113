//! What a flush owns is out of reach until it has ended.
use rar_percpu::PinnedCpu;
use rar_shootdown::{AllOnline, Machine, Shootdown};

fn unmap<M: Machine<1>>(shootdown: &Shootdown<M, 1>, cpu: &PinnedCpu<'_>, frame: Box<[u8; 4096]>) {
    let pending = shootdown.start(cpu, &[], &AllOnline, frame);
    drop(frame);
    let _ = pending.wait(cpu);
}

fn main() {}
