//! What became of a test.

use rar_vocabulary::{Backend, Disturbances};
use serde::{Deserialize, Serialize};

/// How a test ended on one backend, over all its initiators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome<'a> {
    /// Every assertion held for every initiator.
    Holds,
    /// An assertion did not hold.
    Violated {
        /// The first initiator for which it did not.
        initiator: u32,
        /// The assertion, in one sentence.
        why: &'a str,
    },
    /// The test asks an open question; this is the machine's answer.
    Observed(&'a str),
    /// The test could not be run, and why.
    NotRun(&'a str),
}

/// One test on one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult<'a> {
    /// Who answered.
    pub backend: Backend,
    /// The name of the test.
    pub name: &'a str,
    /// How it ended.
    pub outcome: Outcome<'a>,
    /// How many CPUs have been the initiator.
    pub initiators: u32,
    /// How many targets had to be flushed by other means.
    pub fallbacks: u64,
    /// How many signals were sent a second time.
    pub resignals: u64,
    /// What came from outside while it ran.
    pub disturbances: Disturbances,
}
