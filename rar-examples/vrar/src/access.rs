//! The instruction by which a guest reaches the page of its APIC.

use yaxpeax_arch::LengthedInstruction as _;
use yaxpeax_x86::long_mode::{InstDecoder, Opcode, Operand, register_class};

/// An access of 32 bits. Registers are numbered as in an instruction: RAX is 0, R15 is 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Load { register: u8 },
    Store { register: u8 },
    StoreImmediate { value: u32 },
}

/// Returns the access and the length of the instruction; `None` for anything but a MOV of 32 bits
/// in 64-bit code, which is how xAPIC registers are to be accessed (SDM vol. 3, "Local APIC
/// Register Address Map").
pub(crate) fn decode(code: &[u8]) -> Option<(Access, u64)> {
    let instruction = InstDecoder::default().decode_slice(code).ok()?;
    if instruction.opcode() != Opcode::MOV {
        return None;
    }
    let (to, from) = (instruction.operand(0), instruction.operand(1));
    let access = match (to, from) {
        (Operand::Register { reg }, memory)
            if reg.class() == register_class::D && memory.is_memory() =>
        {
            Access::Load {
                register: reg.num(),
            }
        }
        (memory, Operand::Register { reg })
            if reg.class() == register_class::D && memory.is_memory() =>
        {
            Access::Store {
                register: reg.num(),
            }
        }
        (memory, Operand::ImmediateI32 { imm })
            if memory.is_memory() && instruction.mem_size()?.bytes_size() == Some(4) =>
        {
            Access::StoreImmediate {
                value: imm.cast_unsigned(),
            }
        }
        (memory, Operand::ImmediateU32 { imm })
            if memory.is_memory() && instruction.mem_size()?.bytes_size() == Some(4) =>
        {
            Access::StoreImmediate { value: imm }
        }
        _ => return None,
    };
    Some((access, 0_u64 + instruction.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_of_32_bits() {
        for (code, access) in [
            (&[0x89, 0x08][..], Access::Store { register: 1 }),
            (
                &[0x8b, 0x87, 0x00, 0x03, 0x00, 0x00],
                Access::Load { register: 0 },
            ),
            (
                &[0x44, 0x89, 0xb8, 0xb0, 0, 0, 0],
                Access::Store { register: 15 },
            ),
            (
                &[0xc7, 0x04, 0x25, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x03, 0, 0],
                Access::StoreImmediate { value: 0x300 },
            ),
            (
                &[0xc7, 0x00, 0xff, 0xff, 0xff, 0xff],
                Access::StoreImmediate { value: u32::MAX },
            ),
        ] {
            // What follows the instruction does not matter.
            let mut bytes = [0xcc; 15];
            bytes[..code.len()].copy_from_slice(code);
            assert_eq!(
                decode(&bytes),
                Some((access, code.len() as u64)),
                "{code:x?}"
            );
        }
    }

    #[test]
    fn nothing_else() {
        for code in [
            &[0x48, 0x89, 0x08][..],         // 64 bits
            &[0x66, 0x89, 0x08],             // 16 bits
            &[0x88, 0x08],                   // 8 bits
            &[0x48, 0xc7, 0x00, 0, 0, 0, 0], // 64 bits, immediate
            &[0x66, 0xc7, 0x00, 0, 0],       // 16 bits, immediate
            &[0x89, 0xc8],                   // no memory
            &[0x01, 0x08],                   // ADD
            &[0xa5],                         // MOVS
            &[0x0f, 0xff],                   // nothing
        ] {
            assert_eq!(decode(code), None, "{code:x?}");
        }
    }
}
