//! The high precision event timer, as firmware left it: only read.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::int::word;
use super::paging;
use crate::{ClockSource, MemoryMap, Timer, hpet_frequency};

/// Bytes of the registers.
const LENGTH: u64 = 0x400;
/// The period of the counter, in femtoseconds.
const PERIOD: usize = 0x004;
const CONFIGURATION: usize = 0x010;
/// The counter runs.
const ENABLED: u32 = 1;
/// The lower half of the counter.
const COUNTER: usize = 0x0f0;

/// A counter that runs.
pub(super) struct Hpet {
    registers: NonNull<u8>,
    frequency: u64,
}

impl Hpet {
    /// Finds the registers at this address, by a table with a right checksum. `None` if RAM is
    /// there, if there is no such timer, or if it does not run.
    pub(super) fn find(address: u64, map: &MemoryMap) -> Option<Self> {
        if map.has_ram(address, address.checked_add(LENGTH)?) {
            return None;
        }
        paging::map_device(address, LENGTH).ok()?;
        let mut hpet = Self {
            registers: NonNull::new(core::ptr::with_exposed_provenance_mut(word(address)))?,
            frequency: 0,
        };
        hpet.frequency = hpet_frequency(hpet.read(PERIOD))?;
        (hpet.read(CONFIGURATION) & ENABLED != 0).then_some(hpet)
    }

    pub(super) fn timer(&self) -> Timer {
        Timer {
            source: ClockSource::Hpet,
            frequency: self.frequency,
            mask: u64::from(u32::MAX),
        }
    }

    pub(super) fn count(&self) -> u64 {
        u64::from(self.read(COUNTER))
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: `find` maps all registers, uncached and forever.
        let register = unsafe { self.registers.byte_add(register) };
        // SAFETY: as above, and each register is aligned as the table's address is.
        let register = unsafe { register.cast::<AtomicU32>().as_ref() };
        register.load(Ordering::Acquire)
    }
}
