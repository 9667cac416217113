//! What is known about the machine after the start.

use super::cpu::control::Control;
use super::identity_map::KernelMap;
use super::machine_info::MachineInfo;
use super::once::Once;
use crate::{
    BootInfo, Clock, CommandLine, Display, Firmware, FirmwareTables, MemoryMap, Module, Modules,
    PhysicalMemory, Rsdp,
};

pub(super) static KERNEL: Once<Kernel> = Once::new();

/// Returns what is known about the machine, once CPUs were started.
#[must_use]
pub fn kernel() -> Option<&'static Kernel> {
    KERNEL.get()
}

/// What is known about the machine after the start.
#[derive(Debug)]
pub struct Kernel {
    pub(super) boot: BootInfo,
    pub(super) info: MachineInfo,
    pub(super) control: Control,
    pub(super) local_apic: u64,
    pub(super) tables: FirmwareTables,
}

impl Kernel {
    /// Returns the command line.
    #[must_use]
    pub fn command_line(&self) -> &CommandLine {
        &self.boot.command_line
    }

    /// Returns the memory map as the boot loader gave it.
    #[must_use]
    pub fn memory(&self) -> &MemoryMap {
        &self.boot.memory
    }

    /// Returns the files that the boot loader has put beside the kernel.
    #[must_use]
    pub fn modules(&self) -> &Modules {
        &self.boot.modules
    }

    /// Returns the bytes of a module; `None` where its memory cannot be mapped.
    #[must_use]
    pub fn module_bytes(&self, module: &Module) -> Option<&'static [u8]> {
        // The range was cut out of free memory: nothing writes to it.
        let length = usize::try_from(module.end.checked_sub(module.start)?).ok()?;
        if length == 0 {
            return Some(&[]);
        }
        KernelMap.bytes(module.start, length)
    }

    /// Returns the command line of a module.
    #[must_use]
    pub fn module_line(&self, module: &Module) -> &'static str {
        module.command_line(&KernelMap)
    }

    /// Returns the root of the ACPI tables, where the boot loader names it.
    #[must_use]
    pub fn rsdp(&self) -> Option<Rsdp> {
        self.boot.rsdp
    }

    /// Returns the bytes of the root of the ACPI tables, as [`Rsdp::bytes`].
    #[must_use]
    pub fn rsdp_bytes(&self) -> Option<[u8; 36]> {
        self.boot.rsdp?.bytes(&KernelMap)
    }

    /// Returns the screen that the boot loader left on.
    #[must_use]
    pub fn display(&self) -> Option<Display> {
        self.boot.display
    }

    /// Returns what started the boot loader.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        self.boot.firmware
    }

    /// Returns what the boot loader calls itself.
    #[must_use]
    pub fn loader(&self) -> &str {
        self.boot.loader.as_str()
    }

    /// Returns what the kernel takes from the tables of the firmware.
    #[must_use]
    pub fn tables(&self) -> &FirmwareTables {
        &self.tables
    }

    /// Returns the time stamp counter's rate.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.info.clock
    }

    /// Returns what the machine is.
    #[must_use]
    pub fn info(&self) -> &MachineInfo {
        &self.info
    }

    /// Returns whether `CR4.PCIDE` is set on every CPU.
    #[must_use]
    pub fn has_pcid(&self) -> bool {
        self.control.pcid
    }

    /// Returns whether entries may be global.
    #[must_use]
    pub fn has_global_pages(&self) -> bool {
        self.control.global_pages
    }

    /// Returns the physical address of the local APICs.
    #[must_use]
    pub fn local_apic(&self) -> u64 {
        self.local_apic
    }

    pub(crate) fn control(&self) -> Control {
        self.control
    }
}
