//! The palette of a VGA, for pixels that number its colours.

use crate::freestanding::port::Port;
use crate::palette;

/// The registers of a VGA's converter: a mask on the numbers, the number that is written next, and
/// the brightness of its colours, one after the other (IBM VGA, "Video DAC").
const CONVERTER: [u16; 3] = [0x3c6, 0x3c8, 0x3c9];

/// Sets the colours that numbers stand for; returns whether a VGA keeps what it is sent.
pub(super) fn set() -> bool {
    // SAFETY: the converter's registers do not touch memory.
    let [mask, number, brightness] = unsafe { Port::several(CONVERTER) };
    let answers = [0x5a, 0xa5].into_iter().all(|value| {
        number.write8(value);
        number.read8() == value
    });
    if answers {
        mask.write8(0xff);
        number.write8(0);
        for level in palette().flatten() {
            brightness.write8(level);
        }
    }
    answers
}
