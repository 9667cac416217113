//! The guest's writes of CR8, which leave it while an interrupt waits: that one is held back from
//! then on, or no longer.

use crate::apic::register_effect::Refused;
use crate::guest::vcpu::Vcpu;
use crate::instruction::code::{Code, CodeSize};
use crate::processor::vmcb::event;

/// Of ModRM and REX.
const REGISTER: u8 = 0b111;
const REX: u8 = 0x40;
const REX_B: u8 = 1;

impl Vcpu<'_> {
    /// Does what the MOV to CR8 does at which the guest stands; returns whether it is one.
    pub(crate) fn write_cr8(&mut self) -> bool {
        let code = self.code();
        let Some((register, length)) = decode(&code) else {
            self.cpu.note_undecoded(&code);
            return false;
        };
        match task_priority(self.register(register), code.size) {
            Ok(priority) => {
                self.own.apic.set_task_priority(priority);
                self.skip(length);
            }
            Err(Refused) => self.own.event = event::GENERAL_PROTECTION,
        }
        true
    }
}

/// Returns the task priority that CR8 names.
fn task_priority(value: u64, size: CodeSize) -> Result<u8, Refused> {
    let value = match size {
        CodeSize::Bits64 => value,
        CodeSize::Bits16 | CodeSize::Bits32 => value & 0xffff_ffff,
    };
    match u8::try_from(value) {
        Ok(class @ 0..=15) => Ok(class << 4),
        _ => Err(Refused),
    }
}

/// Returns the register that the MOV reads, and the length of the instruction. That it is a MOV to
/// CR8, as 64-bit code has it or by a LOCK prefix, is known.
fn decode(code: &Code) -> Option<(u8, u64)> {
    let (rest, prefixes) = code.behind_prefixes()?;
    let [0x0f, 0x22, operand, ..] = *rest else {
        return None;
    };
    let last = prefixes.checked_sub(1).and_then(|at| code.bytes.get(at));
    let rex = match last {
        Some(rex @ REX..=0x4f) if code.size == CodeSize::Bits64 => *rex,
        _ => 0,
    };
    let register = operand & REGISTER | (rex & REX_B) << 3;
    Some((register, prefixes as u64 + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_and_the_length() {
        for (size, start, expected) in [
            (CodeSize::Bits64, &[0x44, 0x0f, 0x22, 0xc0][..], (0, 4)),
            (CodeSize::Bits64, &[0x44, 0x0f, 0x22, 0xc7], (7, 4)),
            (CodeSize::Bits64, &[0x45, 0x0f, 0x22, 0xc2], (10, 4)),
            (CodeSize::Bits64, &[0x66, 0x45, 0x0f, 0x22, 0xc2], (10, 5)),
            (CodeSize::Bits64, &[0xf0, 0x41, 0x0f, 0x22, 0xc1], (9, 5)),
            (CodeSize::Bits32, &[0xf0, 0x0f, 0x22, 0xc1], (1, 4)),
            // In 32-bit code 0x45 is an instruction of its own.
            (CodeSize::Bits32, &[0x0f, 0x22, 0xc6, 0x45], (6, 3)),
        ] {
            assert_eq!(
                decode(&Code::beginning(size, start)),
                Some(expected),
                "{start:x?}"
            );
        }
        assert_eq!(
            decode(&Code::beginning(CodeSize::Bits64, &[0x0f, 0x20, 0xc0])),
            None
        );
    }

    #[test]
    fn four_bits_and_no_more() {
        let wide = |value| task_priority(value, CodeSize::Bits64);
        assert_eq!((wide(0), wide(15)), (Ok(0), Ok(0xf0)));
        assert_eq!((wide(16), wide(1 << 32)), (Err(Refused), Err(Refused)));
        assert_eq!(task_priority(1 << 32 | 5, CodeSize::Bits32), Ok(0x50));
    }
}
