//! The smallest kernel that flushes: one page, two CPUs, one flush.
#![no_std]
// On a host there is nothing to build.
#![cfg(feature = "freestanding")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "an address has 64 bits, and so has a usize here"
)]

mod cpus;
mod guard;
mod shootdown;
mod space;

use core::sync::atomic::{AtomicU64, Ordering};

use rar_kernel::{ExitCode, Once, clock, exit, println, smp};
use rar_shootdown::rar_percpu::CpuId;

use crate::guard::Pinned;
use crate::space::{Frame, Space};

/// The page under test, and what its two frames hold.
const PAGE: u64 = 0x4000_0000_0000;
const OLD: u64 = 0x1111;
const NEW: u64 = 0x2222;

static SPACE: Once<Space> = Once::new();
/// How far the two CPUs have come, and what CPU 1 has read at each step.
static STEP: AtomicU64 = AtomicU64::new(0);
static READ: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// What the boot CPU runs once all CPUs are up.
pub fn main() -> ! {
    let outcome = run();
    println!("{}", outcome.as_ref().err().unwrap_or(&"passed"));
    exit(match outcome {
        Ok(()) => ExitCode::Success,
        Err(_) => ExitCode::Failure,
    })
}

fn run() -> Result<(), &'static str> {
    shootdown::start()?;
    match cpus::detect() {
        Ok(entries) => println!("RAR: {entries} entries"),
        Err(reason) => println!("software answers: {reason}"),
    }
    let space = Space::new().map_err(|_| "no address space")?;
    let space = SPACE.set(space).ok_or("two spaces")?;
    let old = Frame::with(OLD).ok_or("no frame")?;
    space.map(PAGE, old).map_err(|_| "no page")?;
    on_all(|cpu| {
        if let Some(Err(error)) = shootdown::get().map(cpus::bring_online) {
            println!("CPU {cpu}: {error}");
        }
    })?;
    smp::run_on_all(|cpu| match cpu.get() {
        0 => remap_and_flush().unwrap_or_else(|why| println!("{why}")),
        1 => read_three_times(),
        _ => {}
    });
    wait_for(5)?;
    let [before, stale, after] = READ.each_ref().map(|read| read.load(Ordering::Acquire));
    println!("CPU 1 read {before:#x}, stale before the flush {stale:#x}, new after it {after:#x}");
    let statistics = shootdown::get().ok_or("no orchestrator")?.statistics();
    match (before, stale, after) {
        (OLD, OLD, NEW) if statistics.fallbacks + statistics.slotless == 0 => Ok(()),
        (OLD, OLD, NEW) => Err("the fallback flushed, not the signal"),
        (OLD, NEW, _) => Err("nothing was stale, so nothing is shown"),
        _ => Err("stale after the flush"),
    }
}

/// CPU 0: changes the page table, lets CPU 1 look, and flushes.
fn remap_and_flush() -> Result<(), &'static str> {
    let shootdown = shootdown::get().ok_or("no orchestrator")?;
    let space = SPACE.get().ok_or("no space")?;
    wait_for(1)?;
    let new = Frame::with(NEW).ok_or("no frame")?;
    let unmapped = space.map(PAGE, new).map_err(|_| "no page")?;
    STEP.store(2, Ordering::Release);
    wait_for(3)?;
    let pinned = Pinned::new();
    let pending = space.flush(
        shootdown,
        &pinned.cpu(),
        unmapped.ok_or("nothing was mapped")?,
    );
    // The other CPUs flush at this moment; this one could go on with other work.
    match pending.wait(&pinned.cpu()) {
        Ok(frame) => println!("frame {:#x} freed", frame.free()),
        // The frame stays with the flush, and leaks with it: some CPU may still use it. Wait again,
        // or stop that CPU.
        Err(late) => println!("{late}"),
    }
    STEP.store(4, Ordering::Release);
    Ok(())
}

/// CPU 1: caches the translation, reads through it after the change, and after the flush.
fn read_three_times() {
    let Some(space) = SPACE.get() else { return };
    if space.enter(&Pinned::new().cpu()).is_err() {
        return;
    }
    for (step, read) in (0..).zip(&READ) {
        if step > 0 && wait_for(2 * step).is_err() {
            break;
        }
        let page = core::ptr::with_exposed_provenance::<u64>(PAGE as usize);
        // SAFETY: the page is mapped in this space, which this CPU is in.
        let value = unsafe { page.read_volatile() };
        read.store(value, Ordering::Release);
        STEP.store(2 * step + 1, Ordering::Release);
    }
    space.leave(&Pinned::new().cpu());
}

fn wait_for(step: u64) -> Result<(), &'static str> {
    let reached = || STEP.load(Ordering::Acquire) >= step;
    let in_time = clock::wait_until(10_000, reached);
    in_time.then_some(()).ok_or("a CPU did not come this far")
}

fn on_all(job: fn(CpuId)) -> Result<(), &'static str> {
    smp::run_on_all(job);
    let in_time = clock::wait_until(10_000, smp::everyone_done);
    in_time.then_some(()).ok_or("a CPU did not come up")
}
