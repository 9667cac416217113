//! The answer for people.

use std::fmt::Write as _;

use rar_regs::{CpuSignature, InterruptPolicy, RarInfo};

use crate::cpu_facts::CpuFacts;
use crate::cpu_ranges;
use crate::hypervisor::{Hypervisor, Unit};
use crate::registers::{InUse, Reading, Registers};
use crate::{Answer, CpuNumber};

/// Returns the answer as lines: the sentence, then what it rests on.
#[must_use]
pub fn text(answer: &Answer) -> String {
    let mut rows = Vec::new();
    if let Some(obstacle) = &answer.obstacle {
        rows.push(("why", obstacle.to_string()));
    }
    rows.extend(reasons(&answer.cpus));
    if let Some(first) = answer.first() {
        rows.extend(facts(first));
    }
    rows.extend(microcode(&answer.cpus));
    rows.extend(answer.hypervisor.as_ref().map(below));
    rows.extend(in_use(&answer.cpus));
    rows.extend(not_asked(&answer.offline));
    let mut text = format!("{}\n", answer.sentence());
    for (name, value) in rows {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {name:<12}{value}");
    }
    text
}

/// Returns each reason once, with the CPUs that have it.
fn reasons(cpus: &[CpuFacts]) -> Vec<(&'static str, String)> {
    let reasons = groups(cpus, |cpu| cpu.rar.why());
    let rows = reasons.into_iter().filter_map(|(why, members)| {
        let why = why?;
        Some(match members.len() == cpus.len() {
            true => ("why", why),
            false => (
                "why",
                format!("CPU {}: {why}", cpu_ranges::render(&members)),
            ),
        })
    });
    rows.collect()
}

fn facts(cpu: &CpuFacts) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(support) = cpu.rar.support() {
        let entries = support.entries();
        let info = support.info();
        rows.push(("table", format!("{entries} entries")));
        rows.push(("types", format!("{} ({:#x})", types(info), info.bits())));
        let bits = support.physical_address_width().bits();
        rows.push(("addresses", format!("{bits} bits")));
    }
    if let Some(signature) = cpu.signature {
        rows.push(("model", model(signature)));
    }
    rows
}

fn types(info: RarInfo) -> String {
    let mask = info.payload_types();
    let listed = (0..32).filter(|bit| mask >> bit & 1 == 1);
    let listed: Vec<_> = listed.map(|bit: u32| bit.to_string()).collect();
    match listed.is_empty() {
        true => "not listed by the CPU".to_owned(),
        false => listed.join(", "),
    }
}

fn model(signature: CpuSignature) -> String {
    match signature.listed() {
        Some(listed) => format!("{signature}: {}, listed", listed.name),
        None => format!("{signature}: not listed as having RAR"),
    }
}

fn microcode(cpus: &[CpuFacts]) -> Option<(&'static str, String)> {
    let parts = groups(cpus, |cpu| cpu.microcode);
    let parts: Vec<_> = parts
        .into_iter()
        .map(|(revision, members)| {
            let revision =
                revision.map_or("not shown".to_owned(), |revision| format!("{revision:#x}"));
            match members.len() == cpus.len() {
                true => revision,
                false => format!("{revision} on CPU {}", cpu_ranges::render(&members)),
            }
        })
        .collect();
    (!parts.is_empty()).then(|| ("microcode", parts.join("; ")))
}

fn below(hypervisor: &Hypervisor) -> (&'static str, String) {
    let name = hypervisor.name.as_deref().unwrap_or("none shown");
    let text = match hypervisor.unit {
        Unit::Shim => format!("{name}; RAR by the shim rar-vrar, in software"),
        Unit::Machine => name.to_owned(),
    };
    ("hypervisor", text)
}

fn not_asked(offline: &[CpuNumber]) -> Option<(&'static str, String)> {
    let cpus = cpu_ranges::render(offline);
    (!offline.is_empty()).then(|| {
        (
            "not asked",
            format!("CPU {cpus}: offline; bring it online and run the probe again"),
        )
    })
}

/// Returns whether somebody uses RAR, and then the registers of each CPU.
fn in_use(cpus: &[CpuFacts]) -> Vec<(&'static str, String)> {
    let registers = |cpu: &CpuFacts| Some((cpu.number, *cpu.rar.registers()?));
    let known: Vec<_> = cpus.iter().filter_map(registers).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let enabled = known
        .iter()
        .filter(|(_, own)| matches!(own.in_use(), InUse::Yes(_)));
    let enabled: Vec<_> = enabled.map(|(number, _)| *number).collect();
    let mut rows = vec![(
        "in use",
        match enabled.as_slice() {
            [] => "no, RAR is off".to_owned(),
            on => format!("yes, on CPU {}", cpu_ranges::render(on)),
        },
    )];
    let untouched = |own: &Registers| *own == UNTOUCHED;
    let touched = known.iter().filter(|(_, own)| !untouched(own));
    rows.extend(touched.map(|(number, own)| ("", registers_of(*number, own))));
    rows
}

/// The registers as reset leaves them.
const UNTOUCHED: Registers = Registers {
    control: Reading::Value(0),
    action_vector_base: Reading::Value(0),
    payload_table_base: Reading::Value(0),
};

fn registers_of(number: CpuNumber, own: &Registers) -> String {
    let state = match own.in_use() {
        InUse::Yes(InterruptPolicy::IgnoreIf) => "on, ignores IF",
        InUse::Yes(InterruptPolicy::RespectIf) => "on, respects IF",
        InUse::No => "off",
        InUse::Unknown => "unknown",
    };
    format!(
        "CPU {number}: {state}; control {}, action vector {}, payload table {}",
        shown(own.control),
        shown(own.action_vector_base),
        shown(own.payload_table_base)
    )
}

fn shown(reading: Reading) -> String {
    match reading {
        Reading::Value(value) => format!("{value:#x}"),
        Reading::Reserved { value, reserved } => {
            format!("{value:#x} (reserved bits {reserved:#x})")
        }
        Reading::Failed => "not readable".to_owned(),
    }
}

/// Returns the CPUs by what `key` says of them, in the order of the first of each group.
fn groups<K: PartialEq>(
    cpus: &[CpuFacts],
    key: impl Fn(&CpuFacts) -> K,
) -> Vec<(K, Vec<CpuNumber>)> {
    let mut groups: Vec<(K, Vec<CpuNumber>)> = Vec::new();
    for cpu in cpus {
        let this = key(cpu);
        match groups.iter_mut().find(|(other, _)| *other == this) {
            Some((_, members)) => members.push(cpu.number),
            None => groups.push((this, vec![cpu.number])),
        }
    }
    groups
}
