//! The boundary to the TLB of the CPU that owns the unit.

use crate::{Invalidation, LinearWidth, Refused};

/// What a broken unit leaves of what an invalidation names. The translations and structures
/// themselves go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Leftovers {
    /// Page walks in flight go on.
    pub walks: bool,
    /// The CPU takes the pages that were dirty for dirty again when it next walks to them.
    pub dirty_bits: bool,
}

impl Leftovers {
    /// Nothing: the unit is right.
    pub const NONE: Self = Self {
        walks: false,
        dirty_bits: false,
    };
}

/// The TLB of one CPU, as its RAR unit sees it.
pub trait Tlb {
    /// Returns the current CR3. INVPG with CR3 match compares with it.
    fn cr3(&self) -> u64;

    /// Returns the VPID of the running guest; 0 for none, and by default.
    ///
    /// A correct unit does not use it: it always flushes the host's translations.
    fn vpid(&self) -> u16 {
        0
    }

    /// Returns the width of linear addresses in the CPU's mode (CR4.LA57); by default `None`, for
    /// the width that the unit's knobs have.
    fn linear_width(&self) -> Option<LinearWidth> {
        None
    }

    /// Removes at least what `invalidation` names, and returns only when that is complete.
    ///
    /// A page walk in flight counts as cached: it is ended, or it fills the TLB before the removal.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the CPU is in no state to do it. Nothing was removed then.
    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused>;

    /// As [`invalidate`](Self::invalidate), by a broken unit that leaves something. By default it
    /// leaves nothing: a real TLB cannot be made to.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    fn invalidate_leaving(
        &mut self,
        invalidation: Invalidation,
        _leftovers: Leftovers,
    ) -> Result<(), Refused> {
        self.invalidate(invalidation)
    }

    /// Returns once every store that the CPU executed has reached memory.
    ///
    /// The unit calls it after an invalidation and before SUCCESS: an earlier translated store in
    /// the store buffer could otherwise reach a page that the initiator has already freed. By
    /// default stores reach memory at once.
    fn drain_stores(&mut self) {}

    /// Writes another MSR of the CPU, for payload type 5.
    ///
    /// The unit never passes one of its own registers here. By default every write is refused.
    ///
    /// # Errors
    ///
    /// [`Refused::MsrWrite`] if WRMSR would raise #GP(0).
    fn write_msr(&mut self, msr: u32, _value: u64) -> Result<(), Refused> {
        Err(Refused::MsrWrite { msr })
    }
}

impl<T: Tlb + ?Sized> Tlb for &mut T {
    fn cr3(&self) -> u64 {
        T::cr3(self)
    }

    fn vpid(&self) -> u16 {
        T::vpid(self)
    }

    fn linear_width(&self) -> Option<LinearWidth> {
        T::linear_width(self)
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        T::invalidate(self, invalidation)
    }

    fn invalidate_leaving(
        &mut self,
        invalidation: Invalidation,
        leftovers: Leftovers,
    ) -> Result<(), Refused> {
        T::invalidate_leaving(self, invalidation, leftovers)
    }

    fn drain_stores(&mut self) {
        T::drain_stores(self);
    }

    fn write_msr(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        T::write_msr(self, msr, value)
    }
}
