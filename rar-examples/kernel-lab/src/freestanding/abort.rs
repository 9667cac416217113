//! The end of a run that cannot go on, since a CPU stopped answering or panicked: all others are
//! stopped, and one makes a report of what is known.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_kernel::percpu::PerCpu;
use rar_kernel::{
    CpuList, ExitCode, Once, add_nmi_handler, clock, console, exit, irq, log, paging, percpu,
    println, screen, send_nmi, set_panic_hook, smp,
};

use super::fault_injection::is_stopped;

const NO_CPU: u32 = 0;
/// How long CPUs may take to answer an NMI, and between two of them: a CPU in the middle of a lock
/// finishes that first.
const ANSWER_MILLISECONDS: u64 = 1_000;
const AGAIN_MILLISECONDS: u64 = 20;

/// Number of the CPU that gave up first, plus one.
static FIRST: AtomicU32 = AtomicU32::new(NO_CPU);
/// The CPUs that answered after that.
static ANSWERED: [AtomicBool; CpuList::CAPACITY] =
    [const { AtomicBool::new(false) }; CpuList::CAPACITY];
static ENDING: Once<Ending> = Once::new();
/// The top of the stack that the ending runs on: the CPU that gives up may be on a small one.
static STACK: Once<u64> = Once::new();
const STACK_PAGES: u64 = 32;

/// What makes the report; it runs on the CPU that gave up, on a stack of its own, and no other CPU
/// runs any more.
pub type Ending = fn(&Lost<'_>) -> !;

/// Why a run ended, and which CPUs did not answer.
#[derive(Clone, Copy, Debug)]
pub struct Lost<'a> {
    /// The CPU that gave up.
    pub cpu: u32,
    /// What it found.
    pub why: fmt::Arguments<'a>,
    /// What kind of end it is.
    pub cause: Cause,
}

/// Why a run cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A CPU waited in vain, or a test did not end.
    Hung,
    /// A CPU panicked, or took an unexpected exception.
    Panic,
}

impl Lost<'_> {
    /// Returns the numbers of the CPUs that do not even answer an NMI.
    pub fn silent(&self) -> impl Iterator<Item = u32> {
        let me = self.cpu;
        smp::all()
            .map(PerCpu::number)
            .filter(move |cpu| *cpu != me && !has_answered(*cpu))
    }
}

/// Names the function that ends a run which cannot go on. Without one, or without memory for its
/// stack, the machine ends at once.
pub fn set_ending(ending: Ending) {
    if let Ok(top) = paging::map_stack(STACK_PAGES)
        && STACK.set(top).is_some()
        && ENDING.set(ending).is_some()
    {
        let _has_room = add_nmi_handler(answer_if_asked);
        set_panic_hook(|why| give_up(Cause::Panic, why));
    }
}

fn answer(cpu: u32) {
    if let Some(answered) = ANSWERED.get(cpu as usize) {
        answered.store(true, Ordering::Release);
    }
}

fn has_answered(cpu: u32) -> bool {
    let answered = ANSWERED.get(cpu as usize);
    answered.is_some_and(|answered| answered.load(Ordering::Acquire))
}

/// Ends the run. Of several CPUs that give up the first one reports.
pub(crate) fn give_up(cause: Cause, why: fmt::Arguments<'_>) -> ! {
    irq::disable();
    let me = percpu::this().number();
    if ENDING.get().is_none() {
        println!("GIVING UP on CPU {me}: {why}");
        exit(ExitCode::Failure)
    }
    let first = FIRST.compare_exchange(NO_CPU, me + 1, Ordering::AcqRel, Ordering::Acquire);
    if first.is_err() {
        answer(me);
        irq::halt_forever();
    }
    stop_others(me);
    // A CPU that printed or drew was stopped in the middle.
    console::seize();
    screen::seize();
    log::drain_after_panic();
    println!("GIVING UP on CPU {me}: {why}");
    let lost = Lost {
        cpu: me,
        why,
        cause,
    };
    let Some(&top) = STACK.get() else {
        exit(ExitCode::Failure)
    };
    // SAFETY: only the first CPU comes here, once, so the stack has no other user, and it is mapped
    // on every CPU; what this stack holds stays, since nothing returns to it. The call leaves the
    // stack pointer as the calling convention wants it.
    unsafe {
        core::arch::asm!(
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {end}",
            "ud2",
            top = in(reg) top,
            end = sym end_on_own_stack,
            in("rdi") &raw const lost,
            options(noreturn),
        )
    }
}

extern "C" fn end_on_own_stack(lost: *const Lost<'_>) -> ! {
    // SAFETY: `give_up` passes a value on the stack that it has left for good.
    let lost = unsafe { &*lost };
    match ENDING.get() {
        Some(ending) => ending(lost),
        None => exit(ExitCode::Failure),
    }
}

/// Stops every other CPU that still answers.
fn stop_others(me: u32) {
    let missing = || {
        smp::all().filter(|cpu| cpu.is_ready() && cpu.number() != me && !has_answered(cpu.number()))
    };
    for _ in 0..ANSWER_MILLISECONDS / AGAIN_MILLISECONDS {
        for cpu in missing() {
            // A CPU that cannot be addressed shows as one that does not answer.
            let _ = send_nmi(cpu);
        }
        if clock::wait_until(AGAIN_MILLISECONDS, || missing().next().is_none()) {
            return;
        }
    }
}

/// Stops this CPU if another one has given up. Called from the NMI handler.
fn answer_if_asked() {
    let (first, me) = (FIRST.load(Ordering::Acquire), percpu::this());
    let wanted = first != NO_CPU && first != me.number() + 1;
    if wanted && !is_stopped(me.number()) && me.locks().load(Ordering::Relaxed) == 0 {
        answer(me.number());
        irq::halt_forever();
    }
}
