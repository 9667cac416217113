//! What the machine is, as it was before any shim: for a report.

use core::arch::x86_64::__cpuid;
use core::fmt;

use rar_regs::{CpuSignature, NativeCpu, Vendor};
use x86::cpuid::CpuId;

use super::cpu::control::Control;
use super::cpu::msr::read_msr;
use super::cpu::probe;
use crate::cpu_model::{invlpg_erratum, keeps_globals, model_name, revision};
use crate::{Clock, HardwareFacts, LOCAL_APIC_DEFAULT, MemoryKind, MemoryMap};

/// IA32_BIOS_SIGN_ID, which AMD calls PATCH_LEVEL.
const MICROCODE: u32 = 0x8b;

/// The address in IA32_APIC_BASE: bits 51:12.
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Whether the kernel uses PCIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pcids {
    /// They are on.
    On,
    /// The processor has none.
    Absent,
    /// They are off, since with them INVLPG of this part and microcode may keep global
    /// translations.
    Erratum,
}

/// The mode in which firmware left the local APIC of the boot CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareApic {
    /// Off.
    Disabled,
    /// By a page of registers.
    Xapic,
    /// By model-specific registers, which cannot be left.
    X2apic,
}

/// What the machine is. Every number is the boot CPU's.
#[derive(Clone, Copy, Debug)]
pub struct MachineInfo {
    /// Vendor, family, model, stepping.
    pub signature: CpuSignature,
    /// CPUID's own name of the processor, padded with zeroes.
    pub brand: [u8; 48],
    /// The microcode revision, where the processor has one.
    pub microcode: Option<u32>,
    /// A hypervisor says that it is there.
    pub hypervisor: bool,
    /// MAXPHYADDR.
    pub physical_address_bits: u8,
    /// Width of linear addresses: 57 where five levels of paging could be had. The kernel uses
    /// four.
    pub linear_address_bits: u8,
    /// The time stamp counter runs at one rate whatever the CPU does.
    pub invariant_tsc: bool,
    /// The rate of the time stamp counter and how it was learnt.
    pub clock: Clock,
    /// Whether the kernel uses PCIDs.
    pub pcids: Pcids,
    /// Whether INVPCID is there.
    pub invpcid: bool,
    /// No-execute, SMEP and SMAP, each on where it is offered.
    pub protection: [bool; 3],
    /// How firmware left the APIC.
    pub firmware_apic: FirmwareApic,
    /// Bytes of RAM that the boot loader's map calls usable.
    pub usable_ram: u64,
}

/// What must be known before control registers are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Early {
    signature: CpuSignature,
    microcode: Option<u32>,
    firmware_apic: FirmwareApic,
    local_apic: u64,
    pcids: Pcids,
}

impl Early {
    /// Asks the CPU; the traps of this one work already, since registers may fault.
    pub(crate) fn read() -> Self {
        // SAFETY: ring 0.
        let cpu = unsafe { NativeCpu::new() };
        let signature = CpuSignature::detect(&cpu);
        let microcode = microcode(signature.vendor);
        let intel = signature.vendor == Vendor::INTEL;
        let pcids = if !Control::offers_pcid() {
            Pcids::Absent
        } else if intel && keeps_globals(signature.family, signature.model, microcode) {
            Pcids::Erratum
        } else {
            Pcids::On
        };
        // SAFETY: the register exists on every CPU with a local APIC, and every 64-bit CPU has one.
        let base = unsafe { read_msr(x86::msr::IA32_APIC_BASE) };
        let firmware_apic = match base >> 10 & 0b11 {
            0b11 => FirmwareApic::X2apic,
            0b10 => FirmwareApic::Xapic,
            _ => FirmwareApic::Disabled,
        };
        Self {
            signature,
            microcode,
            firmware_apic,
            local_apic: match base & BASE_ADDRESS {
                // Without a local APIC.
                0 => LOCAL_APIC_DEFAULT,
                address => address,
            },
            pcids,
        }
    }

    /// Returns the physical address of the local APIC's registers: what the CPU itself says.
    pub(crate) fn local_apic(&self) -> u64 {
        self.local_apic
    }

    /// Returns what hardware says beside the tables of the firmware.
    pub(crate) fn hardware(&self) -> HardwareFacts {
        let cpuid = CpuId::new();
        let features = cpuid.get_feature_info();
        let old = features
            .as_ref()
            .map_or(0, |features| u32::from(features.initial_local_apic_id()));
        let together = features
            .filter(|features| features.has_htt())
            .map_or(1, |features| {
                usize::from(features.max_logical_processor_ids())
            });
        let levels = || {
            cpuid
                .get_extended_topology_info()
                .into_iter()
                .flatten()
                .filter(|level| level.processors() > 0)
        };
        HardwareFacts {
            local_apic: self.local_apic,
            boot_id: levels().next().map_or(old, |level| level.x2apic_id()),
            package_cpus: levels()
                .map(|level| usize::from(level.processors()))
                .max()
                .unwrap_or(together),
        }
    }

