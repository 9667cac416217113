//! The machine and the timeouts of a run of the suite.

use rar_payload::CostModel;
use rar_shootdown::{LazySkip, Policy};

use crate::machine::{MachineConfig, steps};

/// Room for every page under test in both spaces, so that no stale translation is evicted.
pub const TLB: usize = 1200;

/// The test that applies only without units, since units ignore IF.
pub const BY_NMI: &str = "target-takes-nmi";

/// Timeouts for a clock that counts steps per CPU: only a silent CPU reaches them. Ranges take the
/// entries that they need, since tests check what was not flushed.
pub const STEPS: Policy = {
    let mut policy = Policy::new();
    policy.answer_timeout = steps(2_000);
    policy.fallback_timeout = steps(10_000);
    policy.slot_timeout = steps(2_000);
    policy.resignal_after = None;
    policy.lazy = LazySkip::LOWER_HALF;
    policy.costs = CostModel::EXACT;
    policy
};

/// Returns the configuration of a machine for the suite, of honest units with IGNORE_IF.
#[must_use]
pub fn config(cpus: u32) -> MachineConfig {
    MachineConfig {
        // A non-temporal store leaves the buffer at the next one, since tests count stores.
        buffered: 1,
        nmi: true,
        ..MachineConfig::new(cpus)
    }
}

/// Why a run was given up. Unwinds out of it.
#[derive(Clone, Debug)]
pub struct GivenUp(pub String);
