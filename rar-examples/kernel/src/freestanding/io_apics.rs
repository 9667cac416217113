//! The I/O APICs, silenced: firmware may have left entries that interrupt.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::notes::note;
use super::paging;
use super::spin::SpinLock;
use crate::io_apic::{IoApicRegisters, LiveEntry, mask_entries, restore_entry};
use crate::{IoApicList, LiveEntries, MemoryMap};

/// Bytes from the selector to the end of the window.
const LENGTH: u32 = 0x20;
const WINDOW: usize = 0x10;
/// Entries that can be given back.
const KEPT: usize = 64;

static MASKED: SpinLock<[Option<(u32, LiveEntry)>; KEPT]> = SpinLock::new([None; KEPT]);

/// Registers that are mapped one to one.
struct Mapped(NonNull<AtomicU32>);

impl Mapped {
    /// Maps the registers.
    fn new(address: u32) -> Option<Self> {
        paging::map_device(u64::from(address), u64::from(LENGTH)).ok()?;
        let selector: *mut AtomicU32 = core::ptr::with_exposed_provenance_mut(address as usize);
        NonNull::new(selector).map(Self)
    }

    fn selector(&self) -> &AtomicU32 {
        // SAFETY: mapped by `new`, forever and uncached.
        unsafe { self.0.as_ref() }
    }

    fn window(&self) -> &AtomicU32 {
        // SAFETY: `new` maps this far.
        let window = unsafe { self.0.byte_add(WINDOW) };
        // SAFETY: as in `selector`.
        unsafe { window.as_ref() }
    }
}

impl IoApicRegisters for Mapped {
    fn selected(&self) -> u32 {
        self.selector().load(Ordering::Relaxed)
    }

    fn select(&self, number: u32) {
        self.selector().store(number, Ordering::Release);
    }

    fn read(&self) -> u32 {
        self.window().load(Ordering::Acquire)
    }

    fn write(&self, value: u32) {
        self.window().store(value, Ordering::Release);
    }
}

/// Masks the entries of every I/O APIC of the list, and notes which could interrupt. Registers that
/// would lie in RAM, or upon those of the local APICs, are left alone.
pub(super) fn mask_all(list: &IoApicList, map: &MemoryMap, local_apic: u64) {
    for &address in list.addresses() {
        if let Err(why) = mask(address, map, local_apic) {
            note(format_args!(
                "I/O APIC at {address:#x} by the MADT: left alone, {why}"
            ));
        }
    }
    let dropped = list.dropped();
    if dropped > 0 {
        note(format_args!("I/O APICs: {dropped} too many are left alone"));
    }
}

/// Masks one; returns why not.
fn mask(address: u32, map: &MemoryMap, local_apic: u64) -> Result<(), &'static str> {
    let (start, end) = (u64::from(address), u64::from(address) + u64::from(LENGTH));
    if address == 0 || !address.is_multiple_of(16) {
        return Err("no device has that address");
    }
    if start >> 12 == local_apic >> 12 {
        return Err("the local APICs are there");
    }
    if map.has_ram(start, end) {
        return Err("RAM is there");
    }
    let registers = Mapped::new(address).ok_or("it cannot be mapped")?;
    let (mut masked, mut left) = (LiveEntries::MASKED, LiveEntries::LEFT);
    let found = mask_entries(&registers, |entry| {
        if entry.calls_firmware() {
            left.add(entry);
        } else {
            masked.add(entry);
            keep(address, entry);
        }
    });
    match found {
        Ok(inputs) => {
            for entries in [masked, left] {
                if let Some(told) = entries.among(inputs) {
                    note(format_args!("I/O APIC at {address:#x}: {told}"));
                }
            }
        }
        Err(why) => note(format_args!(
            "I/O APIC at {address:#x} by the MADT: left alone, {why}"
        )),
    }
    Ok(())
}

fn keep(address: u32, entry: LiveEntry) {
    if let Some(place) = MASKED.lock().iter_mut().find(|place| place.is_none()) {
        *place = Some((address, entry));
    }
}

/// Lets the entries interrupt as firmware left them.
pub(super) fn give_back() {
    let masked = *MASKED.lock();
    for (address, entry) in masked.iter().flatten() {
        if let Some(registers) = Mapped::new(*address) {
            restore_entry(&registers, entry);
        }
    }
}