    /// Returns whether PCIDs are to be turned on.
    pub(crate) fn wants_pcids(&self) -> bool {
        self.pcids == Pcids::On
    }

    /// Returns all that is known.
    pub(crate) fn complete(&self, bare: &Bare, clock: Clock, map: &MemoryMap) -> MachineInfo {
        let usable = map
            .regions()
            .iter()
            .filter(|region| region.kind == MemoryKind::Usable);
        MachineInfo {
            signature: self.signature,
            brand: bare.brand,
            microcode: self.microcode,
            hypervisor: bare.hypervisor,
            physical_address_bits: bare.physical_address_bits,
            linear_address_bits: bare.linear_address_bits,
            invariant_tsc: bare.invariant_tsc,
            clock,
            pcids: self.pcids,
            invpcid: bare.invpcid,
            protection: bare.protection,
            firmware_apic: self.firmware_apic,
            usable_ram: usable.map(|region| region.end - region.start).sum(),
        }
    }
}

/// Reads the revision where the vendor is one that has the register. CPUID leaf 1 has the processor
/// put it there.
fn microcode(vendor: Vendor) -> Option<u32> {
    let intel = vendor == Vendor::INTEL;
    if !intel && vendor != Vendor::new(*b"AuthenticAMD") {
        return None;
    }
    __cpuid(1);
    // SAFETY: reading the register has no side effect.
    let register = unsafe { probe::read_register(MICROCODE) }?;
    revision(intel, register)
}

/// What CPUID says on the bare machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    brand: [u8; 48],
    hypervisor: bool,
    physical_address_bits: u8,
    linear_address_bits: u8,
    invariant_tsc: bool,
    invpcid: bool,
    protection: [bool; 3],
}

impl Bare {
    pub(crate) fn read(control: Control) -> Self {
        let cpuid = CpuId::new();
        let widths = cpuid.get_processor_capacity_feature_info();
        let [physical_address_bits, linear_address_bits] = widths.map_or([36, 48], |widths| {
            [widths.physical_address_bits(), widths.linear_address_bits()]
        });
        Self {
            brand: brand(&cpuid),
            hypervisor: cpuid
                .get_feature_info()
                .is_some_and(|features| features.has_hypervisor()),
            physical_address_bits,
            linear_address_bits,
            invariant_tsc: cpuid
                .get_advanced_power_mgmt_info()
                .is_some_and(|features| features.has_invariant_tsc()),
            invpcid: cpuid
                .get_extended_feature_info()
                .is_some_and(|features| features.has_invpcid()),
            protection: [control.no_execute, control.smep, control.smap],
        }
    }
}

fn brand(cpuid: &CpuId) -> [u8; 48] {
    let mut brand = [0; 48];
    if let Some(text) = cpuid.get_processor_brand_string() {
        for (place, byte) in brand.iter_mut().zip(text.as_str().bytes()) {
            *place = byte;
        }
    }
    brand
}

impl MachineInfo {
    /// Returns CPUID's own name of the processor; empty where it has none.
    #[must_use]
    pub fn brand(&self) -> &str {
        let text = core::str::from_utf8(&self.brand).unwrap_or_default();
        text.trim_matches(['\0', ' '])
    }

    /// Returns the name of a part that may have RAR.
    #[must_use]
    pub fn part(&self) -> Option<&'static str> {
        let intel = self.signature.vendor == Vendor::INTEL;
        let CpuSignature { family, model, .. } = self.signature;
        model_name(family, model).filter(|_| intel)
    }
}

impl fmt::Display for MachineInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuSignature {
            vendor,
            family,
            model,
            stepping,
        } = self.signature;
        write!(
            f,
            "{vendor} family {family} model {model:#x} stepping {stepping}"
        )?;
        if let Some(part) = self.part() {
            write!(f, " ({part})")?;
        }
        match self.microcode {
            Some(revision) => write!(f, ", microcode {revision:#x}")?,
            None => f.write_str(", microcode unknown")?,
        }
        if self.hypervisor {
            f.write_str(", under a hypervisor")?;
        }
        match (self.pcids, invlpg_erratum(family, model)) {
            (Pcids::On, _) => f.write_str("; PCIDs on")?,
            (Pcids::Absent, _) => f.write_str("; PCIDs absent")?,
            (Pcids::Erratum, row) => {
                f.write_str("; PCIDs off, since with them INVLPG may keep global pages")?;
                if let Some(row) = row {
                    write!(f, " before microcode {:#x} ({})", row.mended, row.source)?;
                }
            }
        }
        write!(
            f,
            "; {} MiB of RAM; firmware left the APIC in mode {:?}",
            self.usable_ram >> 20,
            self.firmware_apic
        )
    }
}
