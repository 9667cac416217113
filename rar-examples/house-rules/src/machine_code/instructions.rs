//! What single instructions do.

use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use rar_harness::elf::Function;

pub(super) fn decode(function: &Function) -> Vec<Instruction> {
    Decoder::with_ip(64, &function.code, function.address, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

/// Whether one of the instructions calls the function at this address, or jumps to it.
pub(super) fn calls(instructions: &[Instruction], address: Option<u64>) -> bool {
    address.is_some()
        && instructions.iter().any(|instruction| {
            matches!(
                instruction.code(),
                Code::Call_rel32_64 | Code::Jmp_rel32_64 | Code::Jmp_rel8_64
            ) && Some(instruction.near_branch_target()) == address
        })
}

/// No code of ours stores below its stack pointer: an interrupt on the same stack would overwrite
/// it.
pub(super) fn red_zone(function: &Function, instructions: &[Instruction]) -> Option<String> {
    let mut factory = InstructionInfoFactory::new();
    let store = instructions.iter().find(|instruction| {
        let below = instruction.memory_base() == Register::RSP
            && instruction.memory_index() == Register::None
            && instruction.memory_displacement64().cast_signed() < 0;
        // PUSH, CALL and their like move the stack pointer before they store.
        if !below || instruction.is_stack_instruction() {
            return false;
        }
        let info = factory.info(instruction);
        (0..instruction.op_count()).any(|operand| {
            instruction.op_kind(operand) == OpKind::Memory
                && matches!(
                    info.op_access(operand),
                    OpAccess::Write
                        | OpAccess::CondWrite
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                )
        })
    })?;
    Some(format!(
        "`{}` stores into the red zone at {:#x} ({store}); build with -C no-redzone=yes",
        function.name,
        store.ip()
    ))
}

pub(super) fn count_wrmsr(function: &Function, instructions: &[Instruction]) -> usize {
    if function.label {
        // Assembly may be 16- or 32-bit code, so its bytes are searched: a hit too many is seen, a
        // miss would not be.
        return function
            .code
            .windows(2)
            .filter(|pair| *pair == [0x0f, 0x30])
            .count();
    }
    instructions
        .iter()
        .filter(|instruction| instruction.mnemonic() == Mnemonic::Wrmsr)
        .count()
}
