//! The boundary to the TLB of the CPU that owns the unit.

use crate::{Invalidation, Refused};

/// The TLB of one CPU, as its RAR unit sees it.
pub trait Tlb {
    /// Returns CR3 as the CPU holds it now; INVPG with CR3 match is compared with it.
    fn cr3(&self) -> u64;

    /// Returns the VPID of the guest that the CPU runs now; 0 for none, and without an implementation.
    ///
    /// A right unit need not know: it flushes the host's translations in either case.
    fn vpid(&self) -> u16 {
        0
    }

    /// Removes at least what `invalidation` names, and returns only when that is complete.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the CPU is in no state to do it. Nothing was removed then.
    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused>;

    /// Returns once every store that the CPU executed has reached memory.
    ///
    /// The unit asks for it after an invalidation and before SUCCESS: a store that was translated earlier, and still waits in the
    /// store buffer, would else land on a page that the initiator has already given away. Without an implementation stores are
    /// taken to reach memory at once.
    fn drain_stores(&mut self) {}

    /// Writes another MSR of the CPU, for payload type 5.
    ///
    /// The unit never passes one of its own registers here. Without an implementation every write is refused.
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

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        T::invalidate(self, invalidation)
    }

    fn drain_stores(&mut self) {
        T::drain_stores(self);
    }

    fn write_msr(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        T::write_msr(self, msr, value)
    }
}
