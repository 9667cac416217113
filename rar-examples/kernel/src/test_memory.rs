//! A buffer that stands for physical memory in host tests.

use crate::PhysicalMemory;

pub(crate) struct TestMemory {
    base: u64,
    bytes: Vec<u8>,
}

impl TestMemory {
    pub(crate) fn new(base: u64, length: usize) -> Self {
        Self {
            base,
            bytes: vec![0; length],
        }
    }

    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = usize::try_from(address - self.base).unwrap();
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl PhysicalMemory for TestMemory {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let at = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.bytes.get(at..at.checked_add(length)?)
    }
}
