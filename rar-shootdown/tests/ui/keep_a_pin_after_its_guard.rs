//! The proof to be on a CPU ends with the guard that keeps the code there.
use rar_percpu::{CpuGuard, PinnedCpu};

fn leak<G: CpuGuard + 'static>(guard: G) -> PinnedCpu<'static> {
    PinnedCpu::from_guard(&guard)
}

fn main() {}
