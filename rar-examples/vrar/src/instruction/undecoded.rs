//! An instruction that one CPU leaves for others to read.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::instruction::code::{Code, CodeSize, LONGEST};

const NONE: u8 = 0;
const SIZES: [CodeSize; 3] = [CodeSize::Bits16, CodeSize::Bits32, CodeSize::Bits64];

/// An instruction that the shim could not carry out, if there was one.
#[derive(Debug)]
pub(crate) struct Undecoded {
    /// [`NONE`], or the place of the size in [`SIZES`] and one.
    size: AtomicU8,
    address: AtomicU64,
    bytes: [AtomicU8; LONGEST],
}

impl Undecoded {
    pub(crate) const fn new() -> Self {
        Self {
            size: AtomicU8::new(NONE),
            address: AtomicU64::new(0),
            bytes: [const { AtomicU8::new(0) }; LONGEST],
        }
    }

    pub(crate) fn set(&self, code: &Code) {
        self.address.store(code.address, Ordering::Relaxed);
        for (place, byte) in self.bytes.iter().zip(code.bytes) {
            place.store(byte, Ordering::Relaxed);
        }
        let number = SIZES.iter().zip(1..).find(|(size, _)| **size == code.size);
        // Release pairs with the Acquire in `get`.
        let size = number.map_or(NONE, |(_, number)| number);
        self.size.store(size, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.size.store(NONE, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<Code> {
        let place = self.size.load(Ordering::Acquire).checked_sub(1)?;
        Some(Code {
            size: *SIZES.get(usize::from(place))?,
            address: self.address.load(Ordering::Relaxed),
            bytes: self
                .bytes
                .each_ref()
                .map(|byte| byte.load(Ordering::Relaxed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_can_be_read() {
        let place = Undecoded::new();
        assert_eq!(place.get(), None);
        for size in SIZES {
            let code = Code {
                size,
                address: 0xfff0,
                bytes: [7; LONGEST],
            };
            place.set(&code);
            assert_eq!(place.get(), Some(code));
        }
        place.clear();
        assert_eq!(place.get(), None);
    }
}
