//! The machine's own end: reset and power-off.

use x86::cpuid::{CpuId, Hypervisor};

use super::int::word;
use super::notes::note;
use super::once::Once;
use super::port::Port;
use super::{clock, irq, paging};
use crate::{FirmwareTables, MemoryMap, Place, ResetRegister, println};

/// How long a machine may take to obey.
const MILLISECONDS: u64 = 500;

/// What firmware says about the end.
#[derive(Clone, Copy, Debug)]
struct Registers {
    reset: Option<ResetRegister>,
    pm1_control: Option<u16>,
}

static REGISTERS: Once<Registers> = Once::new();

/// Takes over what the FADT says. A register that lies in RAM is left out, with a note.
pub(crate) fn learn(tables: &FirmwareTables, map: &MemoryMap) {
    let mut reset = tables.reset;
    if let Some(Place::Memory(address)) = reset.map(|register| register.place)
        && map.is_ram(address)
    {
        note(format_args!(
            "FADT: the reset register at {address:#x} lies in RAM; it is not written"
        ));
        reset = None;
    }
    let _first = REGISTERS.set(Registers {
        reset,
        pm1_control: tables.pm1_control,
    });
}

/// Returns the port by which the machine sleeps and turns itself off, where firmware names one: the
/// PM1a control register.
#[must_use]
pub fn sleep_control() -> Option<u16> {
    REGISTERS.get()?.pm1_control
}

/// Resets the machine: by the register that the FADT names, else as chipsets have long done it,
/// else by a triple fault.
pub fn reboot() -> ! {
    irq::disable();
    let named = REGISTERS.get().and_then(|registers| registers.reset);
    if let Some(register) = named {
        write_reset(register);
        wait();
    }
    // The reset control register of Intel's chipsets: arm, then a full reset.
    // SAFETY: resets the machine, or has no effect; no memory changes.
    let control = unsafe { Port::new(0xcf9) };
    control.write8(0x02);
    control.write8(0x06);
    wait();
    // The keyboard controller's pulse on the reset line.
    // SAFETY: as above.
    unsafe { Port::new(0x64) }.write8(0xfe);
    wait();
    irq::triple_fault()
}

fn wait() {
    clock::delay_microseconds(1000 * MILLISECONDS);
}

fn write_reset(ResetRegister { place, value }: ResetRegister) {
    match place {
        Place::Port(number) => {
            // SAFETY: the FADT says that the port resets the machine.
            unsafe { Port::new(number) }.write8(value);
        }
        Place::Memory(address) => {
            if paging::map_device(address, 1).is_ok() {
                let register: *mut u8 = core::ptr::with_exposed_provenance_mut(word(address));
                // SAFETY: mapped just now, and the FADT says that the byte resets the machine.
                unsafe { register.write_volatile(value) };
            }
        }
        Place::Pci {
            device,
            function,
            offset,
        } => {
            // PCI Local Bus Specification 3.0, "Software Generation of Configuration Transactions".
            // SAFETY: the FADT says that the register resets the machine.
            let [address, data] =
                unsafe { Port::several([0xcf8, 0xcfc + u16::from(offset & 0b11)]) };
            address.write32(
                1 << 31
                    | u32::from(device) << 11
                    | u32::from(function) << 8
                    | u32::from(offset & !0b11),
            );
            data.write8(value);
        }
    }
}

/// The sleep type that turns QEMU's machines off, with the bit that makes it so (ACPI 6.5, "PM1
/// Control Registers Fixed Hardware Feature Control Bits").
const QEMU_OFF: u16 = 1 << 13;

/// Turns the machine off where that takes no interpreter: which value does it stands in AML, and
/// only QEMU's is known. Returns elsewhere.
pub fn off() {
    let port = REGISTERS.get().and_then(|registers| registers.pm1_control);
    match port.filter(|_| is_qemu()) {
        Some(number) => {
            // SAFETY: the FADT names the port, and on this machine the value turns it off.
            unsafe { Port::new(number) }.write16(QEMU_OFF);
            wait();
        }
        None => println!(
            "this machine cannot be turned off without its AML code: turn it off by its button"
        ),
    }
}

/// Returns whether this is a machine of QEMU, by its own CPUs or by KVM's.
#[must_use]
pub fn is_qemu() -> bool {
    let hypervisor = CpuId::new().get_hypervisor_info();
    hypervisor.is_some_and(|info| matches!(info.identify(), Hypervisor::QEMU | Hypervisor::KVM))
}
