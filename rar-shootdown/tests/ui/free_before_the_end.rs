//! What a flush owns is out of reach until it has ended.
use rar_percpu::PinnedCpu;
use rar_shootdown::{Everyone, Machine, Shootdown};

fn unmap<M: Machine>(shootdown: &Shootdown<'_, M, 1>, cpu: &PinnedCpu<'_>, frame: Box<[u8; 4096]>) {
    let pending = shootdown.start(cpu, &[], &Everyone, frame);
    drop(frame);
    let _ = pending.wait();
}

fn main() {}
