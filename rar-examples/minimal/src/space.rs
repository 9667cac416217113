//! One address space: which CPUs may cache it, and how a page leaves it.

use core::sync::atomic::{Ordering, fence};

use rar_kernel::frames;
use rar_kernel::paging::{self, AddressSpace, MapError, PageScope, PageSize, Permission};
use rar_shootdown::rar_payload::{self, PageRange, Pcid, Request};
use rar_shootdown::rar_percpu::{AtomicCpuSet, CpuOutOfRange, PinnedCpu};
use rar_shootdown::{Pending, X86Machine};

use crate::shootdown::KernelShootdown;

/// An address space, and the CPUs that may cache its translations.
pub(crate) struct Space {
    tables: AddressSpace,
    cpus: AtomicCpuSet<1>,
}

/// A frame of memory. Its owner may free it.
#[derive(Debug)]
pub(crate) struct Frame(u64);

impl Frame {
    /// Takes a frame and writes a number to its start.
    pub(crate) fn with(number: u64) -> Option<Self> {
        let frame = frames::take(1, 4096)?;
        let word = core::ptr::with_exposed_provenance_mut::<u64>(frame as usize);
        // SAFETY: the frame is mapped one to one, and has no other user.
        unsafe { word.write_volatile(number) };
        Some(Self(frame))
    }

    /// Gives the frame back. This kernel only counts; another would have to be sure that no CPU
    /// reaches it any more.
    pub(crate) fn free(self) -> u64 {
        self.0
    }
}

impl Space {
    /// Makes a space that shares the kernel's own half.
    pub(crate) fn new() -> Result<Self, MapError> {
        let tables = AddressSpace::sharing_kernel()?;
        Ok(Self {
            tables,
            cpus: AtomicCpuSet::new(),
        })
    }

    /// Switches this CPU to the space: into the set, full fence, then CR3.
    pub(crate) fn enter(&self, cpu: &PinnedCpu<'_>) -> Result<(), CpuOutOfRange> {
        self.cpus.insert(cpu.id())?;
        fence(Ordering::SeqCst);
        self.tables.enter();
        Ok(())
    }

    /// Switches this CPU away: CR3 first, then out of the set.
    pub(crate) fn leave(&self, cpu: &PinnedCpu<'_>) {
        paging::enter_kernel_space();
        // SAFETY: 1. PCIDs are off here, so the load of CR3 has flushed what was cached of the
        // space; nothing in it is global.
        // 2. The CPU caches it again only after `enter`.
        unsafe { self.cpus.remove(cpu.id()) };
    }

    /// Maps a page to a frame, and returns the frame that it led to. Others may still use that one
    /// until a flush has ended.
    pub(crate) fn map(&self, address: u64, frame: Frame) -> Result<Option<Unmapped>, MapError> {
        let entry = self.tables.entry(address, PageSize::Size4K)?;
        let (permission, scope) = (Permission::Write, PageScope::OneSpace);
        let leaf = paging::leaf(frame.0, permission, scope, PageSize::Size4K);
        let old = entry.swap(leaf, Ordering::AcqRel);
        Ok((old & 1 != 0).then_some(Unmapped {
            address,
            frame: Frame(old & 0x000f_ffff_ffff_f000),
        }))
    }

    /// Starts the flush of a page that was unmapped. The flush owns the frame: it comes back only
    /// when no CPU can reach it.
    pub(crate) fn flush<'s>(
        &self,
        shootdown: &'s KernelShootdown,
        cpu: &PinnedCpu<'_>,
        unmapped: Unmapped,
    ) -> Pending<'s, X86Machine, Frame, 1> {
        let pcid = Pcid::ZERO;
        let request = match PageRange::page(unmapped.address, rar_payload::PageSize::Size4K) {
            Ok(range) => Request::Pages { pcid, range },
            // What cannot be named is flushed with all the rest.
            Err(_) => Request::AddressSpace { pcid },
        };
        shootdown.start(cpu, &[request], &self.cpus, unmapped.frame)
    }
}

/// A frame that some CPU may still reach by a stale translation.
pub(crate) struct Unmapped {
    address: u64,
    frame: Frame,
}
