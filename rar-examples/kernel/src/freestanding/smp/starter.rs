//! INIT for all CPUs, then start-up, one CPU at a time.

use rar_regs::ApicId;

use super::cpu_table::{CPUS, Cpus, add, all};
use super::jobs::idle;
use super::trampoline::Trampoline;
use crate::freestanding::apic::{self, SendError};
use crate::freestanding::arrival::{self, Arrival};
use crate::freestanding::bring_up::become_ready;
use crate::freestanding::kernel::kernel;
use crate::freestanding::once::Once;
use crate::freestanding::percpu::{self, PerCpu};
use crate::freestanding::{clock, frames, paging};
use crate::{CpuList, println};

const STACK_PAGES: u64 = 32;
const ATTEMPTS: usize = 2;
const INIT_MICROSECONDS: u64 = 10_000;
/// A host may not run a virtual CPU for a while.
const CLAIM_MILLISECONDS: u64 = 1_000;
const READY_MILLISECONDS: u64 = 10_000;
const UNREACHABLE: &str = "it cannot be addressed";
/// What is left for tests when many CPUs share little memory.
const RESERVE: u64 = 16 << 20;
const NO_PAGE: &str = "there is no free page below 1 MiB";

static TRAMPOLINE: Once<Trampoline> = Once::new();

/// Starts every CPU of the list but this one. Those that do not come are reported, and the run goes
/// on without them.
pub(crate) fn start(mut listed: CpuList) {
    listed.put_first(percpu::this().apic_id().get());
    let mut missing = CpuList::empty();
    if listed.dropped() > 0 {
        println!(
            "CPUs: {} more than {} are left alone",
            listed.dropped(),
            CpuList::CAPACITY
        );
    }
    let trampoline = if listed.ids().len() > 1 {
        make_trampoline()
    } else {
        None
    };
    let others = || listed.ids().iter().skip(1);
    if trampoline.is_some() {
        // One wait for all: hundreds of them would be seconds.
        for &id in others() {
            // A CPU that cannot be addressed is named when its turn comes.
            let _ = apic::send_init(ApicId::new(id));
        }
        clock::delay_microseconds(INIT_MICROSECONDS);
    }
    let mut number = 1;
    let mut spare = None;
    for &id in others() {
        let started = trampoline
            .ok_or(NO_PAGE)
            .and_then(|page| match frames::left() {
                ..RESERVE => Err("no memory for more CPUs"),
                _ => start_one(page, id, number, &mut spare),
            });
        match started {
            Ok(cpu) => {
                add(cpu);
                number += 1;
            }
            Err(why) => {
                println!("CPU with APIC id {id} is missing: {why}");
                missing.push(id);
            }
        }
    }
    let _first = CPUS.set(Cpus {
        expected: listed.ids().len() + listed.dropped(),
        missing,
    });
}

/// Starts a CPU again that was lost, by INIT and start-up, under the next free number.
///
/// # Errors
///
/// Says why it does not come.
pub fn restart(id: ApicId) -> Result<&'static PerCpu, &'static str> {
    let number = u32::try_from(all().count()).map_err(|_| "too many CPUs")?;
    let trampoline = TRAMPOLINE.get().ok_or(NO_PAGE)?;
    init(id)?;
    let cpu = start_one(trampoline, id.get(), number, &mut None)?;
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
    let trampoline = TRAMPOLINE.get().ok_or(NO_PAGE)?;
    init(cpu.apic_id())?;
    start_at(trampoline, cpu.apic_id(), stack, cpu, function)
}

fn make_trampoline() -> Option<&'static Trampoline> {
    let page = frames::take_low_page()?;
    let kernel = kernel()?;
    let root = paging::KERNEL.get()?.space().root();
    // SAFETY: a free page below 1 MiB that was just taken; RAM is mapped one to one.
    let trampoline = unsafe { Trampoline::new(page, kernel.control(), root) }.ok()?;
    TRAMPOLINE.set(trampoline)
}

/// Memory and stack of a CPU.
type Place = (&'static PerCpu, u64);

/// Starts a CPU that has got its INIT. What a CPU that never came would have had is left in `spare`
/// for the next one.
fn start_one(
    trampoline: &Trampoline,
    id: u32,
    number: u32,
    spare: &mut Option<Place>,
) -> Result<&'static PerCpu, &'static str> {
    let (cpu, stack) = match spare.take() {
        Some(place) => place,
        None => new_place(number)?,
    };
    if let Err(why) = start_at(trampoline, ApicId::new(id), stack, cpu, on_new_cpu) {
        *spare = Some((cpu, stack));
        return Err(why);
    }
    if clock::wait_until(READY_MILLISECONDS, || cpu.is_ready()) {
        Ok(cpu)
    } else {
        Err("it started but did not get ready")
    }
}

fn start_at(
    trampoline: &Trampoline,
    id: ApicId,
    stack: u64,
    cpu: &'static PerCpu,
    function: extern "C" fn(&'static PerCpu) -> !,
) -> Result<(), &'static str> {
    for attempt in 0..ATTEMPTS {
        trampoline.arm(id.get(), stack, cpu, function);
        if attempt > 0 {
            init(id)?;
        }
        wake(trampoline, id).map_err(|_| UNREACHABLE)?;
        clock::wait_until(CLAIM_MILLISECONDS, || trampoline.is_claimed());
        if !trampoline.disarm() {
            // It runs our code: another INIT would reset it in the middle.
            return Ok(());
        }
        if attempt + 1 < ATTEMPTS {
            println!(
                "CPU with APIC id {} does not start, trying once more",
                id.get()
            );
        }
    }
    Err("it does not answer to INIT and start-up")
}

/// SDM vol. 3, "MP Initialization Protocol Algorithm": INIT, 10 ms, start-up, 200 us, start-up.
fn init(id: ApicId) -> Result<(), &'static str> {
    apic::send_init(id).map_err(|_| UNREACHABLE)?;
    clock::delay_microseconds(INIT_MICROSECONDS);
    Ok(())
}

/// The part of it after the INIT.
fn wake(trampoline: &Trampoline, id: ApicId) -> Result<(), SendError> {
    apic::send_startup(id, trampoline.vector())?;
    if !clock::wait_until(1, || trampoline.is_claimed()) {
        apic::send_startup(id, trampoline.vector())?;
    }
    Ok(())
}

fn new_place(number: u32) -> Result<Place, &'static str> {
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
