//! Rules that a kernel's machine code must keep, since no compiler checks them.

use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use rar_harness::elf::Function;

/// The function that sends an interrupt through the x2APIC.
const SENDER: &str = "rar_regs_send_x2apic";

/// The function that sends further ones without fences, after the sender in the same send.
const NEXT_SENDER: &str = "rar_regs_send_x2apic_next";

/// The shim's own sender: it knows nothing of the libraries that are tested on it.
const SHIM_SENDER: &str = "rar_vrar_send_x2apic";

/// The function that writes any other MSR.
const WRITER: &str = "rar_regs_write_msr";

/// The x2APIC's interrupt command register (SDM vol. 3, Local APIC Register Address Map; documented).
const X2APIC_ICR: u64 = 0x830;

/// Symbols that may contain `wrmsr`, each with its reason.
const WRMSR_ALLOWED: [(&str, &str); 7] = [
    (SENDER, "the fenced sender"),
    (
        NEXT_SENDER,
        "the sender of what follows under the same fences",
    ),
    (SHIM_SENDER, "the fenced sender of the shim"),
    (WRITER, "the one plain writer of the libraries"),
    (
        "rar_vrar_write_msr",
        "the shim's own, for EFER.SVME and VM_HSAVE_PA",
    ),
    (
        "rar_kernel_probe_write_register",
        "tests of what a RAR unit refuses, which survive its #GP",
    ),
    (
        "to_long_mode",
        "EFER.LME, before the CPU can run 64-bit code",
    ),
];

/// The start of the name of every crate of this workspace, as symbols show it.
const OWN: &str = "rar_";

/// The crates whose functions run on the flush path, and with whatever the kernel has locked: they neither panic nor copy blocks.
const LIBRARIES: [&str; 4] = [
    "rar_regs::",
    "rar_payload::",
    "rar_percpu::",
    "rar_shootdown::",
];

/// The start of the names of functions that they do not call.
const NOT_CALLED: [&str; 6] = [
    "core::panicking::",
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
];

/// What the rules found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Broken rules.
    pub(crate) violations: Vec<String>,
    /// How many `wrmsr` instructions there are.
    pub(crate) wrmsr: usize,
    /// How many functions of this workspace there are.
    pub(crate) own: usize,
}

/// Checks all rules.
pub(crate) fn check(functions: &[Function]) -> Findings {
    let address_of = |name: &str| {
        let found = functions.iter().find(|function| function.name == name);
        found.map(|function| function.address)
    };
    let (writer, sender, next) = (
        address_of(WRITER),
        address_of(SENDER),
        address_of(NEXT_SENDER),
    );
    let not_called: Vec<_> = functions
        .iter()
        .filter(|function| {
            NOT_CALLED
                .iter()
                .any(|name| function.name.starts_with(name))
        })
        .collect();
    let mut findings = Findings::default();
    let mut senders = 0;
    for function in functions {
        let instructions = decode(function);
        let writes = count_wrmsr(function, &instructions);
        findings.wrmsr += writes;
        if writes > 0 && !WRMSR_ALLOWED.iter().any(|(name, _)| *name == function.name) {
            findings.violations.push(format!(
                "wrmsr in `{}`, which is not one of: {}",
                function.name,
                WRMSR_ALLOWED
                    .map(|(name, reason)| format!("{name} ({reason})"))
                    .join(", ")
            ));
        }
        if [SENDER, SHIM_SENDER].contains(&function.name.as_str()) {
            senders += usize::from(function.name == SENDER);
            findings
                .violations
                .extend(fences(&function.name, &instructions));
        } else if function.name != NEXT_SENDER {
            findings
                .violations
                .extend(unfenced_icr(function, &instructions, writes, writer));
            let follows = calls(&instructions, sender) || !calls(&instructions, next);
            findings
                .violations
                .extend((!follows).then(|| without_fences(&function.name)));
        }
        if is_of_library(&function.name) {
            let called = not_called
                .iter()
                .filter(|called| calls(&instructions, Some(called.address)));
            findings.violations.extend(called.map(|called| {
                format!(
                    "`{}` calls `{}`, which nothing on the flush path may",
                    function.name, called.name
                )
            }));
        }
        if is_own(&function.name) {
            findings.own += 1;
            findings
                .violations
                .extend(red_zone(function, &instructions));
        }
    }
    if senders != 1 {
        findings.violations.push(format!(
            "{senders} functions are named {SENDER}, so the fences cannot be checked"
        ));
    }
    if findings.own == 0 {
        let nothing = format!("no function starts with `{OWN}`, so the red zone cannot be checked");
        findings.violations.push(nothing);
    }
    findings
}

