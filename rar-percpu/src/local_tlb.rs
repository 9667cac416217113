//! What a CPU does to its own TLB, with ordinary instructions.

use rar_payload::Operation;

use crate::cpu_id::PinnedCpu;

/// The TLB of the CPU that the code runs on.
///
/// Used for the initiator's own share of a flush, by the software responder, and by flush
/// generations.
///
/// # Implementation safety
///
/// Memory is freed on the word of this trait, so an implementer promises:
///
/// 1. When [`flush`](Self::flush) returns `Ok`, no translation that the operation names is left on
///    this CPU, in the TLB or in a paging-structure cache. More may be gone, never less.
/// 2. When [`flush_everything`](Self::flush_everything) returns, no translation is left, of any
///    PCID, global ones included. It says nothing about translations that are tagged by EPT or
///    VPID, unless [`drops_guest_translations`](Self::drops_guest_translations) does.
/// 3. Both act on page tables as they are after every store that happened before the call.
/// 4. Both may be interrupted, and called again by the interrupt's handler.
#[expect(unsafe_code, reason = "memory is freed on the word of the implementer")]
pub unsafe trait LocalTlb {
    /// Drops what the operation names, or more.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when this CPU cannot carry the operation out, not even by flushing more.
    /// Nothing is promised then.
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported>;

    /// Drops every translation of every PCID, global ones included.
    fn flush_everything(&self, cpu: &PinnedCpu<'_>);

    /// Returns whether [`flush_everything`](Self::flush_everything) also drops every translation
    /// that is tagged by EPT or VPID, of every guest (promise 2 extends to those). By default it
    /// does not, and no flush of them is sent.
    fn drops_guest_translations(&self) -> bool {
        false
    }
}

#[expect(
    unsafe_code,
    reason = "forwards to an implementation that has promised the same"
)]
// SAFETY: every promise of `T` holds for a reference to it.
unsafe impl<T: LocalTlb + ?Sized> LocalTlb for &T {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        T::flush(self, cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        T::flush_everything(self, cpu);
    }

    fn drops_guest_translations(&self) -> bool {
        T::drops_guest_translations(self)
    }
}

/// This CPU's instructions cannot do what the operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsupported;

impl core::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no instruction of this CPU carries out the requested operation")
    }
}

impl core::error::Error for Unsupported {}
