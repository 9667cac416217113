//! What a test reports.

use rar_vocabulary::{Disturbances, Measurement, Outcome, Soak};
use serde::Serialize;

/// How many CPUs a suite can run on.
pub const MAX_CPUS: usize = 1024;

/// One line of the machine-readable transcript.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record<'a> {
    /// The suite begins.
    Start {
        /// What makes action bytes final.
        backend: &'a str,
        /// How many CPUs take part.
        cpus: u32,
        /// How many tests were chosen.
        tests: u32,
        /// How many records of type `test` will follow: tests times initiators.
        runs: u32,
        /// How many CPUs initiate each test, except the tests in which all do.
        initiators: u32,
    },
    /// One test begins for one initiator.
    Begin {
        /// The test.
        name: &'a str,
        /// The CPU that initiates the flush.
        initiator: u32,
    },
    /// A long test continues.
    Progress {
        /// The test.
        name: &'a str,
        /// Flushes so far.
        done: u64,
        /// Flushes in all.
        total: u64,
    },
    /// A soak continues, or has ended.
    Soak(&'a Soak),
    /// One kind of flush was measured. These records are emitted within a test.
    Measurement(&'a Measurement),
    /// A control was not seen, since a TLB may evict at any time. The test is retried for this
    /// initiator.
    Retry {
        /// The test.
        name: &'a str,
        /// The CPU that initiates the flush.
        initiator: u32,
        /// What was not seen.
        why: &'a str,
    },
    /// One test ended for one initiator.
    Test {
        /// The test.
        name: &'a str,
        /// The open question that it answers, by the id of its row in `docs/questions.md`.
        question: Option<&'a str>,
        /// What makes action bytes final.
        backend: &'a str,
        /// How many CPUs took part.
        cpus: u32,
        /// The CPU that initiated the flush.
        initiator: u32,
        /// How many flushes were made.
        flushes: u64,
        /// The positive control: what each target saw before the flush.
        controls: &'a [Control],
        /// Fallbacks during the test.
        fallbacks: u64,
        /// Signals sent a second time during the test.
        resignals: u64,
        /// What came from outside during the test; left out if nothing came.
        #[serde(skip_serializing_if = "Disturbances::is_none")]
        disturbances: Disturbances,
        /// How it ended.
        outcome: Outcome,
        /// Why it did not pass, in one sentence, or the observation; empty if it passed.
        why: &'a str,
    },
    /// The suite ends.
    End {
        /// Runs that passed.
        passed: u32,
        /// Runs that failed.
        failed: u32,
        /// Runs that this machine cannot make.
        skipped: u32,
        /// Runs that ended with an observation.
        observed: u32,
    },
}

/// What one target read from a page between the change of its entry and the flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Control {
    /// The target.
    pub cpu: u32,
    /// What it read, or the word count it could still write: the stale state.
    pub stale: u64,
    /// What it must read after the flush.
    pub new: u64,
}
