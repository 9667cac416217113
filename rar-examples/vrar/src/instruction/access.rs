//! The instruction by which a guest reaches the page of its APIC.

use yaxpeax_arch::LengthedInstruction as _;
use yaxpeax_x86::{long_mode, protected_mode, real_mode};

use crate::instruction::code::CodeSize;

/// An access of 32 bits. Registers are numbered as in an instruction: RAX is 0, R15 is 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Load { register: u8 },
    Store { register: u8 },
    StoreImmediate { value: u32 },
}

/// Returns the access and the length of the instruction; `None` for anything but a MOV of 32 bits,
/// which is how xAPIC registers are to be accessed (SDM vol. 3, "Local APIC Register Address
/// Map").
pub(crate) fn decode(code: &[u8], size: CodeSize) -> Option<(Access, u64)> {
    match size {
        CodeSize::Bits16 => decode_16(code),
        CodeSize::Bits32 => decode_32(code),
        CodeSize::Bits64 => decode_64(code),
    }
}

/// The decoders of the three sizes have the same words, but not the same types.
macro_rules! decoder {
    ($name:ident, $mode:ident, $length:ty) => {
        fn $name(code: &[u8]) -> Option<(Access, u64)> {
            use $mode::{InstDecoder, Opcode, Operand, register_class};

            let instruction = InstDecoder::default().decode_slice(code).ok()?;
            if instruction.opcode() != Opcode::MOV {
                return None;
            }
            let size = instruction.mem_size().and_then(|size| size.bytes_size());
            let access = match (instruction.operand(0), instruction.operand(1)) {
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
                    if memory.is_memory() && size == Some(4) =>
                {
                    Access::StoreImmediate {
                        value: imm.cast_unsigned(),
                    }
                }
                (memory, Operand::ImmediateU32 { imm })
                    if memory.is_memory() && size == Some(4) =>
                {
                    Access::StoreImmediate { value: imm }
                }
                _ => return None,
            };
            let start: $length = 0;
            Some((access, u64::from(start + instruction.len())))
        }
    };
}

