//! A PS/2 keyboard, asked now and then. Firmware often shows a USB keyboard as one; where nothing
//! answers there are no keys.

use super::port::Port;

/// The keys that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Space, Enter, or the arrow to the right.
    Next,
    /// The arrow to the left.
    Previous,
    /// `p`: the page stays.
    Pause,
    /// `r`: the end comes now.
    Reboot,
}

const OUTPUT_FULL: u8 = 1 << 0;
/// The byte comes from a mouse.
const FROM_MOUSE: u8 = 1 << 5;
/// What a port reads where there is no controller.
const ABSENT: u8 = 0xff;
/// A controller holds few bytes; a source that never ends is not a controller.
const MOST_BYTES: usize = 64;

/// Returns the key that was pressed since the last call, if one was.
#[must_use]
pub fn pressed() -> Option<Key> {
    // SAFETY: the keyboard controller's registers do not touch memory.
    let [data, status] = unsafe { Port::several([0x60, 0x64]) };
    for _ in 0..MOST_BYTES {
        let state = status.read8();
        if state == ABSENT || state & OUTPUT_FULL == 0 {
            return None;
        }
        let byte = data.read8();
        if state & FROM_MOUSE == 0
            && let Some(key) = meaning(byte)
        {
            return Some(key);
        }
    }
    None
}

/// Codes of set 1, which the controller makes of what keyboards send; releases and prefixes mean
/// nothing.
const fn meaning(code: u8) -> Option<Key> {
    match code {
        0x39 | 0x1c | 0x4d => Some(Key::Next),
        0x4b => Some(Key::Previous),
        0x19 => Some(Key::Pause),
        0x13 => Some(Key::Reboot),
        _ => None,
    }
}
