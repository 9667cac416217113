//! The flusher, and the lock that is held while it flushes.
#![forbid(unsafe_code)]

use core::mem::take;

use rar_shape_hardware::{Frame, Locked, PAGE, PageTable, SpinLock};
use rar_shootdown::rar_payload::{Pcid, Request};
use rar_shootdown::rar_percpu::{AtomicCpuSet, PinnedCpu};

use crate::machine::{SHOOTDOWN, WORDS};
use crate::promises::InterruptsDisabled;

/// How many frames wait for one flush.
const BATCH: usize = 32;

/// An address space: the CPUs that use it, and its page table behind a lock.
#[derive(Debug, Default)]
pub struct AddressSpace {
    /// The CPUs that may cache translations of the space.
    pub users: AtomicCpuSet<WORDS>,
    table: SpinLock<PageTable>,
}

impl AddressSpace {
    /// Locks the page table. While this CPU spins, it serves flushes.
    ///
    /// The holder may be waiting for this CPU, whose interrupts are disabled.
    pub fn lock(&self, guard: &InterruptsDisabled) -> Locked<'_, PageTable> {
        let cpu = PinnedCpu::from_guard(guard);
        self.table.lock(|| {
            SHOOTDOWN.serve(&cpu);
        })
    }

    /// Unmaps pages and frees their frames.
    pub fn unmap(&self, guard: &InterruptsDisabled, first: u64, pages: u64) {
        let table = self.lock(guard);
        // Dropped before `table`: it flushes and frees while the lock is held.
        let mut flusher = Flusher::new(self, guard);
        for page in 0..pages {
            if let Some(frame) = table.unmap(first + page * PAGE) {
                flusher.queue(frame);
            }
        }
    }
}

/// Flushes an address space before it frees frames.
#[derive(Debug)]
pub struct Flusher<'a> {
    space: &'a AddressSpace,
    guard: &'a InterruptsDisabled,
    frames: [Option<Frame>; BATCH],
    length: usize,
}

impl<'a> Flusher<'a> {
    /// Returns a flusher that has nothing to flush.
    #[must_use]
    pub const fn new(space: &'a AddressSpace, guard: &'a InterruptsDisabled) -> Self {
        Self {
            space,
            guard,
            frames: [const { None }; BATCH],
            length: 0,
        }
    }

    /// Takes a frame that the page table does not map any more.
    pub fn queue(&mut self, frame: Frame) {
        if self.length == BATCH {
            self.flush();
        }
        if let Some(place) = self.frames.get_mut(self.length) {
            *place = Some(frame);
            self.length += 1;
        }
    }

    /// Flushes the address space and frees the frames. It cannot fail.
    pub fn flush(&mut self) {
        if take(&mut self.length) == 0 {
            return;
        }
        let cpu = PinnedCpu::from_guard(self.guard);
        let request = Request::AddressSpace { pcid: Pcid::ZERO };
        let frames = take(&mut self.frames);
        let flight = SHOOTDOWN.start(&cpu, &[request], &self.space.users, frames);
        // The frames are freed here, or leaked if a CPU stays silent.
        drop(flight.wait_or_leak(&cpu));
    }
}

impl Drop for Flusher<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
