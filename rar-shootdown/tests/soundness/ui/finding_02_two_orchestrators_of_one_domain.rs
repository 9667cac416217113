//! Finding 2: a domain is made with its orchestrator and never leaves it, so no slot has two
//! owners.
use rar_percpu::Domain;
use rar_shootdown::{Policy, Shootdown};

fn second<M: Copy>(first: &Shootdown<M, 1>) {
    let machine = *first.machine();
    let _ = Shootdown::<M, 1>::new(machine, first.domain(), Policy::new());
    let _domain: Domain<1> = *first.domain();
    let _copy: Domain<1> = first.domain().clone();
    let _other = Shootdown::<M, 1> { domain: Domain::new(), ..*first };
}

fn main() {}
