//! CPUs that need not be flushed at once: in lazy TLB mode, or in a guest.

use crate::cpu_id::PinnedCpu;
use crate::domain::Domain;
use crate::generation::LeftLazy;
use crate::life_cycle_error::LifeCycleError;
use crate::local_tlb::LocalTlb;
use crate::per_cpu::Responder;

impl<const WORDS: usize> Domain<WORDS> {
    /// Puts this CPU into lazy TLB mode: flushes of user memory skip it, and
    /// [`leave_lazy`](Self::leave_lazy) makes up for that. For an idle loop or a kernel thread.
    ///
    /// What it missed is dropped then, and little else: the one address space that the flushes
    /// named, or all of them if they named several. Global translations stay.
    ///
    /// What counts as user memory is the kernel's to say; by default nothing does. Flushes of other
    /// memory and of freed page tables are still sent to this CPU, so it must still answer
    /// interrupts and signals.
    ///
    /// It does not nest: a handler that needs user memory calls [`leave_lazy`](Self::leave_lazy),
    /// and enters the mode again only if that says [`was_lazy`](LeftLazy::was_lazy).
    ///
    /// # Safety
    ///
    /// Memory is freed on the word of flushes that skip the CPU:
    ///
    /// 1. Until it has left the mode, no code on this CPU uses a translation of user memory,
    ///    handlers included.
    #[doc(alias = "lazy TLB")]
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of a flush that skips the CPU"
    )]
    pub unsafe fn enter_lazy(&self, cpu: &PinnedCpu<'_>) {
        if let Some(state) = self.cpu(cpu.id()) {
            state.generation().enter_lazy();
        }
    }

    /// Says that this CPU enters a guest: every flush but that of freed page tables skips it, and
    /// [`leave_lazy`](Self::leave_lazy) makes up for that.
    ///
    /// A flush of freed page tables is requested by generation, with an interrupt that ends the
    /// guest.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::GuestUnderRar`] on a CPU whose microcode answers, which is then not
    /// marked: no source says what a RAR does to host translations while its target runs a guest
    /// (facts: unknown). Bring CPUs that run guests online as [`SoftwareCpu`](crate::SoftwareCpu),
    /// whose handler runs in the host.
    ///
    /// # Safety
    ///
    /// 1. From the entry to [`leave_lazy`](Self::leave_lazy) the code on this CPU uses only
    ///    translations that never change: the guest runs with its own, and the way in and out of it
    ///    needs no other.
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of a flush that skips the CPU"
    )]
    pub unsafe fn enter_guest(&self, cpu: &PinnedCpu<'_>) -> Result<(), LifeCycleError> {
        let Some(state) = self.cpu(cpu.id()) else {
            return Ok(());
        };
        if state.responder() == Responder::Microcode {
            return Err(LifeCycleError::GuestUnderRar(cpu.id()));
        }
        self.note_guests();
        state.generation().enter_guest();
        Ok(())
    }

    /// Ends lazy TLB mode or a guest: flushes what this CPU missed meanwhile, and says what it was.
    /// Call it before the CPU uses a translation that it did without. Harmless on a CPU that is in
    /// neither, and in a handler that interrupts this very call.
    ///
    /// After a guest it flushes everything: the flushes that skip a guest are of any kind.
    pub fn leave_lazy(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> LeftLazy {
        self.cpu(cpu.id()).map_or(
            LeftLazy {
                was_lazy: false,
                was_in_guest: false,
                flushed: false,
            },
            |state| state.generation().leave_lazy(cpu, tlb),
        )
    }
}
