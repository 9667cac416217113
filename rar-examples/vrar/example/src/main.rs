//! A kernel gives its CPU a RAR unit and asks it for a flush.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use rar_kernel::{ExitCode, exit, println};
use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::{CpuSet, Domain, NativeTlb, PerCpu, PhysicalAddressOf, RarCpu};
use rar_regs::{Detection, InterruptPolicy, NativeCpu, XapicIcr, XapicMmio};
use rar_vrar::{ApicPage, Config, CpuMemory, Shim};

rar_kernel::entry!(main);

/// Where this kernel maps the local APIC.
const APIC: NonNull<u32> =
    NonNull::without_provenance(core::num::NonZero::new(0xfee0_0000).unwrap());

// The shim: where memory and the APIC are mapped, and memory for each CPU.
static SHIM: Shim = {
    let config = Config {
        page: ApicPage::Trapped,
        ..Config::new(0, APIC)
    };
    // SAFETY: 1. this kernel maps RAM and the APIC one to one. 2. Its image stays where it is, and
    // nothing writes to what is not its own.
    unsafe { Shim::new(config) }
};
static MEMORY: CpuMemory = CpuMemory::new();

// What a RAR unit shares with the kernel: room for 64 CPUs, and the memory of the one that there
// is.
static DOMAIN: Domain<1> = Domain::new();
static STATE: PerCpu = PerCpu::new();

/// This kernel's memory is mapped one to one.
struct OneToOne;

// SAFETY: a static is contiguous write-back memory whose physical address is the virtual one,
// forever.
unsafe impl PhysicalAddressOf for OneToOne {
    fn physical_address_of(&self, virtual_address: *const (), _: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64)
    }
}

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

    // Everything below is what a kernel does on a processor with RAR, with an orchestrator of its
    // own.
    let me = rar_kernel::percpu::this();
    let cpu = rar_kernel::percpu::pin();
    // SAFETY: ring 0.
    let registers = unsafe { NativeCpu::new() };
    // SAFETY: ring 0, one CPU, and no handler changes CR3 or CR4.
    let tlb = unsafe { NativeTlb::new() };
    let support = Detection::new().detect(&registers).map_err(|_| "no RAR")?;
    DOMAIN
        .register(me.id(), me.apic_id(), &STATE)
        .map_err(|_| "the CPU is not registered")?;
    let unit = RarCpu::detect(&DOMAIN, &cpu, support, registers)
        .and_then(|unit| unit.configure(&cpu, &OneToOne))
        .map_err(|_| "a register refuses its value")?;
    // SAFETY: nothing resets the CPU, statics stay where they are, and nothing here relies on
    // disabled interrupts.
    let _unit = unsafe { unit.bring_online(&cpu, InterruptPolicy::IgnoreIf, &tlb) }
        .map_err(|_| "RAR is not enabled")?;

    // A flush: claim a slot, post the entry, signal, look.
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let targets = CpuSet::of([me.id()]).map_err(|_| "no such CPU")?;
    let claimed = DOMAIN.claim(&cpu, 1).ok_or("no slot")?;
    let mut posted = claimed
        .post(&[everything], &targets)
        .map_err(|_| "more operations than slots")?;
    let icr = XapicIcr::rar(me.apic_id()).map_err(|_| "no destination")?;
    // SAFETY: the kernel is in xAPIC mode.
    let apic = unsafe { XapicMmio::new(APIC) };
    // SAFETY: ring 0, and the unit takes the message.
    unsafe { apic.send(icr) }.map_err(|_| "the APIC is busy")?;

    let done = posted.look();
    let record = SHIM.cpu(me.apic_id().get()).ok_or("no CPU")?.record();
    let executed = record.execution(0).ok_or("nothing was executed")?;
    println!(
        "byte final: {done}, the unit executed entry {} of type {}",
        executed.index,
        executed.kind()
    );
    // A CPU claims from the slot of its own number on.
    if done && executed.index == 0 && executed.kind() == 2 {
        Ok(())
    } else {
        Err("the unit did something else")
    }
}
