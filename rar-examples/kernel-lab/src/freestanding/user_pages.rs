//! The pages of user mode, and the loop that runs there.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use rar_kernel::frames::{self, PAGE};
use rar_kernel::int::word;
use rar_kernel::paging::{MapError, Permission, map_user};
use rar_kernel::user_mode::{self, UserRegisters};
use rar_kernel::vector;
use rar_percpu::CpuId;
use rar_suite::MAX_CPUS;

global_asm!(
    include_str!("user_loop.s"),
    end = const vector::USER_END,
    options(att_syntax),
);

unsafe extern "C" {
    static rar_lab_user_loop: [u8; 0];
    static rar_lab_user_loop_end: [u8; 0];
}

/// Pages of user mode, in a top entry of their own, with page numbers that end in 0xc0 to 0xd0:
/// QEMU keeps translations in a direct-mapped table, of 256 entries at first, and the test's page
/// ends in 0.
const CODE: u64 = 0x6000_000c_0000;
const NOTES: u64 = CODE + PAGE;
/// Each CPU has a cache line.
const EACH: usize = 64;
const NOTES_PAGES: u64 = (EACH * MAX_CPUS) as u64 / PAGE;

/// What a spin and the kernel share.
#[derive(Debug)]
#[repr(C, align(64))]
struct Notes {
    rounds: AtomicU64,
    ending: AtomicU64,
}

const _: () = assert!(
    size_of::<Notes>() == EACH,
    "the pages hold one for each CPU"
);

/// The memory of user mode.
#[derive(Debug)]
pub(crate) struct UserPages {
    notes: &'static [Notes; MAX_CPUS],
}

impl UserPages {
    /// Maps the pages of user mode; before the spaces, which share what the kernel's space has by
    /// then.
    pub(crate) fn new() -> Result<Self, MapError> {
        let take = |pages| frames::take(pages, PAGE).ok_or(MapError::OutOfFrames);
        let code: *mut u8 = core::ptr::with_exposed_provenance_mut(word(take(1)?));
        let bytes = user_loop();
        // SAFETY: a frame of our own in the identity map, and the loop is shorter than a page.
        unsafe { code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        map_user(CODE, code.addr() as u64, Permission::Execute)?;
        let notes = take(NOTES_PAGES)?;
        for page in 0..NOTES_PAGES {
            map_user(NOTES + page * PAGE, notes + page * PAGE, Permission::Write)?;
        }
        let notes: *const [Notes; MAX_CPUS] = core::ptr::with_exposed_provenance(word(notes));
        // SAFETY: cleared frames of our own, never given back, as long and as aligned as the array;
        // user mode and Rust use the words as atomics.
        let notes = unsafe { &*notes };
        Ok(Self { notes })
    }

    /// Loads the page at `address` in user mode, again and again, until it does not hold `value`,
    /// the loop is to end, or the time stamp counter reaches `deadline`; returns what the last load
    /// found. Called on the CPU that it names.
    pub(crate) fn spin(&self, cpu: CpuId, address: u64, value: u64, deadline: u64) -> u64 {
        let notes = self.of(cpu);
        notes.ending.store(0, Ordering::Release);
        let registers = UserRegisters {
            rip: CODE,
            rdi: address,
            rsi: NOTES + (EACH * cpu.index()) as u64,
            r8: deadline,
            r10: value,
        };
        // SAFETY: 1. The page of the loop was filled in when it was mapped, and has no other
        // writable mapping in use; the loop keeps R12 and ends at the deadline. 2. It writes the
        // notes of this CPU. 3. Only the pages mapped here, and frames that tests own, are of user
        // mode.
        let found = unsafe { user_mode::run(registers) };
        notes.rounds.store(0, Ordering::Release);
        found
    }

    /// Returns how many loads a CPU has made.
    pub(crate) fn rounds(&self, cpu: CpuId) -> u64 {
        self.of(cpu).rounds.load(Ordering::Acquire)
    }

    /// Ends the loop of a CPU.
    pub(crate) fn end(&self, cpu: CpuId) {
        self.of(cpu).ending.store(1, Ordering::Release);
    }

    fn of(&self, cpu: CpuId) -> &Notes {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.notes[cpu.index()]
    }
}

/// The instructions of the loop, wherever they are copied to.
fn user_loop() -> &'static [u8] {
    let start = &raw const rar_lab_user_loop;
    let length = (&raw const rar_lab_user_loop_end)
        .addr()
        .saturating_sub(start.addr());
    // SAFETY: `user_loop.s` has the second symbol behind the first in one section, which is
    // read-only.
    unsafe { core::slice::from_raw_parts(start.cast(), length) }
}
