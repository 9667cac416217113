//! INIT and start-up for all CPUs at once; then each gets its stack, in the order of the list.

use core::slice;

use rar_regs::ApicId;

use super::cpu_table::{CPUS, Cpus, add, all};
use super::jobs::idle;
use super::slots;
use super::trampoline::Trampoline;
use crate::freestanding::apic::{self, LocalApic};
use crate::freestanding::arrival::{self, Arrival};
use crate::freestanding::boot::XAPIC_BROADCAST;
use crate::freestanding::bring_up::become_ready;
use crate::freestanding::kernel::kernel;
use crate::freestanding::notes::note;
use crate::freestanding::once::Once;
use crate::freestanding::percpu::{self, PerCpu};
use crate::freestanding::{clock, frames, paging};
use crate::{CpuList, IdRuns, StartSlot, println};

const STACK_PAGES: u64 = 32;
const READY_MILLISECONDS: u64 = 10_000;
/// What is left for tests when many CPUs share little memory.
const RESERVE: u64 = 16 << 20;
const NO_PAGE: &str = "there is no free page below 1 MiB";
const UNREACHABLE: &str = "an xAPIC cannot address it";
const NO_ANSWER: &str = "no answer to INIT and start-up";

static TRAMPOLINE: Once<Trampoline> = Once::new();

/// Starts every CPU of the list but this one. Those that do not come are reported, and the run goes
/// on without them.
pub(crate) fn start(mut listed: CpuList) {
    listed.put_first(percpu::this().apic_id().get());
    if listed.dropped() > 0 {
        note(format_args!(
            "CPUs: {} more than {} are left alone",
            listed.dropped(),
            CpuList::CAPACITY
        ));
    }
    slots::name(listed.ids());
    let others = slots::slots().get(1..).unwrap_or(&[]);
    let mut missing = Missing {
        ids: CpuList::empty(),
        told: 0,
        why: "",
    };
    if !others.is_empty() {
        println!("starting {} more CPUs", others.len());
        let trampoline = make_trampoline();
        if let Some(trampoline) = trampoline {
            slots::call(trampoline, others);
        }
        let mut number = 1;
        for slot in others {
            let started = match trampoline {
                Some(_) => let_go(slot, number),
                None => Err(NO_PAGE),
            };
            match started {
                Ok(cpu) => {
                    add(cpu);
                    number += 1;
                }
                Err(why) => missing.add(slot.id(), why),
            }
        }
    }
    missing.tell();
    let _first = CPUS.set(Cpus {
        expected: listed.ids().len() + listed.dropped(),
        missing: missing.ids,
    });
}

/// The CPUs that did not come, told in one line for each reason in a row.
struct Missing {
    ids: CpuList,
    /// How many were told.
    told: usize,
    why: &'static str,
}

impl Missing {
    fn add(&mut self, id: u32, why: &'static str) {
        if why != self.why {
            self.tell();
            self.why = why;
        }
        self.ids.push(id);
    }

    fn tell(&mut self) {
        let ids = self.ids.ids().get(self.told..).unwrap_or(&[]);
        if let [first, rest @ ..] = ids {
            let why = self.why;
            match rest {
                [] => println!("the CPU with APIC id {first} is missing: {why}"),
                _ => println!(
                    "{} CPUs are missing: {why}; APIC ids {}",
                    ids.len(),
                    IdRuns(ids)
                ),
            }
        }
        self.told += ids.len();
    }
}

/// Starts a CPU again that was lost, by INIT and start-up, under the next free number.
///
/// # Errors
///
/// Says why it does not come.
pub fn restart(id: ApicId) -> Result<&'static PerCpu, &'static str> {
    let number = u32::try_from(all().count()).map_err(|_| "too many CPUs")?;
    let slot = call_one(id)?;
    let cpu = let_go(slot, number)?;
    add(cpu);
    Ok(cpu)
}

/// Returns the address of the page where CPUs begin, with what they run on until they have better;
/// `None` where only one CPU was started.
#[must_use]
pub fn trampoline_page() -> Option<u64> {
    TRAMPOLINE.get().map(Trampoline::page)
}

