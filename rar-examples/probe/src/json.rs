//! The answer for programs.

use serde::Serialize;

use crate::cpu_facts::{CpuFacts, Rar};
use crate::hypervisor::{Hypervisor, Unit};
use crate::registers::InUse;
use crate::{Answer, Verdict};

/// Which fields there are and what they mean. A new field does not change it.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Json {
    schema_version: u32,
    verdict: Verdict,
    exit_code: u8,
    sentence: String,
    /// Why no CPU was asked.
    obstacle: Option<String>,
    hypervisor: Option<Below>,
    /// CPUs that are there and were not asked.
    offline: Vec<u32>,
    cpus: Vec<Cpu>,
}

#[derive(Serialize)]
struct Below {
    present: bool,
    name: Option<String>,
    /// Whether RAR comes from the shim `rar-vrar`.
    rar_vrar: bool,
}

#[derive(Serialize)]
struct Cpu {
    cpu: u32,
    vendor: Option<String>,
    family: Option<u16>,
    model: Option<u8>,
    stepping: Option<u8>,
    listed: Option<&'static str>,
    microcode: Option<String>,
    rar: &'static str,
    why: Option<String>,
    info: Option<String>,
    entries: Option<u8>,
    /// `null` also if the CPU lists no types: then nothing is known of them.
    types: Option<Vec<u32>>,
    physical_address_bits: Option<u8>,
    control: Option<String>,
    action_vector_base: Option<String>,
    payload_table_base: Option<String>,
    enabled: Option<bool>,
}

/// Returns the answer as JSON.
///
/// # Errors
///
/// None is known: all values are numbers, texts and lists.
pub fn json(answer: &Answer) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&Json {
        schema_version: SCHEMA_VERSION,
        verdict: answer.verdict,
        exit_code: answer.verdict.exit_code(),
        sentence: answer.sentence(),
        obstacle: answer.obstacle.as_ref().map(ToString::to_string),
        hypervisor: answer.hypervisor.as_ref().map(below),
        offline: answer.offline.iter().map(|cpu| cpu.0).collect(),
        cpus: answer.cpus.iter().map(cpu).collect(),
    })
}

fn below(hypervisor: &Hypervisor) -> Below {
    Below {
        present: hypervisor.name.is_some(),
        name: hypervisor.name.clone(),
        rar_vrar: hypervisor.unit == Unit::Shim,
    }
}

fn cpu(facts: &CpuFacts) -> Cpu {
    let signature = facts.signature;
    let info = facts.rar.support().map(|support| support.info());
    let registers = facts.rar.registers();
    let types = |mask: u32| (0..32).filter(|bit| mask >> bit & 1 == 1).collect();
    Cpu {
        cpu: facts.number.0,
        vendor: signature.map(|signature| signature.vendor.to_string()),
        family: signature.map(|signature| signature.family),
        model: signature.map(|signature| signature.model),
        stepping: signature.map(|signature| signature.stepping),
        listed: signature.and_then(|signature| Some(signature.listed()?.name)),
        microcode: facts.microcode.map(hex),
        rar: match facts.rar {
            Rar::Present { .. } => "present",
            Rar::Differs { .. } => "differs",
            Rar::Absent(_) => "absent",
            Rar::Refused(_) | Rar::Blank => "refused",
            Rar::Unknown(_) => "unknown",
        },
        why: facts.rar.why(),
        info: info.map(|info| hex(info.bits())),
        entries: info.map(|info| info.entries()),
        types: info
            .map(|info| info.payload_types())
            .filter(|mask| *mask != 0)
            .map(types),
        physical_address_bits: facts
            .rar
            .support()
            .map(|support| support.physical_address_width().bits()),
        control: registers.and_then(|own| own.control.value()).map(hex),
        action_vector_base: registers
            .and_then(|own| own.action_vector_base.value())
            .map(hex),
        payload_table_base: registers
            .and_then(|own| own.payload_table_base.value())
            .map(hex),
        enabled: registers.and_then(|own| match own.in_use() {
            InUse::Yes(_) => Some(true),
            InUse::No => Some(false),
            InUse::Unknown => None,
        }),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}
