//! A flush without a wait is a warning, here an error.
#![deny(unused_must_use)]

use rar_percpu::PinnedCpu;
use rar_shootdown::{AllOnline, Machine, Shootdown};

fn unmap<M: Machine<1>>(shootdown: &Shootdown<M, 1>, cpu: &PinnedCpu<'_>) {
    shootdown.start(cpu, &[], &AllOnline, ());
}

fn main() {}
