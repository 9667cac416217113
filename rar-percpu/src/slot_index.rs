//! The number of a payload table entry.

use crate::sync::MAX_SLOTS;

/// The index of one entry of the payload table and of the byte that belongs to it in every action
/// vector.
///
/// Always below [`SlotIndex::COUNT`]: the table has at most 64 entries of 64 bytes (Intel 341431
/// through the Linux RFC series; MSR `RAR_INFO` bits 37:32 give the highest index of a part).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotIndex(u8);

impl SlotIndex {
    /// How many slots a table can have.
    pub const COUNT: usize = MAX_SLOTS;

    /// Returns the slot of that index, or `None` at or above [`SlotIndex::COUNT`].
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < Self::COUNT {
            Some(Self(index))
        } else {
            None
        }
    }

    /// Returns the slot whose index is in the six low bits of a word.
    #[inline]
    pub(crate) const fn of_low_bits(word: u64) -> Self {
        let [low, ..] = word.to_le_bytes();
        Self(low & 0x3f)
    }

    /// As [`new`](Self::new), for an index of any size.
    #[inline]
    pub(crate) fn at(index: usize) -> Option<Self> {
        u8::try_from(index).ok().and_then(Self::new)
    }

    /// Returns the index, below [`SlotIndex::COUNT`].
    #[must_use]
    #[inline]
    pub const fn get(self) -> usize {
        // The remainder changes nothing; it tells the compiler the bound, so that no index by it is
        // checked.
        self.0 as usize % Self::COUNT
    }

    /// Returns every slot in ascending order.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        Self::first(Self::COUNT)
    }

    /// Returns the first `count` slots in ascending order, all of them if `count` is larger.
    pub fn first(count: usize) -> impl Iterator<Item = Self> + Clone {
        (0..=u8::MAX).take(count).map_while(Self::new)
    }
}

/// Returns the slots whose bits are set, in ascending order.
pub(crate) fn slots_of(bits: u64) -> impl Iterator<Item = SlotIndex> {
    let mut left = bits;
    core::iter::from_fn(move || {
        let slot = (left != 0).then(|| SlotIndex::of_low_bits(left.trailing_zeros().into()));
        left &= left.wrapping_sub(1);
        slot
    })
}

impl core::fmt::Display for SlotIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn index_stays_below_the_table_size() {
        assert_eq!(SlotIndex::new(63).map(SlotIndex::get), Some(63));
        assert_eq!(SlotIndex::new(64), None);
        assert_eq!(SlotIndex::first(1000).count(), 64);
        assert_eq!(SlotIndex::first(6).last(), SlotIndex::new(5));
    }
}
