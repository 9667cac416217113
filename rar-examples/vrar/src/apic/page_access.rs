//! The guest's accesses to the page of its APIC, where nested paging has taken it away.

use crate::apic::real_apic;
use crate::bits::low;
use crate::guest::vcpu::Vcpu;
use crate::instruction::access::{Access, decode};

/// Of a nested page fault's error code: the instruction's own bytes, or a page table of the guest.
const NOT_BY_DATA: u64 = 1 << 4 | 1 << 33;

impl Vcpu<'_> {
    /// Does what the instruction that faulted asks of the page; returns whether it could be done.
    /// [`Cpu::undecoded`](crate::Cpu::undecoded) shows what could not.
    pub(crate) fn access_page(&mut self, physical: u64) -> bool {
        if physical & !0xfff != self.own.apic.base() & !0xfff {
            return false;
        }
        let code = self.code();
        let is_data = self.vmcb.exit_info_1 & NOT_BY_DATA == 0 && self.own.event == 0;
        let decoded = decode(&code.bytes, code.size).filter(|_| is_data);
        let Some((access, length)) = decoded else {
            self.cpu.note_undecoded(&code);
            return false;
        };
        let offset = low(physical & 0xfff);
        match access {
            Access::Load { register } => {
                let value = self.own.apic.read_page(offset, &self.own.real);
                self.set_register(register, u64::from(value));
            }
            Access::Store { register } => {
                let value = low(self.register(register));
                self.write_page(offset, value);
            }
            Access::StoreImmediate { value } => self.write_page(offset, value),
        }
        self.skip(length);
        true
    }

    fn write_page(&mut self, offset: u32, value: u32) {
        let effect = self.own.apic.write_page(offset, value, &self.own.real);
        if matches!(
            offset & 0xff0,
            real_apic::LOGICAL_DESTINATION | real_apic::DESTINATION_FORMAT
        ) {
            self.publish_logical();
        }
        self.carry_out(effect);
    }

    /// Tells other CPUs of the shim, and the machine's own APIC, by what logical address the guest
    /// wants to be reached.
    pub(crate) fn publish_logical(&self) {
        self.cpu.mailbox.set_logical(self.own.apic.logical());
        self.own.real.set_logical(self.own.apic.machine_logical());
    }

    pub(crate) fn register(&self, number: u8) -> u64 {
        match number {
            0 => self.vmcb.rax,
            1 => self.world.rcx,
            2 => self.world.rdx,
            3 => self.world.rbx,
            4 => self.vmcb.rsp,
            5 => self.world.rbp,
            6 => self.world.rsi,
            7 => self.world.rdi,
            upper => self.upper(upper).map_or(0, |value| *value),
        }
    }

    fn set_register(&mut self, number: u8, value: u64) {
        match number {
            0 => self.vmcb.rax = value,
            1 => self.world.rcx = value,
            2 => self.world.rdx = value,
            3 => self.world.rbx = value,
            4 => self.vmcb.rsp = value,
            5 => self.world.rbp = value,
            6 => self.world.rsi = value,
            7 => self.world.rdi = value,
            upper => {
                let place = self.world.upper.get_mut(usize::from(upper.wrapping_sub(8)));
                if let Some(place) = place {
                    *place = value;
                }
            }
        }
    }

    fn upper(&self, number: u8) -> Option<&u64> {
        self.world.upper.get(usize::from(number.wrapping_sub(8)))
    }
}
