//! Physical addresses of our own memory.

/// Finds the physical address of memory that a RAR unit shall read.
///
/// # Implementation safety
///
/// The address goes into a register that microcode follows, so an implementer promises: the `bytes`
/// bytes at `virtual_address` are mapped, physically contiguous, ordinary write-back memory, and
/// stay at the returned physical address for as long as the memory lives.
#[expect(unsafe_code, reason = "microcode follows the address")]
pub unsafe trait PhysicalAddressOf {
    /// Returns the physical address of the memory, or `None` if it cannot be told.
    fn physical_address_of(&self, virtual_address: *const (), bytes: usize) -> Option<u64>;
}

#[expect(
    unsafe_code,
    reason = "forwards to an implementation that has promised the same"
)]
// SAFETY: the promise of `T` holds for a reference to it.
unsafe impl<T: PhysicalAddressOf> PhysicalAddressOf for &T {
    fn physical_address_of(&self, virtual_address: *const (), bytes: usize) -> Option<u64> {
        T::physical_address_of(self, virtual_address, bytes)
    }
}
