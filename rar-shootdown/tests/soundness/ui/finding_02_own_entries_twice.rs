//! Finding 2: the ownership of slots is one value, which posting and settling consume.
use rar_payload::Operation;
use rar_percpu::{Claimed, CpuSet};

fn post(claimed: Claimed<'_, '_, 1>, operations: &[Operation], targets: &CpuSet<1>) {
    let _copy: Claimed<'_, '_, 1> = claimed.clone();
    let _first = claimed.post(operations, targets);
    let _second = claimed.post(operations, targets);
}

fn main() {}
