//! Rules that a kernel's machine code must keep, since no compiler checks them.

mod instructions;
mod sender;
#[cfg(test)]
mod tests;

use rar_harness::elf::Function;

use self::instructions::{calls, count_wrmsr, decode, red_zone};
use self::sender::{fences, unfenced_icr, without_fences};

/// The function that sends an interrupt through the x2APIC.
const SENDER: &str = "rar_regs_send_x2apic";

/// The function that sends further ones without fences, after the sender in the same send.
const NEXT_SENDER: &str = "rar_regs_send_x2apic_next";

/// The shim's own sender: it knows nothing of the libraries that are tested on it.
const SHIM_SENDER: &str = "rar_vrar_send_x2apic";

/// The function that writes any other MSR.
const WRITER: &str = "rar_regs_write_msr";

/// Symbols that may contain `wrmsr`, each with its reason.
const WRMSR_ALLOWED: [(&str, &str); 8] = [
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
    (
        "rar_lab_narrow_access",
        "EFER.LME, out of 64-bit mode and back, in a test of the shim",
    ),
];

/// The start of the name of every crate of this workspace, as symbols show it.
const OWN: &str = "rar_";

/// The crates whose functions run on the flush path, and with whatever the kernel has locked: they
/// neither panic nor copy blocks.
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
pub struct KernelFindings {
    /// Broken rules.
    pub violations: Vec<String>,
    /// How many `wrmsr` instructions there are.
    pub wrmsr: usize,
    /// How many functions of this workspace there are.
    pub own: usize,
}

/// Checks all rules.
pub fn check(functions: &[Function]) -> KernelFindings {
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
    let mut findings = KernelFindings::default();
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

fn is_own(name: &str) -> bool {
    begins_with(name, OWN)
}

fn is_of_library(name: &str) -> bool {
    LIBRARIES.iter().any(|library| begins_with(name, library))
}

fn begins_with(name: &str, path: &str) -> bool {
    // `<rar_x::T as core::Trait>::f` and `<&rar_x::T as ...>` are ours; `core::f::<rar_x::T>` may
    // be prebuilt.
    name.trim_start_matches(['<', '&', '*']).starts_with(path)
}
