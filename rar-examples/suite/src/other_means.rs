//! What a driver counts when it flushes by other means than one signal.

use rar_shootdown::Statistics;

/// How many counters [`counters`] returns.
pub(crate) const COUNTERS: usize = 8;

/// Returns the counters that do not change while the signal path works, each with what it counts.
pub(crate) fn counters(statistics: &Statistics) -> [(&'static str, u64); COUNTERS] {
    let Statistics {
        fallbacks,
        resignals,
        nmis,
        failures,
        slotless,
        by_generation,
        unsent,
        errors,
        ..
    } = *statistics;
    [
        ("fallbacks", fallbacks),
        ("second signals", resignals),
        ("NMIs", nmis),
        ("FAILURE bytes", failures),
        ("flushes without a slot", slotless),
        ("flushes by generation", by_generation),
        ("messages not sent", unsent),
        ("errors", errors),
    ]
}
