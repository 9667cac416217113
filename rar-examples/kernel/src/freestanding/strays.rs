//! Interrupts that no code asked for, counted.

use super::percpu;
use crate::StrayTable;

static STRAYS: StrayTable = StrayTable::new();

/// Counts an interrupt of this CPU that no code asked for.
pub(crate) fn count(vector: u8) {
    STRAYS.count(percpu::this().number(), vector);
}

/// Returns the interrupts that came and that no code asked for.
#[must_use]
pub fn strays() -> &'static StrayTable {
    &STRAYS
}
