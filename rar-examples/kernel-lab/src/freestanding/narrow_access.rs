//! The page of the local APIC, accessed in every mode of the processor but 64-bit mode.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_kernel::irq::Disabled;
use rar_kernel::{LocalApic, apic, frames};

global_asm!(include_str!("narrow_access.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_lab_narrow_access(answers: u32, directory: u32, pointers: u32);
}

/// In the order in which they are tried.
const MODES: [&str; 11] = [
    "32-bit code of long mode",
    "16-bit code of long mode",
    "32-bit code without paging",
    "16-bit code without paging",
    "real mode",
    "32-bit code without long mode and paging",
    "16-bit code without long mode and paging",
    "32-bit code, 32-bit paging",
    "16-bit code, 32-bit paging",
    "32-bit code, PAE paging",
    "16-bit code, PAE paging",
];
const TASK_PRIORITY: u32 = 0x20;
/// What the upper half of the interrupt command holds meanwhile. Under a shim the machine's own
/// register does not have it: who answers is known by it.
const MARK: u32 = 0x5a00_0000;

/// What the assembly writes, and its page tables.
#[repr(C, align(4096))]
struct Memory {
    directory: [AtomicU32; 1024],
    large_pages: [[AtomicU64; 512]; 4],
    pointers: [AtomicU64; 512],
    answers: [[AtomicU32; 5]; MODES.len()],
}

/// Writable, present; a large page.
const TABLE: u64 = 0b1;
const LARGE: u64 = 0b1000_0011;
const LARGE_32: u32 = 0b1000_0011;

impl Memory {
    const fn new() -> Self {
        Self {
            directory: [const { AtomicU32::new(0) }; 1024],
            large_pages: [const { [const { AtomicU64::new(0) }; 512] }; 4],
            pointers: [const { AtomicU64::new(0) }; 512],
            answers: [const { [const { AtomicU32::new(0) }; 5] }; MODES.len()],
        }
    }

    /// Maps 4 GiB one to one, by both kinds of tables.
    fn map(&self) {
        for (entry, number) in self.directory.iter().zip(0_u32..) {
            entry.store(number << 22 | LARGE_32, Ordering::Relaxed);
        }
        for (entry, number) in self.large_pages.as_flattened().iter().zip(0_u64..) {
            entry.store(number << 21 | LARGE, Ordering::Relaxed);
        }
        for (entry, table) in self.pointers.iter().zip(&self.large_pages) {
            entry.store(address(table) | TABLE, Ordering::Relaxed);
        }
    }
}

fn address<T>(of: &T) -> u64 {
    core::ptr::from_ref(of).addr() as u64
}

/// Tries each mode; returns the first that is answered wrongly. Without the page of an xAPIC there
/// is nothing to try.
///
/// # Errors
///
/// The mode in words.
pub fn check() -> Result<(), &'static str> {
    let Some(LocalApic::Xapic { .. }) = apic::get() else {
        return Ok(());
    };
    let memory = frames::alloc_static(Memory::new()).ok_or("no memory")?;
    memory.map();
    let low = |address: u64| u32::try_from(address).map_err(|_| "no memory below 4 GiB");
    let answers = low(address(&memory.answers))?;
    let directory = low(address(&memory.directory))?;
    let pointers = low(address(&memory.pointers))?;
    let disabled = Disabled::new();
    // SAFETY: the kernel's image and this memory lie below 4 GiB and are mapped one to one, by the
    // tables made above, too; interrupts are disabled and no CPU sends this one an NMI.
    unsafe { rar_lab_narrow_access(answers, directory, pointers) };
    drop(disabled);
    let [[first, ..], ..] = &memory.answers;
    let version = first.load(Ordering::Acquire);
    let wanted = [version, version, TASK_PRIORITY, 0, MARK];
    for (answers, mode) in memory.answers.iter().zip(MODES) {
        let answers = answers.each_ref().map(|word| word.load(Ordering::Acquire));
        if version == 0 || answers != wanted {
            return Err(mode);
        }
    }
    Ok(())
}
