//! Random histories: ample slots, few slots, hard conditions.

use std::time::Duration;

use rar_sim::history::{Campaign, Episode};
use rar_sim::machine::Answering;

/// Without `--cfg rar_observed` a build is not optimised.
const STEPS: u64 = if cfg!(rar_observed) {
    12_000_000
} else {
    100_000
};

fn run(backend: Answering, cpus: u32) {
    let campaign = Campaign {
        episode: Episode {
            backend,
            mixed: true,
            ..Episode::new(cpus)
        },
        seed: 1,
        steps: STEPS,
        shrink: Duration::ZERO,
    };
    match campaign.run(&mut |_| {}) {
        Ok(summary) => {
            assert!(summary.tally.stale_uses > 0, "stale translations are seen");
            if cfg!(rar_observed) {
                let missing = summary.paths.missing(backend);
                assert!(missing.is_empty(), "never taken: {missing:?}");
            }
        }
        Err(failed) => panic!("{}", failed.0.what),
    }
}

/// On every path of a flush: it ends, nothing stale is used after it, and its slots are free again.
#[test]
fn every_way_of_units() {
    run(Answering::Units, 4);
}

/// The same without units.
#[test]
fn every_way_of_software() {
    run(Answering::Software, 4);
}
