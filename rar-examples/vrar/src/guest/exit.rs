//! Why the guest was left, and what is done about it.

use crate::apic::ApicMode;
use crate::bits::low;
use crate::config::TripleFault;
use crate::cpu::Stray;
use crate::guest::cpuid;
use crate::guest::vcpu::{Offered, State, Vcpu};
use crate::instruction::length::opcode;
use crate::memory::spaces::SPACES;
use crate::processor::native;
use crate::processor::vmcb::{event, interrupt_control};
use crate::unit::offence::Offence;

/// Exit codes (AMD64 Architecture Programmer's Manual vol. 2, appendix C).
mod code {
    pub(super) const CR8_WRITE: u64 = 0x18;
    pub(super) const INTR: u64 = 0x60;
    pub(super) const VINTR: u64 = 0x64;
    pub(super) const CPUID: u64 = 0x72;
    pub(super) use crate::processor::vmcb::EXIT_IRET as IRET;
    pub(super) const HLT: u64 = 0x78;
    pub(super) const INVLPGA: u64 = 0x7a;
    pub(super) const PORT: u64 = 0x7b;
    pub(super) const MSR: u64 = 0x7c;
    /// A triple fault.
    pub(super) const SHUTDOWN: u64 = 0x7f;
    pub(super) const VMRUN: u64 = 0x80;
    pub(super) const VMMCALL: u64 = 0x81;
    pub(super) const SKINIT: u64 = 0x86;
    pub(super) const MONITOR: u64 = 0x8a;
    pub(super) const MWAIT_THAT_WAITS: u64 = 0x8c;
    pub(super) use crate::cpu::NESTED_PAGE_FAULT;
}

impl Vcpu<'_> {
    /// Handles one exit and makes everything ready for the guest.
    pub(crate) fn on_exit(&mut self) {
        self.own.event = event::interrupted(self.vmcb.exit_event);
        self.vmcb.event = 0;
        self.vmcb.tlb_control = 0;
        self.note_task_priority();
        self.note_taken();
        let (exit, address) = (self.vmcb.exit_code, self.vmcb.exit_info_2);
        match exit {
            // What came shows when the host takes it.
            code::INTR | code::VINTR | code::IRET => {}
            code::CPUID => self.cpuid(),
            code::MSR => self.msr(),
            code::PORT if self.pass_port() || self.access_port() => {}
            code::HLT => {
                self.skip_opcode(opcode::HLT);
                // A debug exception ends the halt.
                if self.own.event == 0 {
                    self.set_state(State::Halted);
                }
            }
            code::VMMCALL if self.call_of_guest() => {}
            code::INVLPGA | code::VMRUN..=code::SKINIT | code::MONITOR..=code::MWAIT_THAT_WAITS => {
                self.own.event = event::INVALID_OPCODE;
            }
            code::CR8_WRITE if self.write_cr8() => {}
            code::NESTED_PAGE_FAULT if self.access_page(address) => {}
            code::NESTED_PAGE_FAULT => {
                let instruction = self.vmcb.rip;
                self.cpu.note_stray(Stray {
                    address,
                    instruction,
                });
                if SPACES.is_hidden(address) {
                    self.offend(
                        Offence::HiddenMemory,
                        format_args!(
                            "address={address:#x} rip={instruction:#x} \
                             why=\"the carrier and the shim are there\""
                        ),
                    );
                }
                self.lose(exit);
            }
            // A triple fault among them, and whatever should not be.
            other => self.lose(other),
        }
        self.prepare_entry();
    }

    /// The guest is no more, for this reason.
    fn lose(&mut self, exit: u64) {
        self.cpu.note_gone(exit);
        self.trace_gone(exit);
        self.set_state(State::Gone);
        let shim = self.own.shim;
        if exit == code::SHUTDOWN && shim.config().triple_fault == TripleFault::ResetsMachine {
            shim.trace_summary(format_args!("a triple fault resets the machine"));
            native::reset_machine();
        }
    }

    /// The guest moves to CR8 without leaving; the processor keeps it here.
    fn note_task_priority(&mut self) {
        let class = self.vmcb.interrupt_control & interrupt_control::V_TPR;
        let [class, ..] = class.to_le_bytes();
        if class != self.own.apic.task_priority() >> 4 {
            self.own.apic.set_task_priority(class << 4);
        }
    }

    /// The processor clears V_IRQ when it has delivered the vector that was offered.
    fn note_taken(&mut self) {
        if let Some(offered) = self.own.offered.take()
            && self.vmcb.interrupt_control & interrupt_control::V_IRQ == 0
        {
            match offered {
                Offered::Apic(vector) => self.own.apic.accept(vector),
                Offered::External(line) => self.accept_external(line),
            }
        }
    }

    fn cpuid(&mut self) {
        let leaf = low(self.vmcb.rax);
        let subleaf = low(self.world.rcx);
        let real = native::cpuid(leaf, subleaf);
        let (cr4, config) = (self.vmcb.cr4, self.own.shim.config());
        let seen = self
            .counter_leaf(leaf, subleaf)
            .unwrap_or_else(|| cpuid::presented(leaf, subleaf, real, cr4, config));
        let seen = match self.own.apic.mode() {
            ApicMode::Disabled => cpuid::without_apic(leaf, seen),
            ApicMode::Xapic | ApicMode::X2apic => seen,
        };
        self.vmcb.rax = u64::from(seen.eax);
        self.world.rbx = u64::from(seen.ebx);
        self.world.rcx = u64::from(seen.ecx);
        self.world.rdx = u64::from(seen.edx);
        self.skip_opcode(opcode::CPUID);
    }
}
