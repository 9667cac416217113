//! What a run was asked to do.

use rar_vocabulary::Backend;

/// What a run was asked to do.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The backend asked for.
    pub backend: Backend,
    /// The CPU that has another RAR than the rest, so that software flushes on all of them.
    pub refused_by: Option<u32>,
    /// It joins while another CPU has a flush in the air.
    pub refused_under_a_flush: bool,
    /// CPUs that run.
    pub cpus: u32,
    /// APIC ids of CPUs that the firmware lists beside them, and that do not start.
    pub missing: Vec<u32>,
    /// The tests asked for; all of a list if empty.
    pub tests: Vec<String>,
    /// The tests of the list asked for; none if tests were asked for by name.
    pub list: Vec<&'static str>,
    /// The tests that this machine has no reason to skip.
    pub required: Vec<&'static str>,
    /// Flushes per CPU in the storm.
    pub flushes: u32,
    /// How many CPUs initiate each test at most, if not all.
    pub initiators: Option<u32>,
    /// Flushes of each kind are measured.
    pub measures: bool,
}
