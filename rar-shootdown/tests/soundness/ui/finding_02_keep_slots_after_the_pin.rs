//! Finding 2: slots that were claimed and not posted stay on their CPU. If that is declared dead,
//! others get them.
use rar_percpu::{Claimed, CpuGuard, Domain, PinnedCpu};

type Kept = Option<Claimed<'static, 'static, 1>>;

fn keep<G: CpuGuard + 'static>(domain: &'static Domain<1>, guard: G) -> Kept {
    let cpu = PinnedCpu::from_guard(&guard);
    domain.claim(&cpu, 1)
}

fn main() {}
