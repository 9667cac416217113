//! A flush that nobody waits for is a warning, here an error.
#![deny(unused_must_use)]

use rar_percpu::PinnedCpu;
use rar_shootdown::{Everyone, Machine, Shootdown};

fn unmap<M: Machine>(shootdown: &Shootdown<'_, M, 1>, cpu: &PinnedCpu<'_>) {
    shootdown.start(cpu, &[], &Everyone, ());
}

fn main() {}
