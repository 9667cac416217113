//! Memory that the guest loses: the shim's own, once its kernel leaves the machine to another.

use core::ops::Range;

use crate::config::ApicPage;
use crate::guest::vcpu::Vcpu;
use crate::instruction::length::opcode;
use crate::memory::hide_error::HideError;
use crate::memory::spaces::SPACES;
use crate::processor::vmcb::FLUSH_ALL;
use crate::shim::Shim;

/// The value of RAX with which VMMCALL in ring 0 puts into force what [`Shim::hide`] has named.
///
/// Every CPU loses that memory, this one before its next instruction, others when they are called,
/// at once. RAX becomes 0. Once only: from then on VMMCALL raises #UD, as it always does with
/// another value or without nested paging.
pub const HIDE: u64 = u64::from_le_bytes(*b"rar-hide");

impl Shim {
    /// Names physical memory that guests lose by [`HIDE`], in whole pages of 4 KiB: all that the
    /// shim needs (the image, this shim, memory of its CPUs), and what else its kernel keeps.
    ///
    /// Until then nothing changes. An access after it ends its CPU:
    /// [`Cpu::stray`](crate::Cpu::stray) says where. Where a RAR unit is told to look there,
    /// nothing answers it.
    ///
    /// # Errors
    ///
    /// [`HideError`]: the kernel can go on without hiding this.
    pub fn hide(&self, physical: Range<u64>) -> Result<(), HideError> {
        match self.config().page {
            ApicPage::Open => Err(HideError::NoNestedPaging),
            ApicPage::Trapped => SPACES.hide(&physical),
        }
    }
}

impl Vcpu<'_> {
    /// Does what VMMCALL asks for; returns whether it asks for anything.
    pub(crate) fn call_of_guest(&mut self) -> bool {
        let nested = self.vmcb.nested_control & 1 != 0;
        let asked = nested && self.vmcb.cpl == 0 && self.vmcb.rax == HIDE;
        if !asked || !SPACES.begin_hiding() {
            return false;
        }
        self.vmcb.rax = 0;
        self.skip_opcode(opcode::VMMCALL);
        let shim = self.own.shim;
        let kick = u32::from(shim.config().kick_vector);
        let own_id = self.own.apic.id();
        for (id, cpu) in shim.cpus().filter(|(id, _)| *id != own_id) {
            if cpu.mailbox.call() {
                self.own.real.send(id, kick);
            }
        }
        true
    }

    /// Gives the guest the memory that it is to have now.
    pub(crate) fn choose_memory(&mut self) {
        let nested = SPACES.nested();
        if self.vmcb.nested_control & 1 != 0 && self.vmcb.nested_cr3 != nested {
            self.vmcb.nested_cr3 = nested;
            self.vmcb.tlb_control = FLUSH_ALL;
        }
    }
}
