//! What is worth a line in a log: never the ordinary flush. Empty without the `defmt` feature.

use rar_percpu::{CpuId, CpuSet, SlotIndex};

use crate::error::FlushError;

#[cfg(feature = "defmt")]
macro_rules! event {
    ($level:ident, $($arg:tt)*) => { defmt::$level!($($arg)*) };
}
#[cfg(not(feature = "defmt"))]
macro_rules! event {
    ($level:ident, $text:literal $(, $arg:expr)*) => { { $(let _ = $arg;)* } };
}

pub(crate) fn failure(cpu: CpuId, slot: SlotIndex) {
    event!(warn, "CPU {} answered FAILURE in slot {}", cpu, slot);
}

pub(crate) fn resignal(cpu: CpuId) {
    event!(warn, "CPU {} is silent; signalling once more", cpu);
}

pub(crate) fn fallback<const WORDS: usize>(cpus: &CpuSet<WORDS>) {
    event!(warn, "asking by generation: {}", cpus);
}

pub(crate) fn slotless() {
    event!(debug, "no slot; asking by generation");
}

pub(crate) fn quarantine(slot: SlotIndex) {
    event!(warn, "slot {} goes into quarantine", slot);
}

pub(crate) fn no_answer(error: &FlushError) {
    event!(error, "flush failed: {}", error);
}
