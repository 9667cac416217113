//! The pages of user mode, and the suite's way to it.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_percpu::CpuId;
use rar_suite::{MAX_CPUS, Page, UserMode};

use super::KernelLab;
use super::space::address;
use crate::freestanding::address::word;
use crate::freestanding::cpu::user::{self, Spin};
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::paging::{MapError, Permission, map_user};
use crate::freestanding::{clock, lost, percpu};

/// Pages of user mode, in a top entry of their own, with page numbers that end in 0xC0 to 0xD0: QEMU keeps translations in a direct-mapped table, of
/// 256 entries at first, and the test's page ends in 0.
const CODE: u64 = 0x6000_000C_0000;
const NOTES: u64 = CODE + PAGE;
/// Each CPU has a cache line.
const EACH: usize = 64;
const NOTES_PAGES: u64 = (EACH * MAX_CPUS) as u64 / PAGE;

/// What a spin and the kernel tell each other.
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
pub(super) struct UserPages {
    notes: &'static [Notes; MAX_CPUS],
}

impl UserPages {
    /// Maps the pages of user mode; before the spaces, which share what the kernel's space has by then.
    pub(super) fn new() -> Result<Self, MapError> {
        let take = |pages| frames::take(pages, PAGE).ok_or(MapError::OutOfFrames);
        let code: *mut u8 = core::ptr::with_exposed_provenance_mut(word(take(1)?));
        let bytes = user::code();
        // SAFETY: a frame of our own in the identity map, and the loop is shorter than a page.
        unsafe { code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        map_user(CODE, code.addr() as u64, Permission::Execute)?;
        let notes = take(NOTES_PAGES)?;
        for page in 0..NOTES_PAGES {
            map_user(NOTES + page * PAGE, notes + page * PAGE, Permission::Write)?;
        }
        let notes: *const [Notes; MAX_CPUS] = core::ptr::with_exposed_provenance(word(notes));
        // SAFETY: cleared frames of our own, never given back, as long and as aligned as the array; user mode and Rust use the words as atomics.
        let notes = unsafe { &*notes };
        Ok(Self { notes })
    }

    fn of(&self, cpu: CpuId) -> &Notes {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.notes[cpu.index()]
    }
}

impl UserMode for KernelLab {
    fn spin(&self, page: Page, value: u64, milliseconds: u64) -> u64 {
        lost::stop_if_wanted();
        let me = percpu::this().id();
        let notes = self.user.of(me);
        notes.ending.store(0, Ordering::Release);
        let length = milliseconds.saturating_mul(clock::ticks_per_millisecond());
        let spin = Spin {
            page: address(page),
            notes: NOTES + (EACH * me.index()) as u64,
            value,
            deadline: clock::now().saturating_add(length),
            code: CODE,
        };
        // SAFETY: 1. The page was filled in when it was mapped, and has no other writable mapping in use. 2. The notes of this CPU. 3. Only
        // the pages mapped here, and frames that tests own, are of user mode.
        let found = unsafe { user::spin(spin) };
        notes.rounds.store(0, Ordering::Release);
        found
    }

    fn rounds(&self, cpu: CpuId) -> u64 {
        self.user.of(cpu).rounds.load(Ordering::Acquire)
    }

    fn leave(&self, cpu: CpuId) {
        self.user.of(cpu).ending.store(1, Ordering::Release);
    }
}
