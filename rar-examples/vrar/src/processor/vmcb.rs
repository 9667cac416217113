//! The virtual machine control block (AMD64 Architecture Programmer's Manual vol. 2, appendix B).

use static_assertions::const_assert_eq;

/// A segment register as the processor saves it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Segment {
    pub(crate) selector: u16,
    pub(crate) attributes: u16,
    pub(crate) limit: u32,
    pub(crate) base: u64,
}

/// The control area, then the guest's state.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Vmcb {
    pub(crate) intercept_cr: u32,
    pub(crate) intercept_dr: u32,
    pub(crate) intercept_exceptions: u32,
    pub(crate) intercept_1: u32,
    pub(crate) intercept_2: u32,
    _reserved_1: [u8; 0x40 - 0x14],
    pub(crate) io_permissions: u64,
    pub(crate) msr_permissions: u64,
    pub(crate) tsc_offset: u64,
    pub(crate) asid: u32,
    pub(crate) tlb_control: u32,
    pub(crate) interrupt_control: u32,
    pub(crate) interrupt_vector: u32,
    /// Bit 0: an interrupt shadow.
    pub(crate) interrupt_shadow: u64,
    pub(crate) exit_code: u64,
    pub(crate) exit_info_1: u64,
    pub(crate) exit_info_2: u64,
    /// What was being delivered when the exit came.
    pub(crate) exit_event: u64,
    pub(crate) nested_control: u64,
    _reserved_2: [u8; 0xa8 - 0x98],
    /// What is delivered at the next entry.
    pub(crate) event: u64,
    pub(crate) nested_cr3: u64,
    _reserved_3: [u8; 0x400 - 0xb8],
    pub(crate) es: Segment,
    pub(crate) cs: Segment,
    pub(crate) ss: Segment,
    pub(crate) ds: Segment,
    pub(crate) fs: Segment,
    pub(crate) gs: Segment,
    pub(crate) gdtr: Segment,
    pub(crate) ldtr: Segment,
    pub(crate) idtr: Segment,
    pub(crate) tr: Segment,
    _reserved_4: [u8; 0x4cb - 0x4a0],
    pub(crate) cpl: u8,
    _reserved_5: [u8; 4],
    pub(crate) efer: u64,
    _reserved_6: [u8; 0x548 - 0x4d8],
    pub(crate) cr4: u64,
    pub(crate) cr3: u64,
    pub(crate) cr0: u64,
    pub(crate) dr7: u64,
    pub(crate) dr6: u64,
    pub(crate) rflags: u64,
    pub(crate) rip: u64,
    _reserved_7: [u8; 0x5d8 - 0x580],
    pub(crate) rsp: u64,
    _reserved_8: [u8; 0x5f8 - 0x5e0],
    pub(crate) rax: u64,
    pub(crate) star: u64,
    pub(crate) lstar: u64,
    pub(crate) cstar: u64,
    pub(crate) sfmask: u64,
    pub(crate) kernel_gs_base: u64,
    pub(crate) sysenter_cs: u64,
    pub(crate) sysenter_esp: u64,
    pub(crate) sysenter_eip: u64,
    pub(crate) cr2: u64,
    _reserved_9: [u8; 0x668 - 0x648],
    pub(crate) pat: u64,
    _reserved_10: [u8; 0x1000 - 0x670],
}

const_assert_eq!(size_of::<Vmcb>(), 0x1000);
const_assert_eq!(core::mem::offset_of!(Vmcb, io_permissions), 0x40);
const_assert_eq!(core::mem::offset_of!(Vmcb, msr_permissions), 0x48);
const_assert_eq!(core::mem::offset_of!(Vmcb, interrupt_control), 0x60);
const_assert_eq!(core::mem::offset_of!(Vmcb, exit_code), 0x70);
const_assert_eq!(core::mem::offset_of!(Vmcb, nested_control), 0x90);
const_assert_eq!(core::mem::offset_of!(Vmcb, event), 0xa8);
const_assert_eq!(core::mem::offset_of!(Vmcb, es), 0x400);
const_assert_eq!(core::mem::offset_of!(Vmcb, tr), 0x490);
const_assert_eq!(core::mem::offset_of!(Vmcb, cpl), 0x4cb);
const_assert_eq!(core::mem::offset_of!(Vmcb, efer), 0x4d0);
const_assert_eq!(core::mem::offset_of!(Vmcb, cr4), 0x548);
const_assert_eq!(core::mem::offset_of!(Vmcb, rip), 0x578);
const_assert_eq!(core::mem::offset_of!(Vmcb, rsp), 0x5d8);
const_assert_eq!(core::mem::offset_of!(Vmcb, rax), 0x5f8);
const_assert_eq!(core::mem::offset_of!(Vmcb, cr2), 0x640);
const_assert_eq!(core::mem::offset_of!(Vmcb, pat), 0x668);

/// Bit of `intercept_cr`: writes of CR8.
pub(crate) const INTERCEPT_CR8_WRITE: u32 = 1 << (16 + 8);

/// Bits of `intercept_1`.
pub(crate) mod intercept_1 {
    pub(crate) const INTR: u32 = 1 << 0;
    pub(crate) const VINTR: u32 = 1 << 4;
    pub(crate) const CPUID: u32 = 1 << 18;
    pub(crate) const IRET: u32 = 1 << 20;
    pub(crate) const HLT: u32 = 1 << 24;
    pub(crate) const INVLPGA: u32 = 1 << 26;
    pub(crate) const PORT: u32 = 1 << 27;
    pub(crate) const MSR: u32 = 1 << 28;
    pub(crate) const SHUTDOWN: u32 = 1 << 31;
}

