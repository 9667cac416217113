//! The shim's counters as a guest reads them, against the shim's own record.

use core::arch::x86_64::__cpuid_count;

use rar_kernel::{percpu, probe};
use rar_launch::shim;
use rar_suite::Register;
use rar_vrar::{
    COUNTER_LEAF, COUNTER_VERSION, Counts, ENTRY_LEAF, EntryKind, UnitCounter, Verdict,
    entry_subleaf,
};

/// The count of this CPU, and that of all.
type Pair = (u64, u64);

/// Checks that CPUID gives every counter as the record has it, while no CPU flushes.
///
/// # Errors
///
/// What differs, or that nothing was counted that had to be.
pub fn check() -> Result<(), &'static str> {
    let Some(shim) = shim() else {
        return Err("there is no shim whose counters could be read");
    };
    let id = percpu::this().apic_id().get();
    let Some(own) = shim.cpu(id).map(|cpu| cpu.record().counts()) else {
        return Err("the shim has no record of this CPU");
    };
    let cpus = shim.cpus().count() as u64;
    let described = __cpuid_count(COUNTER_LEAF, 0);
    let lengths = (u64::from(described.ebx), u64::from(described.ecx));
    if described.eax != COUNTER_VERSION || lengths != (UnitCounter::ALL.len() as u64, cpus) {
        return Err("CPUID describes other counters than there are");
    }
    if described.edx != id {
        return Err("CPUID gives the counters of another CPU");
    }
    let agree = |leaf, subleaf, get: &dyn Fn(&Counts) -> u64| {
        let sum = shim.cpus().map(|(_, cpu)| get(cpu.record().counts())).sum();
        read(leaf, subleaf) == (get(own), sum)
    };
    for &counter in UnitCounter::ALL {
        if !agree(COUNTER_LEAF, counter.number().into(), &|counts| {
            counts.get(counter)
        }) {
            return Err("CPUID gives another counter than the record");
        }
    }
    for &kind in EntryKind::ALL {
        for &verdict in Verdict::ALL {
            if !agree(ENTRY_LEAF, entry_subleaf(kind, verdict), &|counts| {
                counts.entries(kind, verdict)
            }) {
                return Err("CPUID gives another number of entries than the record");
            }
        }
    }
    counts_a_write()
}

/// The positive control: a register write that is done counts once, on this CPU.
fn counts_a_write() -> Result<(), &'static str> {
    let control = Register::Control as u32;
    let writes = || read(COUNTER_LEAF, UnitCounter::RegisterWrites.number().into());
    let (own, all) = writes();
    // SAFETY: ring 0; a register that does not exist faults, and the fault is caught.
    let value = unsafe { probe::read_register(control) };
    // SAFETY: as above; the value is the one that the register has.
    let written = value.and_then(|value| unsafe { probe::write_register(control, value) });
    if written.is_none() {
        return Err("the RAR registers are not there");
    }
    if writes() != (own + 1, all + 1) {
        return Err("a register write is not counted once");
    }
    Ok(())
}

fn read(leaf: u32, subleaf: u32) -> Pair {
    let read = __cpuid_count(leaf, subleaf);
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    (join(read.ebx, read.eax), join(read.edx, read.ecx))
}
