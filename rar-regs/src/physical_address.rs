//! How wide a physical address is, and what an address register accepts.

use core::fmt;

use crate::Cpuid;

/// Highest extended CPUID leaf, in EAX.
const HIGHEST_EXTENDED_LEAF: u32 = 0x8000_0000;
/// Address widths: the physical one in EAX bits 7:0.
const ADDRESS_WIDTH_LEAF: u32 = 0x8000_0008;
/// What a CPU without that leaf has (SDM vol. 3, Enumeration of Paging Features by CPUID; PAE
/// present).
const WIDTH_WITHOUT_LEAF: u8 = 36;

/// The number of bits in a physical address, MAXPHYADDR: 32 to 52.
///
/// The hardware's own number. Where memory encryption takes the upper bits for keys, addresses that
/// software may use are shorter; whether RAR accepts key bits in its address registers is unknown.
#[doc(alias = "MAXPHYADDR")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhysicalAddressWidth(u8);

impl PhysicalAddressWidth {
    /// The narrowest width of a CPU with 64-bit mode that makes sense: 32 bits.
    pub const MIN: Self = Self(32);

    /// The widest that the architecture allows: 52 bits (SDM vol. 3, 4-Level Paging and 5-Level
    /// Paging).
    pub const MAX: Self = Self(52);

    /// Returns the width of this many bits, or `None` outside 32 to 52.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Returns what CPUID reports: leaf `0x8000_0008`, or 36 bits on a CPU without that leaf.
    ///
    /// # Errors
    ///
    /// The reported number of bits, if it is outside 32 to 52.
    pub fn detect<C: Cpuid + ?Sized>(cpu: &C) -> Result<Self, u8> {
        let highest = cpu.cpuid(HIGHEST_EXTENDED_LEAF, 0).eax;
        let bits = if highest >= ADDRESS_WIDTH_LEAF {
            cpu.cpuid(ADDRESS_WIDTH_LEAF, 0).eax.to_le_bytes()[0]
        } else {
            WIDTH_WITHOUT_LEAF
        };
        Self::new(bits).ok_or(bits)
    }

    /// Returns the number of bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns the bits that an address may have set.
    #[must_use]
    pub const fn mask(self) -> u64 {
        (1 << self.0) - 1
    }

    /// Checks an address for a register that asks for a multiple of `alignment`, a power of two.
    pub(crate) const fn check(self, address: u64, alignment: u64) -> Result<(), AddressError> {
        let error = AddressError {
            address,
            alignment,
            width: self,
        };
        if error.is_misaligned() || error.is_too_wide() {
            Err(error)
        } else {
            Ok(())
        }
    }
}

/// A physical address that an address register cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct AddressError {
    /// The refused address.
    pub address: u64,
    /// What it must be a multiple of, in bytes.
    pub alignment: u64,
    /// How many bits it may have.
    pub width: PhysicalAddressWidth,
}

impl AddressError {
    /// Returns whether the address is not a multiple of [`alignment`](Self::alignment).
    #[must_use]
    pub const fn is_misaligned(&self) -> bool {
        self.address & (self.alignment - 1) != 0
    }

    /// Returns whether the address has bits at or above [`width`](Self::width).
    #[must_use]
    pub const fn is_too_wide(&self) -> bool {
        self.address & !self.width.mask() != 0
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            alignment,
            width,
        } = self;
        write!(f, "physical address {address:#x} cannot be used:")?;
        if self.is_misaligned() {
            write!(
                f,
                " it is not a multiple of {alignment}, align the memory to {alignment} bytes"
            )?;
        }
        if self.is_misaligned() && self.is_too_wide() {
            write!(f, ";")?;
        }
        if self.is_too_wide() {
            write!(
                f,
                " it has more than the {} bits of this CPU, pass a physical address (not a virtual \
                 one) without key bits",
                width.0
            )?;
        }
        Ok(())
    }
}

impl core::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;
    use crate::FakeCpu;

    #[test]
    fn width_is_32_to_52() {
        for (bits, accepted) in [
            (0, false),
            (31, false),
            (32, true),
            (52, true),
            (53, false),
            (255, false),
        ] {
            assert_eq!(
                PhysicalAddressWidth::new(bits).is_some(),
                accepted,
                "{bits}"
            );
        }
    }

    #[test]
    fn golden_masks() {
        let mask = |bits| PhysicalAddressWidth::new(bits).unwrap().mask();
        assert_eq!(mask(36), 0x0000_000f_ffff_ffff);
        assert_eq!(mask(46), 0x0000_3fff_ffff_ffff);
        assert_eq!(mask(52), 0x000f_ffff_ffff_ffff);
    }

    #[test]
    fn width_comes_from_its_leaf_or_is_36() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(39);
        assert_eq!(PhysicalAddressWidth::detect(&cpu).unwrap().bits(), 39);
        assert_eq!(
            PhysicalAddressWidth::detect(&FakeCpu::new())
                .unwrap()
                .bits(),
            36
        );
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(60);
        assert_eq!(PhysicalAddressWidth::detect(&cpu), Err(60));
    }

    #[test]
    fn the_message_names_each_fault_and_its_remedy() {
        let width = PhysicalAddressWidth::new(36).unwrap();
        let misaligned = width.check(0x1001, 64).unwrap_err().to_string();
        assert!(
            misaligned.contains("0x1001") && misaligned.contains("align the memory to 64 bytes")
        );
        assert!(!misaligned.contains("36 bits"));
        let wide = width.check(1 << 36, 64).unwrap_err().to_string();
        assert!(wide.contains("36 bits") && !wide.contains("multiple"));
        let both = width.check((1 << 36) + 1, 4096).unwrap_err().to_string();
        assert!(both.contains("36 bits") && both.contains("align the memory to 4096 bytes"));
    }
}