fn decode(function: &Function) -> Vec<Instruction> {
    Decoder::with_ip(64, &function.code, function.address, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

fn count_wrmsr(function: &Function, instructions: &[Instruction]) -> usize {
    if function.label {
        // Assembly may be 16- or 32-bit code, so its bytes are searched: a hit too many is seen, a miss would not be.
        return function
            .code
            .windows(2)
            .filter(|pair| *pair == [0x0F, 0x30])
            .count();
    }
    instructions
        .iter()
        .filter(|instruction| instruction.mnemonic() == Mnemonic::Wrmsr)
        .count()
}

/// In a sender MFENCE and LFENCE stand immediately before each WRMSR.
fn fences(sender: &str, instructions: &[Instruction]) -> Vec<String> {
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

/// Nobody but the sender writes the x2APIC's command register.
fn unfenced_icr(
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

/// Whether one of the instructions calls the function at this address, or jumps to it.
fn calls(instructions: &[Instruction], address: Option<u64>) -> bool {
    address.is_some()
        && instructions.iter().any(|instruction| {
            matches!(
                instruction.code(),
                Code::Call_rel32_64 | Code::Jmp_rel32_64 | Code::Jmp_rel8_64
            ) && Some(instruction.near_branch_target()) == address
        })
}

/// Who sends without fences has to send with them first. The order is what unit tests of the library check.
fn without_fences(function: &str) -> String {
    format!("`{function}` calls {NEXT_SENDER} but never {SENDER}, which has the fences")
}

fn is_own(name: &str) -> bool {
    begins_with(name, OWN)
}

fn is_of_library(name: &str) -> bool {
    LIBRARIES.iter().any(|library| begins_with(name, library))
}

fn begins_with(name: &str, path: &str) -> bool {
    // `<rar_x::T as core::Trait>::f` and `<&rar_x::T as ...>` are ours; `core::f::<rar_x::T>` may be prebuilt.
    name.trim_start_matches(['<', '&', '*']).starts_with(path)
}

/// No code of ours stores below its stack pointer: an interrupt on the same stack would overwrite it.
fn red_zone(function: &Function, instructions: &[Instruction]) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const FENCED: [u8; 13] = [
        0x0F, 0xAE, 0xF0, // mfence
        0x0F, 0xAE, 0xE8, // lfence
        0x0F, 0x30, // wrmsr
        0xC3, 0x90, 0x90, 0x90, 0x90, // ret, nops
    ];
    const LOAD_ICR: [u8; 5] = [0xB9, 0x30, 0x08, 0x00, 0x00]; // mov ecx, 0x830
    const WRMSR: [u8; 2] = [0x0F, 0x30];

    fn function(name: &str, address: u64, code: &[u8]) -> Function {
        Function {
            name: name.to_owned(),
            address,
            code: code.to_vec(),
            label: false,
        }
    }

    fn sound() -> Vec<Function> {
        vec![
            function(SENDER, 0x1000, &FENCED),
            function(WRITER, 0x1100, &[0x89, 0xF9, 0x0F, 0x30, 0xC3]), // mov ecx, edi; wrmsr; ret
            function(
                "rar_kernel::main",
                0x1200,
                &[0x48, 0x89, 0x44, 0x24, 0x08, 0xC3],
            ), // mov [rsp+8], rax; ret
        ]
    }

    #[track_caller]
    fn assert_violation(functions: &[Function], words: &str) {
        let findings = check(functions);
        assert!(
            findings.violations.iter().any(|text| text.contains(words)),
            "{:?}",
            findings.violations
        );
    }

    fn with(name: &str, code: &[u8]) -> Vec<Function> {
        let mut functions = sound();
        functions.push(function(name, 0x1300, code));
        functions
    }

    #[test]
    fn a_sound_kernel_passes() {
        let findings = check(&sound());
        assert!(findings.violations.is_empty(), "{:?}", findings.violations);
        assert_eq!((findings.wrmsr, findings.own), (2, 3));
    }

    #[test]
    fn wrmsr_elsewhere_is_found() {
        assert_violation(
            &with("rar_kernel::surprise", &WRMSR),
            "wrmsr in `rar_kernel::surprise`",
        );
        assert_violation(&with("core::surprise", &WRMSR), "wrmsr in `core::surprise`");
    }

    #[test]
    fn wrmsr_in_assembly_is_found_whatever_its_mode() {
        let mut functions = sound();
        // As 64-bit code the first byte starts an instruction that swallows the wrmsr.
        let code = vec![0xB8, 0x00, 0x0F, 0x30, 0x00];
        functions.push(Function {
            label: true,
            ..function("trampoline", 0x1300, &code)
        });
        assert_violation(&functions, "wrmsr in `trampoline`");
    }

    #[test]
    fn missing_or_distant_fences_are_found() {
        let no_lfence = [0x0F, 0xAE, 0xF0, 0x0F, 0x30];
        let swapped = [0x0F, 0xAE, 0xE8, 0x0F, 0xAE, 0xF0, 0x0F, 0x30];
        let distant = [0x0F, 0xAE, 0xF0, 0x0F, 0xAE, 0xE8, 0x90, 0x0F, 0x30];
        let twice = [&FENCED[..8], &WRMSR].concat();
        for code in [&no_lfence[..], &swapped, &distant, &twice, &WRMSR] {
            let mut functions = sound();
            functions[0].code = code.to_vec();
            assert_violation(&functions, "does not follow mfence and lfence");
            let shim = with(SHIM_SENDER, code);
            assert_violation(&shim, "rar_vrar_send_x2apic: wrmsr at");
        }
        let mut functions = sound();
        functions[0].code = vec![0xC3];
        assert_violation(&functions, "holds no wrmsr");
        assert_violation(&sound()[1..], "0 functions are named");
    }

    #[test]
    fn another_writer_of_the_command_register_is_found() {
        let direct = [&LOAD_ICR[..], &FENCED].concat();
        assert_violation(&with("to_long_mode", &direct), "writes MSR 0x830");
        let through = [
            0xBF, 0x30, 0x08, 0x00, 0x00, // mov edi, 0x830
            0xE8, 0xF6, 0xFD, 0xFF, 0xFF, // call 0x1100
        ];
        assert_violation(
            &with("rar_kernel::apic", &through),
            "`rar_kernel::apic` writes MSR 0x830",
        );
    }

    #[test]
    fn a_send_without_any_fence_is_found() {
        let next = [&LOAD_ICR[..], &WRMSR, &[0xC3]].concat();
        let call = |target: i32, from: i32| {
            let relative = target - (from + 5);
            [&[0xE8][..], &relative.to_le_bytes()].concat()
        };
        let mut functions = sound();
        functions.push(function(NEXT_SENDER, 0x1400, &next));
        let both = [call(0x1000, 0x1300), call(0x1400, 0x1305)].concat();
        functions.push(function("rar_regs::send", 0x1300, &both));
        let findings = check(&functions);
        assert!(findings.violations.is_empty(), "{:?}", findings.violations);
        functions.pop();
        functions.push(function("rar_regs::send", 0x1300, &call(0x1400, 0x1300)));
        assert_violation(
            &functions,
            "`rar_regs::send` calls rar_regs_send_x2apic_next but never",
        );
    }

    #[test]
    fn a_store_into_the_red_zone_is_found() {
        let store = [0x48, 0x89, 0x44, 0x24, 0xF8]; // mov [rsp-8], rax
        let xmm = [0x0F, 0x29, 0x44, 0x24, 0xE8]; // movaps [rsp-0x18], xmm0
        for name in [
            "rar_kernel::leaf",
            "<rar_kernel::T as core::fmt::Debug>::fmt",
            "<&rar_suite::T as X>::f",
        ] {
            assert_violation(&with(name, &store), "red zone");
            assert_violation(&with(name, &xmm), "red zone");
        }
        // The prebuilt core uses it, which the interrupt stacks allow for.
        assert!(
            check(&with("core::fmt::write", &store))
                .violations
                .is_empty()
        );
    }

    #[test]
    fn pushes_calls_and_addresses_are_no_stores_below_the_stack() {
        let code = [
            0x50, // push rax
            0xFF, 0x54, 0x24, 0xF8, // call [rsp-8]
            0x48, 0x8D, 0x64, 0x24, 0xF8, // lea rsp, [rsp-8]
            0x48, 0x8B, 0x44, 0x24, 0xF8, // mov rax, [rsp-8]
        ];
        assert!(
            check(&with("rar_kernel::leaf", &code))
                .violations
                .is_empty()
        );
    }

    #[test]
    fn a_library_that_panics_or_copies_is_found() {
        let call = [0xE8, 0xFB, 0x00, 0x00, 0x00, 0xC3]; // at 0x1300: call 0x1400; ret
        for (callee, is_found) in [
            ("core::panicking::panic_bounds_check", true),
            ("memcpy", true),
            ("memcmp", true),
            ("core::fmt::write", false),
        ] {
            for (caller, is_library) in [
                ("rar_shootdown::pending::Pending<M,_>::poll", true),
                (
                    "<rar_percpu::cpu_set::Members as core::iter::Iterator>::next",
                    true,
                ),
                ("rar_suite::tests::storm", false),
            ] {
                let mut functions = with(caller, &call);
                functions.push(function(callee, 0x1400, &[0xC3]));
                let found = check(&functions).violations;
                assert_eq!(!found.is_empty(), is_found && is_library, "{found:?}");
            }
        }
    }

    #[test]
    fn a_kernel_without_our_code_proves_nothing() {
        assert_violation(&[], "so the red zone cannot be checked");
    }
}
