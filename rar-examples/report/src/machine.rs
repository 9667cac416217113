//! What the machine is.

use serde::{Deserialize, Serialize};

/// The machine that a report is about, and how it was booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine<'a> {
    /// The vendor of CPUID leaf 0, for example `GenuineIntel`.
    pub vendor: &'a str,
    /// The brand string of CPUID leaves 0x8000_0002 to 0x8000_0004; empty without such leaves.
    pub brand: &'a str,
    /// The family, the extended one added.
    pub family: u32,
    /// The model, the extended one included.
    pub model: u32,
    /// The stepping.
    pub stepping: u32,
    /// The revision of the microcode, if it can be read.
    pub microcode: Option<u32>,
    /// How many usable CPUs the firmware lists.
    pub cpus_found: u32,
    /// How many of them came online; those that did not are events.
    pub cpus_online: u32,
    /// How the local APICs are driven.
    pub apic: ApicMode,
    /// The greatest APIC id that the firmware lists.
    pub max_apic_id: u32,
    /// Ticks of the time stamp counter in a second; 0 if unknown.
    pub tsc_hz: u64,
    /// How that is known.
    pub tsc_source: TscSource,
    /// Bytes of usable memory.
    pub memory: u64,
    /// What started the boot loader.
    pub firmware: Firmware,
    /// The name that the boot loader gives itself; empty if it gives none.
    pub loader: &'a str,
    /// The hypervisor's signature, empty if it has none; `None` if CPUID names no hypervisor.
    pub hypervisor: Option<&'a str>,
    /// The command line as it was given.
    pub options: &'a str,
}

/// How the local APICs are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApicMode {
    /// No local APIC, or it was not found.
    #[default]
    None,
    /// By a page of registers.
    Xapic,
    /// By model-specific registers, as this run chose.
    X2apic,
    /// By model-specific registers, as the firmware left it.
    X2apicByFirmware,
}

/// How the rate of the time stamp counter is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TscSource {
    /// It is not.
    #[default]
    Unknown,
    /// CPUID leaf 0x15.
    CpuidCrystal,
    /// CPUID leaf 0x16.
    CpuidBase,
    /// A leaf of the hypervisor.
    Hypervisor,
    /// Compared with the PIT.
    Pit,
    /// Compared with the ACPI timer.
    AcpiTimer,
    /// Compared with the HPET.
    Hpet,
}

/// What started the boot loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// The boot loader does not say.
    #[default]
    Unknown,
    /// A BIOS.
    Bios,
    /// UEFI.
    Uefi,
}
