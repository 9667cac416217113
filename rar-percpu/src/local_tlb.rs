//! What a CPU does to its own TLB, with ordinary instructions.

use rar_payload::Operation;

use crate::cpu_id::PinnedCpu;

/// The TLB of the CPU that the code runs on.
///
/// Used for the initiator's own share of a flush, by the software responder, and by flush generations.
///
/// # Implementation safety
///
/// Memory is freed on the word of this trait, so an implementer promises:
///
/// 1. When [`flush`](Self::flush) returns `Ok`, no translation that the operation names is left on this CPU, in the TLB or
///    in a paging-structure cache. More may be gone, never less.
/// 2. When [`flush_everything`](Self::flush_everything) returns, no translation is left, of any PCID, global ones included.
///    An implementer whose `flush` accepts operations on EPT or VPID (feature `unverified` of `rar-payload`) drops what is
///    tagged by those here, too; otherwise this says nothing about them, and no flush of them may be sent.
/// 3. Both act on page tables as they are after every store that happened before the call.
/// 4. Both may be interrupted, and called again by the interrupt's handler.
#[expect(unsafe_code, reason = "memory is freed on the word of the implementer")]
pub unsafe trait LocalTlb {
    /// Drops what the operation names, or more.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when this CPU cannot carry the operation out, not even by flushing more. Nothing is promised then.
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported>;

    /// Drops every translation of every PCID, global ones included.
    fn flush_everything(&self, cpu: &PinnedCpu<'_>);
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
}

/// The operation is none that this CPU's instructions can stand in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsupported;

impl core::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no instruction of this CPU carries out the requested operation")
    }
}

impl core::error::Error for Unsupported {}
