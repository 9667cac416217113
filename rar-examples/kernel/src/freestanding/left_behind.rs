//! What firmware, or a kernel before this one, left in the registers of a CPU: a RAR unit that is
//! still enabled, and memory types that other CPUs do not have.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU32, Ordering};

use rar_regs::RarControl;

use super::cpu::probe;
use super::notes::note;
use super::once::Once;
use super::percpu;
use super::smp::cpu_table;
use crate::{MemoryTypes, announces_rar};

const CORE_CAPABILITIES: u32 = 0xcf;
const ACTION_VECTOR_BASE: u32 = 0xee;
const PAYLOAD_TABLE_BASE: u32 = 0xef;
const MTRR_DEFAULT: u32 = 0x2ff;
const PAT: u32 = 0x277;

/// CPUs whose state is noted: on a large machine all are alike, and others need room, too.
const MOST_NOTED: u32 = 8;

static RAR_NOTED: AtomicU32 = AtomicU32::new(0);
static BOOT_TYPES: Once<MemoryTypes> = Once::new();
/// Those of the first CPU that has others.
static OTHER_TYPES: Once<MemoryTypes> = Once::new();

/// Returns the memory types of the boot CPU.
#[must_use]
pub fn memory_types() -> Option<MemoryTypes> {
    BOOT_TYPES.get().copied()
}

/// Looks at this CPU, whose traps work, when it starts first.
pub(super) fn look() {
    if cpu_table::cpus().is_some() {
        // What a CPU that starts again has is the doing of this kernel.
        return;
    }
    disable_rar();
    compare_memory_types();
}

fn read(register: u32) -> Option<u64> {
    // SAFETY: reading the registers of this module has no effect.
    unsafe { probe::read_register(register) }
}

/// Disables the RAR unit of this CPU if it was left enabled: it may write to memory that has
/// another use now.
fn disable_rar() {
    let leaf_7 = (__cpuid(0).eax >= 7).then(|| __cpuid_count(7, 0).edx);
    if !announces_rar(leaf_7, || read(CORE_CAPABILITIES)) {
        return;
    }
    let Some(control) = read(RarControl::MSR).filter(|bits| bits & ENABLE != 0) else {
        return;
    };
    let bases = [ACTION_VECTOR_BASE, PAYLOAD_TABLE_BASE].map(|base| read(base).unwrap_or(0));
    // SAFETY: a unit that is disabled leaves memory alone.
    let _disabled = unsafe { probe::write_register(RarControl::MSR, 0) };
    let cpu = percpu::this().number();
    let after = match read(RarControl::MSR) {
        Some(bits) if bits & ENABLE == 0 => "it is disabled",
        _ => "it cannot be disabled",
    };
    if RAR_NOTED.fetch_add(1, Ordering::Relaxed) < MOST_NOTED {
        let [vectors, payloads] = bases;
        note(format_args!(
            "CPU {cpu}: RAR was left enabled (control {control:#x}, action vector at {vectors:#x}, \
             payloads at {payloads:#x}); {after}"
        ));
    } else {
        note(format_args!("RAR was left enabled on more CPUs; {after}"));
    }
}

/// The unit serves signals.
const ENABLE: u64 = 1 << 31;

fn compare_memory_types() {
    let own = MemoryTypes {
        mtrr_default: read(MTRR_DEFAULT),
        pat: read(PAT),
    };
    let boot = match BOOT_TYPES.get() {
        Some(boot) => *boot,
        None => {
            let _first = BOOT_TYPES.set(own);
            own
        }
    };
    // Most CPUs that differ are alike.
    if own == boot || OTHER_TYPES.get() == Some(&own) {
        return;
    }
    let _first = OTHER_TYPES.set(own);
    let cpu = percpu::this().number();
    note(format_args!(
        "from CPU {cpu} on, CPUs have other memory types than CPU 0: {own}; CPU 0: {boot}"
    ));
}
