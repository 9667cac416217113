//! A kernel gives its CPU a RAR unit and asks it for a flush.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use rar_kernel::{ExitCode, exit, println};
use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::{ActionVector, PayloadTable, SlotIndex};
use rar_regs::{
    Detection, InterruptPolicy, NativeCpu, RarActionVectorBase, RarControl, RarPayloadTableBase,
    XapicIcr, XapicMmio,
};
use rar_vrar::{ApicPage, Config, CpuMemory, Shim};

rar_kernel::entry!(main);

/// Where this kernel maps the local APIC.
const APIC: NonNull<u32> =
    NonNull::without_provenance(core::num::NonZero::new(0xFEE0_0000).unwrap());

// The shim: where memory and the APIC are mapped, and memory for each CPU.
static SHIM: Shim = {
    let config = Config {
        page: ApicPage::Trapped,
        ..Config::new(0, APIC)
    };
    // SAFETY: this kernel maps RAM and the APIC one to one, for ever.
    unsafe { Shim::new(config) }
};
static MEMORY: CpuMemory = CpuMemory::new();

static TABLE: PayloadTable = PayloadTable::new();
static VECTOR: ActionVector = ActionVector::new();

fn main() -> ! {
    match try_it() {
        Ok(()) => exit(ExitCode::Success),
        Err(error) => {
            println!("{error}");
            exit(ExitCode::Failure)
        }
    }
}

fn try_it() -> Result<(), &'static str> {
    // From here on the CPU has a RAR unit.
    // SAFETY: ring 0, 64-bit mode, SSE on; no device has an interrupt.
    unsafe { SHIM.launch(&MEMORY) }.map_err(|_| "the shim does not launch")?;

    // Everything below is what a kernel does on a processor with RAR.
    // SAFETY: ring 0.
    let cpu = unsafe { NativeCpu::new() };
    let support = Detection::new().detect(&cpu).map_err(|_| "no RAR")?;
    let width = support.physical_address_width();
    let at = |address: usize| address as u64;
    let vector = RarActionVectorBase::new(at((&raw const VECTOR).addr()), width);
    let table = RarPayloadTableBase::new(at((&raw const TABLE).addr()), width);
    let (Ok(vector), Ok(table)) = (vector, table) else {
        return Err("an address is not aligned");
    };
    // SAFETY: this CPU; a static is RAR's for ever.
    let written = unsafe { vector.write(&cpu, &support) };
    // SAFETY: as above.
    let written = written.and(unsafe { table.write(&cpu, &support) });
    let control = RarControl::enabled(InterruptPolicy::IgnoreIf);
    // SAFETY: as above.
    let written = written.and(unsafe { control.write(&cpu, &support) });
    written.map_err(|_| "a register refuses its value")?;

    let slot = SlotIndex::new(3).ok_or("no slot")?;
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    TABLE.store(slot, &everything);
    VECTOR.arm(slot);
    let me = rar_kernel::percpu::this().apic_id();
    let icr = XapicIcr::rar(me).map_err(|_| "no destination")?;
    // SAFETY: the kernel is in xAPIC mode.
    let apic = unsafe { XapicMmio::new(APIC) };
    // SAFETY: ring 0, and the unit takes the message.
    unsafe { apic.send(icr) }.map_err(|_| "the APIC is busy")?;

    let done = VECTOR.load(slot).is_final();
    let record = SHIM.cpu(me.get()).ok_or("no CPU")?.record();
    let executed = record.execution(0).ok_or("nothing was executed")?;
    println!(
        "byte final: {done}, the unit executed entry {} of type {}",
        executed.index,
        executed.kind()
    );
    if done && executed.index == 3 && executed.kind() == 2 {
        Ok(())
    } else {
        Err("the unit did something else")
    }
}
