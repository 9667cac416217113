//! What the CPUs of a suite share while it runs.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};

use rar_percpu::AtomicCpuSet;

use crate::controls::Controls;
use crate::failure::FirstFailure;
use crate::gaps::Gaps;
use crate::record::MAX_CPUS;
use crate::samples::Samples;
use crate::space::Space;

/// How many words the CPUs of a test share.
const WORDS: usize = 8;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) arrived: AtomicU64,
    pub(crate) failure: FirstFailure,
    pub(crate) gaps: Gaps,
    pub(crate) flushes: AtomicU64,
    pub(crate) first: AtomicCpuSet,
    pub(crate) second: AtomicCpuSet,
    pub(crate) chosen: AtomicCpuSet,
    /// For each CPU: a value that it publishes in the course of a test.
    pub(crate) published: [AtomicU64; MAX_CPUS],
    /// For each CPU: the last barrier that it reached.
    pub(crate) phases: [AtomicU64; MAX_CPUS],
    /// For each CPU: how often the driver had flushed its TLB when it cached the page under test.
    pub(crate) cached: [AtomicU64; MAX_CPUS],
    /// Words for the use of one test.
    pub(crate) words: [AtomicU64; WORDS],
    /// What the self-interrupt does.
    pub(crate) errand: AtomicU8,
    pub(crate) samples: Samples,
    pub(crate) controls: Controls,
    /// Whether the attempt that ended showed nothing and is repeated.
    pub(crate) again: AtomicBool,
    /// Whether a CPU cannot take part in the run.
    pub(crate) obstacle: AtomicBool,
    pub(crate) passed: AtomicU32,
    pub(crate) failed: AtomicU32,
    pub(crate) skipped: AtomicU32,
    pub(crate) observed: AtomicU32,
}

impl Shared {
    pub(crate) const fn new() -> Self {
        Self {
            arrived: AtomicU64::new(0),
            failure: FirstFailure::new(),
            gaps: Gaps::new(),
            flushes: AtomicU64::new(0),
            first: AtomicCpuSet::new(),
            second: AtomicCpuSet::new(),
            chosen: AtomicCpuSet::new(),
            published: [const { AtomicU64::new(0) }; MAX_CPUS],
            phases: [const { AtomicU64::new(0) }; MAX_CPUS],
            cached: [const { AtomicU64::new(0) }; MAX_CPUS],
            words: [const { AtomicU64::new(0) }; WORDS],
            errand: AtomicU8::new(0),
            samples: Samples::new(),
            controls: Controls::new(),
            again: AtomicBool::new(false),
            obstacle: AtomicBool::new(false),
            passed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            skipped: AtomicU32::new(0),
            observed: AtomicU32::new(0),
        }
    }

    /// Returns the CPUs that run in a space.
    pub(crate) fn set(&self, space: Space) -> &AtomicCpuSet {
        match space {
            Space::First => &self.first,
            // Tests use two spaces.
            Space::Second | Space::Further(_) => &self.second,
        }
    }
}
