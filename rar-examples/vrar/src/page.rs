//! The guest's accesses to the page of its APIC, where nested paging has taken it away.

use crate::access::{Access, decode};
use crate::bits::low;
use crate::real_apic;
use crate::vcpu::Vcpu;

/// The longest instruction.
const LONGEST: usize = 15;
/// EFER.LMA, and the bit of the code segment's attributes that says 64-bit code.
const LONG_MODE_ACTIVE: u64 = 1 << 10;
const LONG_CODE: u16 = 1 << 9;

impl Vcpu<'_> {
    /// Does what the instruction that faulted asks of the page; returns whether it could be done.
    pub(crate) fn access_page(&mut self, physical: u64) -> bool {
        let wide =
            self.vmcb.efer & LONG_MODE_ACTIVE != 0 && self.vmcb.cs.attributes & LONG_CODE != 0;
        let apic = self.own.apic.base() & !0xfff;
        if !wide || physical & !0xfff != apic {
            return false;
        }
        let mut code = [0; LONGEST];
        let map = self.own.shim.map();
        let length = map.code(self.vmcb.cr3, self.vmcb.cr4, self.vmcb.rip, &mut code);
        let rest = code.get_mut(length..).unwrap_or_default();
        let next = self.vmcb.rip.wrapping_add(length as u64);
        map.code(self.vmcb.cr3, self.vmcb.cr4, next, rest);
        let Some((access, length)) = decode(&code) else {
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
        self.vmcb.skip(length);
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

    fn register(&self, number: u8) -> u64 {
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
