//! Whether an action vector holds anything at all, in eight loads.
#![cfg_attr(
    all(target_arch = "x86_64", not(any(rar_loom, rar_observed))),
    expect(
        unsafe_code,
        reason = "the atomics of Rust have no load of eight bytes that were stored one by one"
    )
)]

use crate::memory::ActionVector;

/// Returns whether a byte of the vector was not SUCCESS when it was read.
///
/// It says nothing about what was armed during the scan: that comes with a signal of its own.
#[cfg(all(target_arch = "x86_64", not(any(rar_loom, rar_observed))))]
#[inline]
pub(crate) fn holds_anything(vector: &ActionVector) -> bool {
    let any: u64;
    // SAFETY: 1. the vector is 64 readable bytes on one line (asserted in `memory`), so each load is of bytes that are there and
    // is not torn; 2. what other CPUs and units store meanwhile is stored whole bytes, of which each load sees the old or the
    // new one; 3. nothing is written, and no stack is used.
    unsafe {
        core::arch::asm!(
            "mov {any}, [{line}]",
            "or {any}, [{line} + 8]",
            "or {any}, [{line} + 16]",
            "or {any}, [{line} + 24]",
            "or {any}, [{line} + 32]",
            "or {any}, [{line} + 40]",
            "or {any}, [{line} + 48]",
            "or {any}, [{line} + 56]",
            line = in(reg) vector,
            any = out(reg) any,
            options(nostack, readonly),
        );
    }
    any != 0
}

/// Returns whether a byte of the vector was not SUCCESS when it was read; under loom "maybe", since each load costs time.
#[cfg(not(all(target_arch = "x86_64", not(any(rar_loom, rar_observed)))))]
pub(crate) fn holds_anything(vector: &ActionVector) -> bool {
    use crate::slot_index::SlotIndex;
    cfg!(rar_loom) || SlotIndex::all().any(|slot| vector.load(slot).0 != 0)
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use crate::slot_index::SlotIndex;

    #[test]
    fn every_byte_counts() {
        let vector = ActionVector::new();
        assert!(!holds_anything(&vector));
        for slot in SlotIndex::all() {
            vector.arm(slot);
            assert!(holds_anything(&vector), "{slot}");
            assert!(vector.take(slot));
            let taken = vector.load(slot);
            assert!(holds_anything(&vector), "{slot} is taken");
            vector.finish(slot, taken, crate::action::ActionState::Success);
            assert!(!holds_anything(&vector), "{slot}");
        }
    }
}
