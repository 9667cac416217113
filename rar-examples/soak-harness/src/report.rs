//! A soak as JSON.

use std::collections::BTreeMap;

use rar_vocabulary::{Soak, SoakFault, SoakFaults, SoakFlushes, SoakOperation};
use serde::Serialize;

use crate::run::Ended;

/// A soak, as `--json` writes it.
#[derive(Debug, Serialize)]
pub struct Report {
    seed: u64,
    passed: bool,
    total: Counts,
    slices: Vec<SliceReport>,
}

#[derive(Debug, Serialize)]
struct SliceReport {
    /// What `--replay` takes.
    replay: String,
    backend: &'static str,
    cpus: u32,
    seed: u64,
    seconds: u64,
    passed: bool,
    problems: Vec<String>,
    counts: Counts,
    /// About once a second.
    samples: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Counts {
    milliseconds: u64,
    flushes: u64,
    verified: u64,
    stale: u64,
    accesses: u64,
    controls: u64,
    controls_seen: u64,
    switches: u64,
    lazy: u64,
    reused: u64,
    pauses: u64,
    unexplained: u64,
    operations: BTreeMap<&'static str, SoakFlushes>,
    faults: BTreeMap<&'static str, SoakFaults>,
}

#[derive(Debug, Serialize)]
struct Sample {
    milliseconds: u64,
    online: u32,
    flushes: u64,
    verified: u64,
    injected: u64,
    accounted: u64,
}

/// Returns the sum over all slices.
#[must_use]
pub fn total(slices: &[Ended]) -> Soak {
    let mut sum = Soak::default();
    slices.iter().for_each(|each| sum.add(&each.counts()));
    sum
}

impl Report {
    /// Returns the report of a soak.
    #[must_use]
    pub fn new(seed: u64, slices: &[Ended]) -> Self {
        Self {
            seed,
            passed: slices.iter().all(Ended::passed),
            total: Counts::of(&total(slices)),
            slices: slices.iter().map(SliceReport::of).collect(),
        }
    }
}

impl SliceReport {
    fn of(ended: &Ended) -> Self {
        let slice = &ended.slice;
        let sample = |soak: &Soak| Sample {
            milliseconds: soak.milliseconds,
            online: soak.online,
            flushes: soak.flushes(),
            verified: soak.verified(),
            injected: soak.injected(),
            accounted: soak.accounted(),
        };
        Self {
            replay: slice.to_string(),
            backend: slice.machine.backend().name(),
            cpus: slice.cpus,
            seed: slice.seed,
            seconds: slice.seconds,
            passed: ended.passed(),
            problems: ended.problems.clone(),
            counts: Counts::of(&ended.counts()),
            samples: ended.samples.iter().map(sample).collect(),
        }
    }
}

impl Counts {
    fn of(soak: &Soak) -> Self {
        let operations = SoakOperation::ALL.iter().map(|kind| kind.name());
        let faults = SoakFault::ALL.iter().map(|kind| kind.name());
        Self {
            milliseconds: soak.milliseconds,
            flushes: soak.flushes(),
            verified: soak.verified(),
            stale: soak.stale,
            accesses: soak.accesses,
            controls: soak.controls,
            controls_seen: soak.controls_seen,
            switches: soak.switches,
            lazy: soak.lazy,
            reused: soak.reused,
            pauses: soak.pauses,
            unexplained: soak.unexplained,
            operations: operations.zip(soak.operations).collect(),
            faults: faults.zip(soak.faults).collect(),
        }
    }
}
