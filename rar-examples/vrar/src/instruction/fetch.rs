//! Finds the instruction at which the guest stands.

use crate::guest::vcpu::Vcpu;
use crate::instruction::code::{Code, CodeSize, LONGEST};
use crate::instruction::guest_paging::Paging;

impl Vcpu<'_> {
    /// Reads the instruction at which the guest stands, by the guest's page tables.
    pub(crate) fn code(&self) -> Code {
        let size = CodeSize::of(self.vmcb.efer, self.vmcb.cs.attributes);
        let linear = |offset: u64| match size {
            CodeSize::Bits64 => offset,
            _ => self.vmcb.cs.base.wrapping_add(offset) & 0xffff_ffff,
        };
        let paging = Paging::of(self.vmcb);
        let map = self.own.shim.map();
        let mut bytes = [0; LONGEST];
        let mut done = 0;
        // It lies in one page or in two.
        for _ in 0..2 {
            let address = linear(self.vmcb.rip.wrapping_add(done as u64));
            let read = |entry| map.quadword(entry).unwrap_or(0);
            let rest = bytes.get_mut(done..).unwrap_or_default();
            match paging.translate(self.vmcb.cr3, address, read) {
                Some(physical) => done += map.bytes(physical, rest),
                None => break,
            }
        }
        Code {
            size,
            address: linear(self.vmcb.rip),
            bytes,
        }
    }
}
