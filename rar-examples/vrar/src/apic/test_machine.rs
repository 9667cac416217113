//! A machine of one register and an APIC, for tests.

use core::cell::Cell;

use crate::apic::Apic;
use crate::apic::register_effect::Registers;

/// One register of the machine.
pub(crate) struct Machine(pub(crate) Cell<u32>);

impl Registers for Machine {
    fn read(&self, offset: u32) -> u32 {
        if offset == 0x320 { self.0.get() } else { 0 }
    }

    fn write(&self, offset: u32, value: u32) {
        if offset == 0x320 {
            self.0.set(value);
        }
    }
}

pub(crate) fn machine() -> Machine {
    Machine(Cell::new(0))
}

pub(crate) fn x2apic(id: u32) -> Apic {
    let mut apic = Apic::new(id, 0xfee0_0900, 0, 0x1ff);
    apic.write_base(0xfee0_0d00).unwrap();
    apic
}
