//! Memory that the shim hides: a CPU that touches it is gone, and says where it was.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_kernel::frames::{self, PAGE};
use rar_kernel::int::word;
use rar_kernel::{clock, percpu, smp};
use rar_percpu::CpuId;
use rar_regs::ApicId;
use rar_vrar::{HIDE, HideError};

use super::shim;

/// How long the CPU may take.
const MILLISECONDS: u64 = 10_000;
/// What lies in the memory.
const CONTENT: u64 = 0x7e57_0000_c0de;
/// Where in its page it is touched.
const OFFSET: u64 = 0x128;
/// The exit code of a nested page fault.
const NESTED_PAGE_FAULT: u64 = 0x400;

/// What the CPU with this APIC id is to read.
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static READER: AtomicU32 = AtomicU32::new(u32::MAX);
static READ: AtomicU64 = AtomicU64::new(0);

/// Hides a page and loses the CPU with this APIC id by it; before, the same CPU reads the page.
/// `gone` are CPUs that do not work any more. Returns whether nested paging is on.
///
/// # Errors
///
/// Says what is not as the shim promises.
pub fn lose(reader: ApicId, gone: impl Fn(u32) -> bool) -> Result<bool, &'static str> {
    let shim = shim::shim().ok_or("there is no shim")?;
    let page = frames::take(1, PAGE).ok_or("no memory to be hidden")?;
    match shim.hide(page..page + PAGE) {
        Ok(()) => {}
        Err(HideError::NoNestedPaging) => return Ok(false),
        Err(_) => return Err("a page cannot be hidden"),
    }
    ADDRESS.store(page + OFFSET, Ordering::Relaxed);
    READER.store(reader.get(), Ordering::Release);
    // SAFETY: a frame that was just taken, mapped one to one.
    unsafe { place().write_volatile(CONTENT) };
    let others = || smp::all().filter(|cpu| !gone(cpu.number()));
    smp::run_on_all(read);
    if !clock::wait_until(MILLISECONDS, || smp::done(others()))
        || READ.load(Ordering::Acquire) != CONTENT
    {
        return Err("memory that is to be hidden was lost too early");
    }
    if hide() != 0 {
        return Err("memory was not hidden");
    }
    smp::run_on_all(read);
    let stray = || shim::of(reader.get())?.stray();
    if !clock::wait_until(MILLISECONDS, || stray().is_some()) {
        return Err("an access to hidden memory was not reported");
    }
    let instruction = (read as fn(CpuId) as *const ()).addr() as u64;
    match stray() {
        Some(stray)
            if stray.address == page + OFFSET
                && (instruction..instruction + PAGE).contains(&stray.instruction) => {}
        _ => return Err("an access to hidden memory was reported with a wrong place"),
    }
    if shim::gone(reader.get()) != Some(NESTED_PAGE_FAULT) {
        return Err("an access to hidden memory was reported as something else");
    }
    Ok(true)
}

fn place() -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(word(ADDRESS.load(Ordering::Acquire)))
}

fn read(_: CpuId) {
    if percpu::this().apic_id().get() == READER.load(Ordering::Acquire) {
        // SAFETY: the frame that `lose` has taken. Where it is hidden, the CPU ends here.
        READ.store(unsafe { place().read_volatile() }, Ordering::Release);
    }
}

/// Returns what the shim leaves in RAX.
fn hide() -> u64 {
    let answer;
    // SAFETY: ring 0, under the shim with nested paging, where it is asked for the first time. Only
    // the page is hidden, which nothing uses but `read`.
    unsafe { asm!("vmmcall", inout("rax") HIDE => answer, options(nostack)) };
    answer
}
