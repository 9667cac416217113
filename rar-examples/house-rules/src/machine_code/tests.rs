use super::*;

const FENCED: [u8; 13] = [
    0x0f, 0xae, 0xf0, // mfence
    0x0f, 0xae, 0xe8, // lfence
    0x0f, 0x30, // wrmsr
    0xc3, 0x90, 0x90, 0x90, 0x90, // ret, nops
];
const LOAD_ICR: [u8; 5] = [0xb9, 0x30, 0x08, 0x00, 0x00]; // mov ecx, 0x830
const WRMSR: [u8; 2] = [0x0f, 0x30];

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
        function(WRITER, 0x1100, &[0x89, 0xf9, 0x0f, 0x30, 0xc3]), // mov ecx, edi; wrmsr; ret
        function(
            "rar_kernel::main",
            0x1200,
            &[0x48, 0x89, 0x44, 0x24, 0x08, 0xc3],
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
    let code = vec![0xb8, 0x00, 0x0f, 0x30, 0x00];
    functions.push(Function {
        label: true,
        ..function("trampoline", 0x1300, &code)
    });
    assert_violation(&functions, "wrmsr in `trampoline`");
}

#[test]
fn missing_or_distant_fences_are_found() {
    let no_lfence = [0x0f, 0xae, 0xf0, 0x0f, 0x30];
    let swapped = [0x0f, 0xae, 0xe8, 0x0f, 0xae, 0xf0, 0x0f, 0x30];
    let distant = [0x0f, 0xae, 0xf0, 0x0f, 0xae, 0xe8, 0x90, 0x0f, 0x30];
    let twice = [&FENCED[..8], &WRMSR].concat();
    for code in [&no_lfence[..], &swapped, &distant, &twice, &WRMSR] {
        let mut functions = sound();
        functions[0].code = code.to_vec();
        assert_violation(&functions, "does not follow mfence and lfence");
        let shim = with(SHIM_SENDER, code);
        assert_violation(&shim, "rar_vrar_send_x2apic: wrmsr at");
    }
    let mut functions = sound();
    functions[0].code = vec![0xc3];
    assert_violation(&functions, "holds no wrmsr");
    assert_violation(&sound()[1..], "0 functions are named");
}

#[test]
fn another_writer_of_the_command_register_is_found() {
    let direct = [&LOAD_ICR[..], &FENCED].concat();
    assert_violation(&with("to_long_mode", &direct), "writes MSR 0x830");
    let through = [
        0xbf, 0x30, 0x08, 0x00, 0x00, // mov edi, 0x830
        0xe8, 0xf6, 0xfd, 0xff, 0xff, // call 0x1100
    ];
    assert_violation(
        &with("rar_kernel::apic", &through),
        "`rar_kernel::apic` writes MSR 0x830",
    );
}

#[test]
fn a_send_without_any_fence_is_found() {
    let next = [&LOAD_ICR[..], &WRMSR, &[0xc3]].concat();
    let call = |target: i32, from: i32| {
        let relative = target - (from + 5);
        [&[0xe8][..], &relative.to_le_bytes()].concat()
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
    let store = [0x48, 0x89, 0x44, 0x24, 0xf8]; // mov [rsp-8], rax
    let xmm = [0x0f, 0x29, 0x44, 0x24, 0xe8]; // movaps [rsp-0x18], xmm0
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
        0xff, 0x54, 0x24, 0xf8, // call [rsp-8]
        0x48, 0x8d, 0x64, 0x24, 0xf8, // lea rsp, [rsp-8]
        0x48, 0x8b, 0x44, 0x24, 0xf8, // mov rax, [rsp-8]
    ];
    assert!(
        check(&with("rar_kernel::leaf", &code))
            .violations
            .is_empty()
    );
}

#[test]
fn a_library_that_panics_or_copies_is_found() {
    let call = [0xe8, 0xfb, 0x00, 0x00, 0x00, 0xc3]; // at 0x1300: call 0x1400; ret
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
            functions.push(function(callee, 0x1400, &[0xc3]));
            let found = check(&functions).violations;
            assert_eq!(!found.is_empty(), is_found && is_library, "{found:?}");
        }
    }
}

#[test]
fn a_kernel_without_our_code_proves_nothing() {
    assert_violation(&[], "so the red zone cannot be checked");
}
