//! What a CPU has missed while flushes skipped it.

use rar_payload::{Globals, InvpcidScope, Operation, Pcid};

use crate::cpu_id::PinnedCpu;
use crate::local_tlb::LocalTlb;

/// What a CPU that is skipped goes without, and drops itself on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Missed {
    /// Translations of one address space that are not global.
    Space(Pcid),
    /// Translations of any address space that are not global.
    AnySpace,
    /// Translations of any kind.
    Anything,
}

impl Missed {
    /// How many bits [`to_bits`](Self::to_bits) takes.
    pub(crate) const BITS: u32 = 13;

    const ANY_SPACE: u64 = Pcid::MAX.get() as u64 + 2;
    const ANYTHING: u64 = Self::ANY_SPACE + 1;

    /// Returns the least that covers both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anything, _) | (_, Self::Anything) => Self::Anything,
            _ if self == other => self,
            _ => Self::AnySpace,
        }
    }

    /// Returns a number that is not zero: zero is for nothing missed.
    pub(crate) fn to_bits(self) -> u64 {
        match self {
            Self::Space(pcid) => u64::from(pcid.get()) + 1,
            Self::AnySpace => Self::ANY_SPACE,
            Self::Anything => Self::ANYTHING,
        }
    }

    /// Returns what the number stands for; a number that was never written is anything.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        if bits == Self::ANY_SPACE {
            return Some(Self::AnySpace);
        }
        let number = bits.checked_sub(1)?;
        let pcid = u16::try_from(number).ok().map(Pcid::new);
        Some(
            pcid.and_then(Result::ok)
                .map_or(Self::Anything, Self::Space),
        )
    }

    /// Drops it from this CPU's TLB, or more.
    pub(crate) fn flush(self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) {
        let scope = match self {
            Self::Space(pcid) => InvpcidScope::Context { pcid },
            Self::AnySpace => InvpcidScope::AllContexts(Globals::Exclude),
            Self::Anything => return tlb.flush_everything(cpu),
        };
        if tlb.flush(cpu, &Operation::Invpcid(scope)).is_err() {
            tlb.flush_everything(cpu);
        }
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    fn space(pcid: u16) -> Missed {
        Missed::Space(Pcid::new(pcid).unwrap())
    }

    #[test]
    fn two_misses_are_the_least_that_covers_both() {
        let all = [space(0), space(5), Missed::AnySpace, Missed::Anything];
        for (width, one) in all.into_iter().enumerate() {
            assert_eq!(one.and(one), one);
            for other in all.into_iter().skip(width.max(1) + 1) {
                assert_eq!(one.and(other), other);
                assert_eq!(other.and(one), other);
            }
        }
        assert_eq!(space(0).and(space(5)), Missed::AnySpace);
    }

    #[test]
    fn every_miss_has_a_number_of_its_own_and_every_number_a_miss() {
        let spaces = (0..=Pcid::MAX.get()).map(space);
        let all = spaces.chain([Missed::AnySpace, Missed::Anything]);
        for (missed, number) in all.zip(1..) {
            assert_eq!(missed.to_bits(), number);
            assert_eq!(Missed::from_bits(number), Some(missed));
        }
        assert_eq!(Missed::from_bits(0), None);
        for unknown in Missed::ANYTHING..1 << Missed::BITS {
            assert_eq!(Missed::from_bits(unknown), Some(Missed::Anything));
        }
    }
}
