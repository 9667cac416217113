//! A TLB that holds nothing and records the requests.

use crate::{Invalidation, Refused, Tlb};

/// One request to a [`RecordingTlb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// [`Tlb::invalidate`].
    Invalidate(Invalidation),
    /// [`Tlb::write_msr`].
    WriteMsr {
        /// The register.
        msr: u32,
        /// The value.
        value: u64,
    },
}

/// A [`Tlb`] that grants everything and keeps the first `N` requests.
///
/// For tests of the unit and of drivers that judge the *request*. [`TlbModel`](crate::TlbModel)
/// shows whether a request removes the right translations.
#[derive(Clone, Debug)]
pub struct RecordingTlb<const N: usize> {
    cr3: u64,
    asked: [Option<Asked>; N],
    total: usize,
}

impl<const N: usize> RecordingTlb<N> {
    /// Returns an empty recorder of a CPU whose CR3 is `cr3`.
    #[must_use]
    pub const fn new(cr3: u64) -> Self {
        Self {
            cr3,
            asked: [None; N],
            total: 0,
        }
    }

    /// Returns the kept requests, oldest first.
    pub fn asked(&self) -> impl Iterator<Item = Asked> {
        self.asked.iter().flatten().copied()
    }

    /// Returns the number of requests, kept or not.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    fn keep(&mut self, asked: Asked) {
        if let Some(place) = self.asked.get_mut(self.total) {
            *place = Some(asked);
        }
        self.total += 1;
    }
}

impl<const N: usize> Tlb for RecordingTlb<N> {
    fn cr3(&self) -> u64 {
        self.cr3
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        self.keep(Asked::Invalidate(invalidation));
        Ok(())
    }

    fn write_msr(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        self.keep(Asked::WriteMsr { msr, value });
        Ok(())
    }
}
