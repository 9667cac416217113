//! I/O ports.

/// One I/O port whose accesses do no harm to memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port(u16);

impl Port {
    /// Returns the port with this number.
    ///
    /// # Safety
    ///
    /// Neither reading nor writing the device behind the port, whatever the value, changes memory
    /// that Rust owns.
    pub(crate) const unsafe fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the ports with these numbers.
    ///
    /// # Safety
    ///
    /// As for [`Port::new`], for each.
    pub(crate) unsafe fn several<const N: usize>(numbers: [u16; N]) -> [Self; N] {
        numbers.map(Self)
    }

    pub(crate) fn read8(self) -> u8 {
        // SAFETY: ring 0, and the port is harmless by the promise of `new`.
        unsafe { x86::io::inb(self.0) }
    }

    pub(crate) fn write8(self, value: u8) {
        // SAFETY: ring 0, and the port is harmless by the promise of `new`.
        unsafe { x86::io::outb(self.0, value) }
    }

    pub(crate) fn write16(self, value: u16) {
        // SAFETY: ring 0, and the port is harmless by the promise of `new`.
        unsafe { x86::io::outw(self.0, value) }
    }

    pub(crate) fn read32(self) -> u32 {
        // SAFETY: ring 0, and the port is harmless by the promise of `new`.
        unsafe { x86::io::inl(self.0) }
    }

    pub(crate) fn write32(self, value: u32) {
        // SAFETY: ring 0, and the port is harmless by the promise of `new`.
        unsafe { x86::io::outl(self.0, value) }
    }
}