/// Bits 0 to 6 of `intercept_2`: VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT.
pub(crate) const INTERCEPT_SVM: u32 = 0x7f;
/// Bits 10 to 12 of `intercept_2`: MONITOR, MWAIT, and MWAIT that would wait.
pub(crate) const INTERCEPT_MWAIT: u32 = 0b111 << 10;

/// The exit code of an intercepted IRET.
pub(crate) const EXIT_IRET: u64 = 0x74;

/// Bits of `interrupt_control`.
pub(crate) mod interrupt_control {
    pub(crate) const V_TPR: u32 = 0xf;
    pub(crate) const V_IRQ: u32 = 1 << 8;
    pub(crate) const V_IGNORE_TPR: u32 = 1 << 20;
    pub(crate) const V_INTR_MASKING: u32 = 1 << 24;
}

/// `tlb_control`: flush the TLB of all address spaces.
pub(crate) const FLUSH_ALL: u32 = 1;

/// Events of `event` and `exit_event`.
pub(crate) mod event {
    const VALID: u64 = 1 << 31;
    const HAS_ERROR_CODE: u64 = 1 << 11;
    const EXCEPTION: u64 = 3 << 8;
    const SOFTWARE: u64 = 4 << 8;
    const KIND: u64 = 7 << 8;

    /// #DB.
    pub(crate) const DEBUG: u64 = VALID | EXCEPTION | 1;
    /// #UD.
    pub(crate) const INVALID_OPCODE: u64 = VALID | EXCEPTION | 6;
    /// #GP(0).
    pub(crate) const GENERAL_PROTECTION: u64 = VALID | EXCEPTION | HAS_ERROR_CODE | 13;

    /// Returns what must be delivered again: all but a software interrupt, whose instruction is
    /// executed again.
    pub(crate) const fn interrupted(event: u64) -> u64 {
        if event & VALID != 0 && event & KIND != SOFTWARE {
            event
        } else {
            0
        }
    }
}

/// RFLAGS.TF, and DR6.BS.
const TRAP_FLAG: u64 = 1 << 8;
const SINGLE_STEP: u64 = 1 << 14;
/// RFLAGS.IF.
pub(crate) const INTERRUPT_FLAG: u64 = 1 << 9;

impl Vmcb {
    pub(crate) const ZERO: Self = Self {
        intercept_cr: 0,
        intercept_dr: 0,
        intercept_exceptions: 0,
        intercept_1: 0,
        intercept_2: 0,
        _reserved_1: [0; 0x40 - 0x14],
        io_permissions: 0,
        msr_permissions: 0,
        tsc_offset: 0,
        asid: 0,
        tlb_control: 0,
        interrupt_control: 0,
        interrupt_vector: 0,
        interrupt_shadow: 0,
        exit_code: 0,
        exit_info_1: 0,
        exit_info_2: 0,
        exit_event: 0,
        nested_control: 0,
        _reserved_2: [0; 0xa8 - 0x98],
        event: 0,
        nested_cr3: 0,
        _reserved_3: [0; 0x400 - 0xb8],
        es: Segment::ZERO,
        cs: Segment::ZERO,
        ss: Segment::ZERO,
        ds: Segment::ZERO,
        fs: Segment::ZERO,
        gs: Segment::ZERO,
        gdtr: Segment::ZERO,
        ldtr: Segment::ZERO,
        idtr: Segment::ZERO,
        tr: Segment::ZERO,
        _reserved_4: [0; 0x4cb - 0x4a0],
        cpl: 0,
        _reserved_5: [0; 4],
        efer: 0,
        _reserved_6: [0; 0x548 - 0x4d8],
        cr4: 0,
        cr3: 0,
        cr0: 0,
        dr7: 0,
        dr6: 0,
        rflags: 0,
        rip: 0,
        _reserved_7: [0; 0x5d8 - 0x580],
        rsp: 0,
        _reserved_8: [0; 0x5f8 - 0x5e0],
        rax: 0,
        star: 0,
        lstar: 0,
        cstar: 0,
        sfmask: 0,
        kernel_gs_base: 0,
        sysenter_cs: 0,
        sysenter_esp: 0,
        sysenter_eip: 0,
        cr2: 0,
        _reserved_9: [0; 0x668 - 0x648],
        pat: 0,
        _reserved_10: [0; 0x1000 - 0x670],
    };

    /// Goes on behind an instruction of this length. Returns the event that follows it: #DB if the
    /// guest takes single steps, else 0.
    #[must_use]
    pub(crate) const fn skip(&mut self, length: u64) -> u64 {
        self.rip = self.rip.wrapping_add(length);
        self.interrupt_shadow &= !1;
        if self.rflags & TRAP_FLAG == 0 {
            return 0;
        }
        // The processor does not change DR6 for an event that is injected.
        self.dr6 |= SINGLE_STEP;
        event::DEBUG
    }

    pub(crate) const fn interrupts_enabled(&self) -> bool {
        self.rflags & INTERRUPT_FLAG != 0
    }
}

impl Segment {
    pub(crate) const ZERO: Self = Self {
        selector: 0,
        attributes: 0,
        limit: 0,
        base: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_step_ends_behind_what_is_skipped() {
        let mut vmcb = Vmcb::ZERO;
        (vmcb.rip, vmcb.interrupt_shadow) = (0x1000, 1);
        assert_eq!((vmcb.skip(2), vmcb.dr6), (0, 0));
        assert_eq!((vmcb.rip, vmcb.interrupt_shadow), (0x1002, 0));
        (vmcb.rflags, vmcb.dr6) = (0x102, 0xffff_0ff0);
        assert_eq!(vmcb.skip(0), 1 << 31 | 3 << 8 | 1);
        assert_eq!((vmcb.rip, vmcb.dr6), (0x1002, 0xffff_4ff0));
    }
}
