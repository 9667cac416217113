//! A CPU that has another RAR than the boot CPU joins while a flush is in the air.
//!
//! The other CPUs are online by their units, and one of them has not answered. The flush must end
//! when the units are refused, without a fallback, and the CPU that had not answered must be
//! flushed.

use core::sync::atomic::{AtomicBool, Ordering};

use rar_kernel::percpu::PerCpu;
use rar_kernel::{clock, percpu, println, smp};
use rar_payload::{PageRange, PageSize, Request};
use rar_shootdown::AllOnline;
use rar_suite::{Access, DeafTo, Frame, Mapping, Page, Platform as _, Scope, Space};

use super::abort::{self, Cause};
use super::lab::KernelLab;
use super::watchdog;

const PAGE: Page = Page::Small(0);
const OLD: Frame = Frame::Small(0);
const NEW: Frame = Frame::Small(1);
const OLD_VALUE: u64 = 0x01d0;
const NEW_VALUE: u64 = 0x0e30;
/// How often a stale translation is looked for: a TLB may evict at any time.
const ATTEMPTS: u32 = 5;
/// What the flush owns.
const FREED: &str = "the old frame";

/// The silent CPU uses a translation that has changed, and hears no signal.
static STALE: AtomicBool = AtomicBool::new(false);
/// The flush is in the air.
static STARTED: AtomicBool = AtomicBool::new(false);
/// It has ended.
static ENDED: AtomicBool = AtomicBool::new(false);

/// What each CPU does.
#[derive(Clone, Copy)]
struct Cast {
    /// It has another RAR, and joins last.
    odd: u32,
    /// It flushes.
    initiator: u32,
    /// It does not answer.
    silent: u32,
}

impl Cast {
    /// Returns the parts, if there are enough CPUs.
    fn of(odd: u32) -> Option<Self> {
        let odd = smp::all().find(|cpu| cpu.apic_id().get() == odd)?.number();
        let mut others = smp::all().map(PerCpu::number).filter(|cpu| *cpu != odd);
        Some(Self {
            odd,
            initiator: others.next()?,
            silent: others.last()?,
        })
    }
}

/// Lets this CPU join; the one with that APIC id has another RAR. As [`KernelLab::join`] where the
/// machine has fewer than three CPUs.
pub(crate) fn join(lab: &KernelLab, odd: u32) {
    let Some(cast) = Cast::of(odd) else {
        return lab.join();
    };
    let me = percpu::this().number();
    if me == cast.odd {
        await_point(&STARTED, "the flush");
    }
    lab.come_online();
    if me == cast.silent {
        hold_a_stale_translation(lab);
    } else if me == cast.initiator {
        await_point(&STALE, "a stale translation");
        flush(lab, &cast);
    }
    lab.await_all();
}

/// Makes this CPU use a translation that has changed, and go on doing so until it is flushed.
fn hold_a_stale_translation(lab: &KernelLab) {
    lab.enter(Space::First);
    lab.store_frame(OLD, 0, OLD_VALUE);
    lab.store_frame(NEW, 0, NEW_VALUE);
    let is_stale = (0..ATTEMPTS).any(|_| {
        map(lab, OLD);
        lab.flush_own_tlb();
        let before = lab.load(PAGE, 0);
        map(lab, NEW);
        (before, lab.load(PAGE, 0)) == (Ok(OLD_VALUE), Ok(OLD_VALUE))
    });
    require(is_stale, "no translation stays in the TLB");
    lab.set_deaf_to(DeafTo::Signals);
    STALE.store(true, Ordering::Release);
    await_point(&ENDED, "the end of the flush");
    require(
        lab.load(PAGE, 0) == Ok(NEW_VALUE),
        "the CPU that had not answered was not flushed",
    );
    lab.set_deaf_to(DeafTo::Nothing);
}

fn map(lab: &KernelLab, frame: Frame) {
    let mapping = Mapping {
        frame,
        access: Access::Write,
        scope: Scope::Space,
    };
    lab.map(Space::First, PAGE, Some(mapping));
}

fn flush(lab: &KernelLab, cast: &Cast) {
    let (cpu, domain) = (percpu::pin(), lab.domain());
    // All but the odd one, which joins behind the start.
    let members = smp::all().count() - 1;
    wait("the other CPUs", || {
        domain.answered_by_units().len() == members
    });
    let Ok(range) = PageRange::new(lab.address(PAGE), 1, PageSize::Size4K) else {
        return give_up("the page cannot be named");
    };
    let pcid = lab.pcid(Space::First);
    let request = Request::Pages { pcid, range };
    let flight = lab.shootdown.start(&cpu, &[request], &AllOnline, FREED);
    require(!flight.is_done(), "the flush ended before the CPU joined");
    STARTED.store(true, Ordering::Release);
    wait("the units to be refused", || {
        domain.refuses_units() && domain.answered_by_units().is_empty()
    });
    require(flight.is_done(), "the flush goes on without units");
    require(
        flight.wait(&cpu).is_ok_and(|owned| owned == FREED),
        "the flush failed",
    );
    let counted = lab.shootdown.statistics();
    let others = counted.fallbacks + counted.resignals + counted.demotions + counted.nmis;
    require(others == 0, "the flush took other means than the signal");
    ENDED.store(true, Ordering::Release);
    println!(
        "CPU {} had a flush in the air that CPU {} had not answered: it ended without a fallback",
        cast.initiator, cast.silent
    );
}

fn await_point(point: &AtomicBool, what: &str) {
    wait(what, || point.load(Ordering::Acquire));
}

fn wait(what: &str, condition: impl FnMut() -> bool) {
    if !clock::wait_until(1_000 * watchdog::patience_seconds(), condition) {
        abort::give_up(Cause::Hung, format_args!("waited in vain for {what}"));
    }
}

fn require(holds: bool, why: &str) {
    if !holds {
        give_up(why);
    }
}

fn give_up(why: &str) {
    let me = percpu::this().number();
    abort::give_up(Cause::Hung, format_args!("CPU {me}, late join: {why}"))
}
