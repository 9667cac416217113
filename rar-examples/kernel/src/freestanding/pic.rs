//! The legacy interrupt controllers, silenced.

use core::sync::atomic::{AtomicU8, Ordering};

use super::port::Port;

/// Lines 0 to 15 are moved here, out of the way of exceptions: a spurious one can come even when
/// all are masked.
pub(crate) const FIRST_VECTOR: u8 = 0x20;

/// The masks as firmware left them.
static MASKS: [AtomicU8; 2] = [const { AtomicU8::new(0xff) }; 2];

/// Returns the masks that the controllers had before [`mask`].
pub(crate) fn firmware_masks() -> [u8; 2] {
    MASKS.each_ref().map(|mask| mask.load(Ordering::Relaxed))
}

/// Where a BIOS has lines 0 to 7, and lines 8 to 15.
const BIOS_VECTORS: [u8; 2] = [0x08, 0x70];

/// Moves both controllers to vectors 0x20 to 0x2f and masks every line.
pub(crate) fn mask() {
    // SAFETY: the legacy interrupt controllers do not touch memory.
    let masks = unsafe { Port::several([0x21, 0xa1]) };
    for (port, kept) in masks.into_iter().zip(&MASKS) {
        kept.store(port.read8(), Ordering::Relaxed);
    }
    start([FIRST_VECTOR, FIRST_VECTOR + 8], [0xff; 2]);
}

/// Moves both controllers to where a BIOS has them, with the masks that firmware left.
pub(crate) fn give_back() {
    start(BIOS_VECTORS, firmware_masks());
}

/// Starts both controllers with these vectors for their first lines, and these masks.
fn start(vectors: [u8; 2], masks: [u8; 2]) {
    // SAFETY: the legacy interrupt controllers do not touch memory.
    let [command1, data1, command2, data2] = unsafe { Port::several([0x20, 0x21, 0xa0, 0xa1]) };
    let controllers = [(command1, data1, 4), (command2, data2, 2)];
    for (((command, data, wiring), vector), mask) in controllers.into_iter().zip(vectors).zip(masks)
    {
        command.write8(0x11);
        data.write8(vector);
        data.write8(wiring);
        data.write8(0x01);
        data.write8(mask);
    }
}
