//! Which bytes of an action vector hold anything, in eight loads.
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
    // SAFETY: 1. the vector is 64 readable bytes on one line (asserted in `memory`), so each load
    // is of bytes that are there and is not torn; 2. what other CPUs and units store meanwhile is
    // stored whole bytes, and each load sees the old or the new one; 3. nothing is written,
    // and no stack is used.
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

/// Returns the slots whose byte was not SUCCESS when it was read: bit `n` for slot `n`. It says as
/// much of what is armed during the scan as [`holds_anything`].
#[cfg(all(target_arch = "x86_64", not(any(rar_loom, rar_observed))))]
pub(crate) fn slots_in_use(vector: &ActionVector) -> u64 {
    let mut slots = 0;
    for index in 0..8_u64 {
        let word: u64;
        // SAFETY: 1. to 3. as in `holds_anything`; the index is below 8.
        unsafe {
            core::arch::asm!(
                "mov {word}, [{line} + 8 * {index}]",
                line = in(reg) vector,
                index = in(reg) index,
                word = out(reg) word,
                options(nostack, preserves_flags, readonly),
            );
        }
        // Most words are zero.
        if word != 0 {
            slots |= nonzero_bytes(word) << (8 * index);
        }
    }
    slots
}

/// Returns bit `n` for each byte `n` that is not zero.
#[cfg(any(test, all(target_arch = "x86_64", not(any(rar_loom, rar_observed)))))]
const fn nonzero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // The top bit of each byte that is not zero, then these eight bits side by side at the upper
    // end.
    let top = (((word & LOW) + LOW) | word) & !LOW;
    (top >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(not(all(target_arch = "x86_64", not(any(rar_loom, rar_observed)))))]
pub(crate) use portable::{holds_anything, slots_in_use};

/// The same, byte by byte: for loom, for the simulator's watchers and for other processors.
#[cfg(any(
    test,
    not(all(target_arch = "x86_64", not(any(rar_loom, rar_observed))))
))]
mod portable {
    use super::ActionVector;
    use crate::slot_index::SlotIndex;

    /// Returns the slots whose byte was not SUCCESS when it was read; under loom all, since each
    /// load costs time.
    pub(crate) fn slots_in_use(vector: &ActionVector) -> u64 {
        let in_use = |slot: &SlotIndex| cfg!(rar_loom) || vector.load(*slot).0 != 0;
        let slots = SlotIndex::all().filter(in_use);
        slots.fold(0, |slots, slot| slots | 1 << slot.get())
    }

    /// Returns whether a byte of the vector was not SUCCESS when it was read; under loom "maybe",
    /// since each load costs time.
    pub(crate) fn holds_anything(vector: &ActionVector) -> bool {
        cfg!(rar_loom) || SlotIndex::all().any(|slot| vector.load(slot).0 != 0)
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use crate::action::ActionState;
    use crate::slot_index::SlotIndex;

    /// Both ways to look, which have to see the same.
    fn seen(vector: &ActionVector) -> (bool, u64) {
        let seen = (holds_anything(vector), slots_in_use(vector));
        let by_portable = (
            portable::holds_anything(vector),
            portable::slots_in_use(vector),
        );
        assert_eq!(by_portable, seen);
        seen
    }

    #[test]
    fn every_byte_counts() {
        let vector = ActionVector::new();
        assert_eq!(seen(&vector), (false, 0));
        for slot in SlotIndex::all() {
            let alone = (true, 1 << slot.get());
            vector.arm(slot);
            assert_eq!(seen(&vector), alone, "{slot}");
            assert!(vector.take(slot));
            let taken = vector.load(slot);
            assert_eq!(seen(&vector), alone, "{slot} is taken");
            vector.finish(slot, taken, ActionState::Failure);
            assert_eq!(seen(&vector), alone, "{slot} is refused");
            vector.forget_failure(slot);
            assert_eq!(seen(&vector), (false, 0), "{slot}");
        }
    }

    #[test]
    fn bytes_are_seen_side_by_side() {
        let vector = ActionVector::new();
        let mut slots = 0;
        for slot in SlotIndex::all() {
            vector.arm(slot);
            slots |= 1 << slot.get();
            assert_eq!(seen(&vector), (true, slots));
        }
        for slot in SlotIndex::all() {
            assert!(vector.take(slot));
            vector.finish(slot, vector.load(slot), ActionState::Success);
            slots &= !(1 << slot.get());
            assert_eq!(seen(&vector), (slots != 0, slots));
        }
    }

    #[test]
    fn each_byte_that_is_not_zero_has_its_bit() {
        for mask in 0..256_u64 {
            for byte in [1, 2, 0x7f, 0x80, 0xff] {
                let bytes = core::array::from_fn(|at| if mask & 1 << at == 0 { 0 } else { byte });
                assert_eq!(nonzero_bytes(u64::from_le_bytes(bytes)), mask, "{byte:#x}");
            }
        }
    }
}
