//! The x2APIC's command register is written behind fences only.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use rar_harness::elf::Function;

use super::instructions::calls;
use super::{NEXT_SENDER, SENDER};

/// The x2APIC's interrupt command register (SDM vol. 3, Local APIC Register Address Map;
/// documented).
const X2APIC_ICR: u64 = 0x830;

/// In a sender MFENCE and LFENCE stand immediately before each WRMSR.
pub(super) fn fences(sender: &str, instructions: &[Instruction]) -> Vec<String> {
    let mut found = 0;
    let mut violations = Vec::new();
    for (at, instruction) in instructions.iter().enumerate() {
        if instruction.mnemonic() != Mnemonic::Wrmsr {
            continue;
        }
        found += 1;
        let before: Vec<_> = instructions
            .iter()
            .take(at)
            .rev()
            .take(2)
            .map(Instruction::mnemonic)
            .collect();
        if before != [Mnemonic::Lfence, Mnemonic::Mfence] {
            violations.push(format!(
                "{sender}: wrmsr at {:#x} does not follow mfence and lfence immediately",
                instruction.ip()
            ));
        }
    }
    if found == 0 {
        violations.push(format!("{sender} holds no wrmsr"));
    }
    violations
}

/// No function except the sender writes the x2APIC's command register.
pub(super) fn unfenced_icr(
    function: &Function,
    instructions: &[Instruction],
    writes: usize,
    writer: Option<u64>,
) -> Option<String> {
    let loads = |register: Register| {
        instructions.iter().any(|instruction| {
            instruction.mnemonic() == Mnemonic::Mov
                && instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().full_register32() == register
                && matches!(
                    instruction.op1_kind(),
                    OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64
                )
                && instruction.immediate(1) == X2APIC_ICR
        })
    };
    let direct = writes > 0 && loads(Register::ECX);
    let through_writer = calls(instructions, writer) && loads(Register::EDI);
    (direct || through_writer).then(|| {
        format!(
            "`{}` writes MSR 0x830 without {SENDER} and its fences",
            function.name
        )
    })
}

/// Who sends without fences has to send with them first. The order is what unit tests of the
/// library check.
pub(super) fn without_fences(function: &str) -> String {
    format!("`{function}` calls {NEXT_SENDER} but never {SENDER}, which has the fences")
}