/// Resets a CPU and lets it call `function` below `stack`. No other CPU is started meanwhile.
pub(super) fn start_again(
    cpu: &'static PerCpu,
    stack: u64,
    function: extern "C" fn(&'static PerCpu) -> !,
) -> Result<(), &'static str> {
    let slot = call_one(cpu.apic_id())?;
    go(slot, cpu, stack, function);
    Ok(())
}

/// Resets a CPU and lets it come into the trampoline.
fn call_one(id: ApicId) -> Result<&'static StartSlot, &'static str> {
    let trampoline = TRAMPOLINE.get().ok_or(NO_PAGE)?;
    let slot = slots::slot(id).ok_or("it is not in the list of CPUs")?;
    // Whatever it did before, it is called anew.
    slot.send_away();
    slots::call(trampoline, slice::from_ref(slot));
    if slot.has_come() {
        Ok(slot)
    } else {
        Err(NO_ANSWER)
    }
}

fn make_trampoline() -> Option<&'static Trampoline> {
    let page = frames::take_low_page()?;
    if page < frames::WRITTEN_BY_FIRMWARE {
        note(format_args!(
            "trampoline at {page:#x}: no memory between 64 KiB and 1 MiB is free; firmware may \
             write below"
        ));
    }
    let kernel = kernel()?;
    let root = paging::KERNEL.get()?.space().root();
    // SAFETY: a free page below 1 MiB that was just taken; RAM is mapped one to one.
    let made = unsafe { Trampoline::new(page, kernel.control(), root, slots::slots()) };
    TRAMPOLINE.set(made.ok()?)
}

/// Gives a CPU that came its memory, and waits until it is ready.
fn let_go(slot: &StartSlot, number: u32) -> Result<&'static PerCpu, &'static str> {
    if !slot.has_come() {
        return Err(match apic::get() {
            Some(LocalApic::Xapic { .. }) if slot.id() >= XAPIC_BROADCAST => UNREACHABLE,
            _ => NO_ANSWER,
        });
    }
    let place = match frames::left() {
        ..RESERVE => Err("no memory for more CPUs"),
        _ => new_place(number),
    };
    let (cpu, stack) = place.inspect_err(|_| slot.send_away())?;
    go(slot, cpu, stack, on_new_cpu);
    if !clock::wait_until(READY_MILLISECONDS, || cpu.is_ready()) {
        return Err("it started but did not get ready");
    }
    let (listed, register) = (slot.id(), cpu.apic_id().get());
    if listed != register {
        note(format_args!(
            "CPU {number}: APIC ids disagree (CPUID and MADT {listed}, register {register}); the \
             register's is used"
        ));
    }
    Ok(cpu)
}

fn go(
    slot: &StartSlot,
    cpu: &'static PerCpu,
    stack: u64,
    function: extern "C" fn(&'static PerCpu) -> !,
) {
    slot.go(
        stack,
        core::ptr::from_ref(cpu).expose_provenance() as u64,
        (function as *const ()).expose_provenance() as u64,
    );
}

/// Returns memory and stack of a CPU.
fn new_place(number: u32) -> Result<(&'static PerCpu, u64), &'static str> {
    let cpu = frames::alloc_static(PerCpu::new()).ok_or("no memory")?;
    // SAFETY: no CPU uses it yet.
    unsafe { cpu.name(number) };
    let stack = paging::map_stack(STACK_PAGES).map_err(|_| "no memory for its stack")?;
    Ok((cpu, stack))
}

/// The first Rust code of a CPU, on its own stack with interrupts disabled.
extern "C" fn on_new_cpu(cpu: &'static PerCpu) -> ! {
    // SAFETY: named by the starter, for this CPU.
    unsafe { percpu::enter(cpu) };
    arrival::announce(Arrival::Later);
    if let Some(kernel) = kernel() {
        // SAFETY: this CPU's memory, entered, interrupts still disabled.
        unsafe { become_ready(cpu, kernel) };
    }
    idle()
}
