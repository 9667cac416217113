//! Goes on behind an instruction that the shim has carried out. QEMU does not tell where the next
//! one is, and prefixes may stand before any of them.

use crate::guest::vcpu::Vcpu;
use crate::instruction::code::Code;

/// Opcodes of what the shim carries out.
pub(crate) mod opcode {
    pub(crate) const CPUID: &[u8] = &[0x0f, 0xa2];
    pub(crate) const HLT: &[u8] = &[0xf4];
    pub(crate) const RDMSR: &[u8] = &[0x0f, 0x32];
    pub(crate) const VMMCALL: &[u8] = &[0x0f, 0x01, 0xd9];
    pub(crate) const WRMSR: &[u8] = &[0x0f, 0x30];
}

impl Vcpu<'_> {
    /// Goes on behind the instruction at which the guest stands, which has this opcode and no
    /// operands.
    pub(crate) fn skip_opcode(&mut self, opcode: &[u8]) {
        self.skip(self.length(opcode));
    }

    /// Goes on behind an instruction of this length, with the exception that follows it.
    pub(crate) fn skip(&mut self, length: u64) {
        let event = self.vmcb.skip(length);
        // What was being delivered comes first, and is no instruction of the guest.
        if self.own.event == 0 {
            self.own.event = event;
        }
    }

    /// Where the guest's page tables do not lead to the instruction, it has no prefixes.
    fn length(&self, opcode: &[u8]) -> u64 {
        length(&self.code(), opcode).unwrap_or(opcode.len() as u64)
    }
}

/// Returns the length with prefixes; `None` if this is not what is there.
fn length(code: &Code, opcode: &[u8]) -> Option<u64> {
    let (rest, prefixes) = code.behind_prefixes()?;
    let found = rest.starts_with(opcode);
    found.then_some((prefixes + opcode.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::code::{CodeSize, LONGEST};

    #[test]
    fn prefixes_count() {
        for (size, start, opcode) in [
            (CodeSize::Bits64, &[0x0f, 0xa2][..], opcode::CPUID),
            (CodeSize::Bits64, &[0x48, 0x0f, 0xa2], opcode::CPUID),
            (CodeSize::Bits64, &[0x66, 0x4f, 0x0f, 0xa2], opcode::CPUID),
            (CodeSize::Bits64, &[0xf3, 0xf4], opcode::HLT),
            (CodeSize::Bits32, &[0xf4], opcode::HLT),
            (CodeSize::Bits64, &[0x2e, 0x0f, 0x30], opcode::WRMSR),
            (CodeSize::Bits16, &[0x66, 0x67, 0x0f, 0x32], opcode::RDMSR),
            (CodeSize::Bits64, &[0x3e, 0x0f, 0x01, 0xd9], opcode::VMMCALL),
        ] {
            let expected = Some(start.len() as u64);
            assert_eq!(
                length(&Code::beginning(size, start), opcode),
                expected,
                "{start:x?}"
            );
        }
        let longest = [[0x66; LONGEST - 2].as_slice(), opcode::CPUID].concat();
        let found = length(&Code::beginning(CodeSize::Bits64, &longest), opcode::CPUID);
        assert_eq!(found, Some(LONGEST as u64));
    }

    #[test]
    fn what_is_another_instruction_has_no_length() {
        for (size, start) in [
            // In 32-bit code 0x48 is an instruction of its own.
            (CodeSize::Bits32, &[0x48, 0x0f, 0xa2][..]),
            (CodeSize::Bits64, &[0x0f, 0x30]),
            (CodeSize::Bits64, &[0; LONGEST]),
            (CodeSize::Bits64, &[0x66; LONGEST]),
        ] {
            assert_eq!(
                length(&Code::beginning(size, start), opcode::CPUID),
                None,
                "{start:x?}"
            );
        }
    }
}
