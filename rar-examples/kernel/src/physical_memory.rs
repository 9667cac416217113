//! The boundary through which firmware and loader structures are read.

/// Physical memory that can be read as bytes.
///
/// The kernel implements it over its identity map, tests over a buffer.
pub trait PhysicalMemory {
    /// Returns `length` bytes at the physical `address`, or nothing where there is no memory to
    /// read.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}
