//! The boundary to physical memory, which the unit shares with every CPU.

use core::sync::atomic::{AtomicU8, Ordering};

/// Physical memory as the unit reads and writes it.
///
/// The memory is truly shared: other CPUs write payloads and arm bytes while the unit scans. An
/// implementation therefore keeps these orders, which the users of RAR rely on:
///
/// - [`load_u8`](Self::load_u8) acquires: it pairs with the Release store that armed the byte, so
///   that the payload read after it is the one written before.
/// - [`store_u8`](Self::store_u8) releases: the unit calls it after the invalidation, and a CPU
///   that acquires the byte may rely on that.
/// - [`load_u64`](Self::load_u64) is at least Relaxed and untorn per byte; the initiator leaves a
///   payload alone while a byte is PENDING.
///
/// An address without memory is a bug of the driver under test. Reads should then return all ones,
/// which is never PENDING, and stores be dropped, as on a bus without a device.
pub trait PhysicalMemory {
    /// Returns the byte at `address`, with Acquire ordering.
    fn load_u8(&self, address: u64) -> u8;

    /// Stores the byte at `address`, with Release ordering.
    fn store_u8(&self, address: u64, value: u8);

    /// Returns the little-endian quadword at `address`, a multiple of 8.
    fn load_u64(&self, address: u64) -> u64;
}

impl<M: PhysicalMemory + ?Sized> PhysicalMemory for &M {
    fn load_u8(&self, address: u64) -> u8 {
        M::load_u8(self, address)
    }

    fn store_u8(&self, address: u64, value: u8) {
        M::store_u8(self, address, value);
    }

    fn load_u64(&self, address: u64) -> u64 {
        M::load_u64(self, address)
    }
}

/// A piece of physical memory made of atomic bytes, enough for host tests.
#[derive(Clone, Copy, Debug)]
pub struct SharedBytes<'a> {
    base: u64,
    bytes: &'a [AtomicU8],
}

impl<'a> SharedBytes<'a> {
    /// Returns memory whose first byte has the physical address `base`.
    #[must_use]
    pub const fn new(base: u64, bytes: &'a [AtomicU8]) -> Self {
        Self { base, bytes }
    }

    /// Stores the little-endian quadword at `address`, byte by byte.
    pub fn store_u64(&self, address: u64, value: u64) {
        for (offset, byte) in (0..).zip(value.to_le_bytes()) {
            self.store_u8(address.wrapping_add(offset), byte);
        }
    }

    fn byte(&self, address: u64) -> Option<&AtomicU8> {
        let offset = address.checked_sub(self.base)?;
        self.bytes.get(usize::try_from(offset).ok()?)
    }
}

impl PhysicalMemory for SharedBytes<'_> {
    fn load_u8(&self, address: u64) -> u8 {
        self.byte(address)
            .map_or(u8::MAX, |byte| byte.load(Ordering::Acquire))
    }

    fn store_u8(&self, address: u64, value: u8) {
        if let Some(byte) = self.byte(address) {
            byte.store(value, Ordering::Release);
        }
    }

    fn load_u64(&self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        for (offset, byte) in (0..).zip(&mut bytes) {
            *byte = self.load_u8(address.wrapping_add(offset));
        }
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadwords_are_little_endian_and_nothing_answers_outside() {
        let bytes: [AtomicU8; 16] = core::array::from_fn(|_| AtomicU8::new(0));
        let memory = SharedBytes::new(0x1000, &bytes);
        memory.store_u64(0x1008, 0x0102_0304_0506_0708);
        assert_eq!(memory.load_u64(0x1008), 0x0102_0304_0506_0708);
        assert_eq!(memory.load_u8(0x1008), 8);
        assert_eq!(memory.load_u8(0xfff), 0xff);
        assert_eq!(memory.load_u64(0x1010), u64::MAX);
        memory.store_u8(0x1010, 1);
        assert_eq!(memory.load_u64(0x1000), 0);
    }
}
