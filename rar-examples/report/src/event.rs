//! What went wrong, and how the run ended.

use serde::{Deserialize, Serialize};

/// Something that happened beside the tests and that matters to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The CPU's number, if one is concerned; for [`EventKind::CpuMissing`] its APIC id.
    pub cpu: Option<u32>,
    /// The backend that was running, if one was.
    pub backend: Option<crate::Backend>,
    /// The test that was running; empty if none was.
    pub test: &'a str,
    /// More, in one sentence; may be empty.
    pub text: &'a str,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A CPU that the firmware lists did not come online.
    CpuMissing,
    /// A CPU stopped answering.
    CpuSilent,
    /// A test did not end by its deadline.
    Hung,
    /// A CPU took an unexpected exception.
    Exception,
    /// An option was unknown or unusable, and ignored.
    OptionIgnored,
    /// A backend could not be started.
    BackendUnavailable,
    /// Anything else.
    Note,
}

/// Why a report ends where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Everything that was chosen was run or has a reason why not.
    Complete,
    /// The time for the whole run was over.
    Deadline,
    /// A test hung and nothing could follow it.
    Hung,
    /// Too many CPUs stopped answering.
    CpusLost,
    /// The program itself failed.
    Fault,
}
