//! What a BIOS left in the machine, for a kernel that gives the machine back to it.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{apic, io_apics, pic};

/// The size of conventional memory in KiB (the BIOS data area, 0040:0013).
const CONVENTIONAL: usize = 0x413;
/// Vector 0x18: the next boot device.
const NEXT_DEVICE: usize = 0x18 * 4;
/// The lowest segment of a BIOS and its option ROMs.
const ROM: u32 = 0xc000;
/// Conventional memory ends here at the latest, in KiB.
const MOST: u32 = 640;
const LEAST: u32 = 64;

static MEMORY: AtomicU32 = AtomicU32::new(0);
static VECTOR: AtomicU32 = AtomicU32::new(0);

/// A BIOS that can be called, and what it needs to find again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bios {
    /// The first byte behind the memory below 640 KiB that the BIOS leaves to others.
    pub conventional_end: u64,
    /// The masks of the legacy interrupt controllers, first and second.
    pub masks: [u8; 2],
}

/// Reads what the kernel changes, before it does. Called in the boot code's map, which has page 0.
pub(super) fn remember() {
    let read = |address: usize| {
        let place: *const u16 = core::ptr::with_exposed_provenance(address);
        // SAFETY: the map of the boot code has all of the first mebibyte; any bytes are a number.
        u32::from(unsafe { place.read_volatile() })
    };
    MEMORY.store(read(CONVENTIONAL), Ordering::Relaxed);
    VECTOR.store(read(NEXT_DEVICE + 2), Ordering::Relaxed);
}

/// Returns the BIOS that started the machine; `None` if none seems to have.
#[must_use]
pub fn find() -> Option<Bios> {
    let memory = MEMORY.load(Ordering::Relaxed);
    let is_rom = VECTOR.load(Ordering::Relaxed) >= ROM;
    ((LEAST..=MOST).contains(&memory) && is_rom).then(|| Bios {
        conventional_end: u64::from(memory) << 10,
        masks: pic::firmware_masks(),
    })
}

/// Moves the legacy controllers to where a BIOS has them, with the masks that firmware left, and
/// unmasks what it had live in the I/O APICs. Called with interrupts disabled, and they stay so.
pub fn give_back_legacy_controllers() {
    pic::give_back();
    io_apics::give_back();
}

/// Lets this CPU's APIC pass on the interrupts of the legacy controllers and non-maskable ones, as
/// a BIOS does: virtual wire mode (MultiProcessor Specification 1.4, section 3.6.2.2).
pub fn virtual_wire() {
    if let Some(apic) = apic::get() {
        apic.virtual_wire();
    }
}