decoder!(decode_16, real_mode, u32);
decoder!(decode_32, protected_mode, u32);
decoder!(decode_64, long_mode, u64);
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: [CodeSize; 3] = [CodeSize::Bits16, CodeSize::Bits32, CodeSize::Bits64];

    fn load(register: u8) -> Access {
        Access::Load { register }
    }

    fn store(register: u8) -> Access {
        Access::Store { register }
    }

    fn immediate(value: u32) -> Access {
        Access::StoreImmediate { value }
    }

    fn check(size: CodeSize, rows: &[(&[u8], Access)]) {
        for (code, access) in rows {
            // What follows the instruction does not matter.
            let mut bytes = [0xcc; 15];
            bytes[..code.len()].copy_from_slice(code);
            let expected = Some((*access, code.len() as u64));
            assert_eq!(decode(&bytes, size), expected, "{size:?} {code:x?}");
        }
    }

    #[test]
    fn moves_of_64_bit_code() {
        check(
            CodeSize::Bits64,
            &[
                (&[0x89, 0x08], store(1)),
                (&[0x8b, 0x87, 0x00, 0x03, 0x00, 0x00], load(0)),
                (&[0x44, 0x89, 0xb8, 0xb0, 0, 0, 0], store(15)),
                (
                    &[0xc7, 0x04, 0x25, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x03, 0, 0],
                    immediate(0x300),
                ),
                (&[0xc7, 0x00, 0xff, 0xff, 0xff, 0xff], immediate(u32::MAX)),
                // By address: 64 bits of it, or 32 with a prefix.
                (&[0xa1, 0x20, 0, 0xe0, 0xfe, 0, 0, 0, 0], load(0)),
                (&[0xa3, 0xb0, 0, 0xe0, 0xfe, 0, 0, 0, 0], store(0)),
                (&[0x67, 0xa1, 0x20, 0, 0xe0, 0xfe], load(0)),
                (&[0x67, 0x8b, 0x03], load(0)),
            ],
        );
    }

    #[test]
    fn moves_of_32_bit_code() {
        check(
            CodeSize::Bits32,
            &[
                (&[0x89, 0x08], store(1)),
                (&[0x8b, 0x3d, 0x20, 0x00, 0xe0, 0xfe], load(7)),
                (
                    &[0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x45, 0x0c, 0],
                    immediate(0xc_4500),
                ),
                (&[0xc7, 0x83, 0xb0, 0, 0, 0, 0, 0, 0, 0], immediate(0)),
                (&[0xa1, 0x20, 0, 0xe0, 0xfe], load(0)),
                (&[0xa3, 0xb0, 0, 0xe0, 0xfe], store(0)),
                (&[0x64, 0x8b, 0x15, 0x30, 0, 0, 0], load(2)),
                // Addresses of 16 bits.
                (&[0x67, 0x8b, 0x47, 0x20], load(0)),
                (&[0x67, 0xa1, 0x20, 0x00], load(0)),
            ],
        );
    }

    #[test]
    fn moves_of_16_bit_code() {
        check(
            CodeSize::Bits16,
            &[
                (&[0x66, 0x89, 0x07], store(0)),
                (&[0x66, 0x8b, 0x47, 0x20], load(0)),
                (&[0x66, 0x67, 0x89, 0x08], store(1)),
                (&[0x67, 0x66, 0x8b, 0x30], load(6)),
                (&[0x66, 0xa1, 0x20, 0x00], load(0)),
                (&[0x66, 0xa3, 0xb0, 0x00], store(0)),
                (&[0x66, 0x67, 0xa1, 0x20, 0, 0xe0, 0xfe], load(0)),
                (&[0x26, 0x66, 0x67, 0xa3, 0xb0, 0, 0xe0, 0xfe], store(0)),
                (&[0x66, 0xc7, 0x06, 0xb0, 0, 0, 0, 0, 0], immediate(0)),
                (
                    &[0x66, 0x67, 0xc7, 0x80, 0x00, 0x03, 0, 0, 0, 0x06, 0, 0],
                    immediate(0x600),
                ),
            ],
        );
    }

    #[test]
    fn nothing_else() {
        let none = |size, rows: &[&[u8]]| {
            for code in rows {
                assert_eq!(decode(code, size), None, "{size:?} {code:x?}");
            }
        };
        none(
            CodeSize::Bits64,
            &[
                &[0x48, 0x89, 0x08],             // 64 bits
                &[0x66, 0x89, 0x08],             // 16 bits
                &[0x88, 0x08],                   // 8 bits
                &[0x48, 0xc7, 0x00, 0, 0, 0, 0], // 64 bits, immediate
                &[0x66, 0xc7, 0x00, 0, 0],       // 16 bits, immediate
                &[0x48, 0xa1, 0x20, 0, 0xe0, 0xfe, 0, 0, 0, 0],
                &[0x89, 0xc8], // no memory
                &[0x01, 0x08], // ADD
                &[0xa5],       // MOVS
                &[0x0f, 0xff], // nothing
            ],
        );
        none(
            CodeSize::Bits32,
            &[
                &[0x66, 0xa1, 0x20, 0, 0xe0, 0xfe],
                &[0x66, 0x89, 0x08],
                &[0xa0, 0x20, 0, 0xe0, 0xfe],
                &[0x89, 0xc8],
                &[0x8c, 0x08], // a segment register
                &[0x0f, 0x20, 0xc0],
            ],
        );
        none(
            CodeSize::Bits16,
            &[
                &[0x89, 0x07],
                &[0xa1, 0x20, 0x00],
                &[0xa3, 0xb0, 0x00],
                &[0x67, 0xa1, 0x20, 0, 0xe0, 0xfe],
                &[0x66, 0x89, 0xc8],
                &[0x66, 0x67],
            ],
        );
        for size in SIZES {
            none(size, &[&[], &[0x66; 15], &[0xf0, 0x89, 0x08]]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_instruction_or_none(code: [u8; 15]) {
            for size in SIZES {
                if let Some((access, length)) = decode(&code, size) {
                    let length = usize::try_from(length).unwrap();
                    prop_assert!((2..=15).contains(&length));
                    let again = decode(&code[..length], size);
                    prop_assert_eq!(again, Some((access, length as u64)));
                    if let Access::Load { register } | Access::Store { register } = access {
                        let registers = match size {
                            CodeSize::Bits64 => 16,
                            CodeSize::Bits16 | CodeSize::Bits32 => 8,
                        };
                        prop_assert!(register < registers);
                    }
                }
            }
        }

        /// Random bytes are seldom a MOV; these begin like one.
        #[test]
        fn what_begins_like_a_move_is_one_instruction_or_none(
            prefixes in prop::collection::vec(
                prop::sample::select(&[0x66_u8, 0x67, 0x2e, 0x64, 0xf2, 0xf3, 0x41, 0x48][..]),
                0..5,
            ),
            opcode in prop::sample::select(&[0x88_u8, 0x89, 0x8a, 0x8b, 0xa1, 0xa3, 0xc7][..]),
            rest: [u8; 12],
        ) {
            let mut code = prefixes;
            code.push(opcode);
            code.extend(rest);
            code.truncate(15);
            for size in SIZES {
                let length = decode(&code, size).map_or(2, |(_, length)| length);
                prop_assert!((2..=15).contains(&length));
            }
        }
    }
}
