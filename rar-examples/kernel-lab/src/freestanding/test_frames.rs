//! The frames that tests own.

use core::arch::asm;
use core::sync::atomic::AtomicU64;

use rar_kernel::frames::{self, PAGE};
use rar_kernel::int::word;
use rar_kernel::paging::{MapError, PageScope, PageSize, Permission, USER, leaf, map_alias};
use rar_kernel::{Kernel, kernel};
use rar_suite::{Access, FRAMES, Frame, LARGE_FRAMES, LongString, Mapping, Scope};

/// Where tests reach the small frames without going through a page under test. QEMU keeps
/// translations in a direct-mapped table, so the aliases have other low page numbers (0x400 on)
/// than the pages under test (0 on), which they would evict.
const ALIAS: u64 = 0xffff_8040_0040_0000;
const LARGE_LENGTH: u64 = 1 << 21;

/// The frames that tests own: the small ones reached through aliases, the large ones through the
/// identity map.
#[derive(Debug)]
pub(crate) struct TestFrames {
    small: u64,
    large: u64,
}

impl TestFrames {
    pub(crate) fn take() -> Result<Self, MapError> {
        let small = frames::take(u64::from(FRAMES), PAGE).ok_or(MapError::OutOfFrames)?;
        let large = frames::take(
            u64::from(LARGE_FRAMES) * (LARGE_LENGTH / PAGE),
            LARGE_LENGTH,
        )
        .ok_or(MapError::OutOfFrames)?;
        for number in 0..u64::from(FRAMES) {
            map_alias(ALIAS + number * PAGE, small + number * PAGE)?;
        }
        Ok(Self { small, large })
    }

    /// Returns the aliases of the small frames.
    pub(crate) fn aliases() -> impl Iterator<Item = u64> {
        (ALIAS..).step_by(word(PAGE)).take(usize::from(FRAMES))
    }

    /// Moves one large frame to the other, or fills it, by one instruction.
    pub(crate) fn run_string(&self, string: LongString) {
        let [from, to] = [0, 1].map(|number| self.physical(Frame::Large(number)));
        match string {
            // SAFETY: frames of these tests, mapped one to one forever and 2 MiB long; no other
            // test uses them at the same time. The direction flag is clear, as the ABI has it.
            LongString::Move => unsafe {
                asm!(
                    "rep movsb",
                    inout("rcx") LARGE_LENGTH => _,
                    inout("rsi") from => _,
                    inout("rdi") to => _,
                    options(nostack, preserves_flags),
                );
            },
            // SAFETY: as above.
            LongString::Store => unsafe {
                asm!(
                    "rep stosb",
                    inout("rcx") LARGE_LENGTH => _,
                    inout("rdi") to => _,
                    in("al") 0_u8,
                    options(nostack, preserves_flags),
                );
            },
        }
    }

    fn physical(&self, frame: Frame) -> u64 {
        match frame {
            Frame::Small(number) => self.small + u64::from(number % FRAMES) * PAGE,
            Frame::Large(number) => self.large + u64::from(number % LARGE_FRAMES) * LARGE_LENGTH,
        }
    }

    /// Returns a word of a frame.
    pub(crate) fn word(&self, frame: Frame, number: u16) -> &AtomicU64 {
        let (start, length) = match frame {
            Frame::Small(number) => (ALIAS + u64::from(number % FRAMES) * PAGE, PAGE),
            Frame::Large(_) => (self.physical(frame), LARGE_LENGTH),
        };
        let word: *const AtomicU64 =
            core::ptr::with_exposed_provenance(word(start + 8 * u64::from(number) % length));
        // SAFETY: memory taken from the free frames and never given back, aligned, mapped forever;
        // Rust reaches it only as atomics, and the stores of tests through the region are single
        // instructions of 8 bytes.
        unsafe { &*word }
    }

    /// Returns the entry for a mapping; zero is not present.
    pub(crate) fn leaf(&self, mapping: Option<Mapping>) -> u64 {
        let Some(mapping) = mapping else { return 0 };
        let scope = match mapping.scope {
            Scope::Global if kernel().is_some_and(Kernel::has_global_pages) => PageScope::Global,
            Scope::Global | Scope::Space => PageScope::OneSpace,
        };
        let (permission, user) = match mapping.access {
            Access::User => (Permission::Write, USER),
            Access::Write => (Permission::Write, 0),
            Access::Read => (Permission::Read, 0),
        };
        let size = match mapping.frame {
            Frame::Small(_) => PageSize::Size4K,
            Frame::Large(_) => PageSize::Size2M,
        };
        let bits = leaf(self.physical(mapping.frame), permission, scope, size);
        bits | user
    }
}
