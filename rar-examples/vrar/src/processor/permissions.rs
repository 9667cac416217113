//! Which model-specific registers leave the guest.

/// IA32_APIC_BASE.
pub(crate) const APIC_BASE: u32 = 0x1b;
/// The first register of an x2APIC.
pub(crate) const X2APIC_FIRST: u32 = 0x800;
/// The last one.
pub(crate) const X2APIC_LAST: u32 = 0x8ff;
pub(crate) const EFER: u32 = 0xc000_0080;
pub(crate) const VM_CR: u32 = 0xc001_0114;
pub(crate) const VM_HSAVE_PA: u32 = 0xc001_0117;

/// The map of two bits for each register, read and write: 1 leaves the guest. Registers outside its
/// ranges always do.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Permissions([u8; 0x2000]);

pub(crate) static PERMISSIONS: Permissions = Permissions::new();

impl Permissions {
    const fn new() -> Self {
        Self([0; 0x2000])
            .trap(APIC_BASE, APIC_BASE)
            .trap(rar_model::CORE_CAPABILITIES, rar_model::CORE_CAPABILITIES)
            .trap(rar_model::CONTROL, rar_model::INFO)
            .trap(X2APIC_FIRST, X2APIC_LAST)
            .trap(EFER, EFER)
            .trap(VM_CR, VM_CR)
            .trap(VM_HSAVE_PA, VM_HSAVE_PA)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated at compile time, where a wrong index is an error"
    )]
    const fn trap(mut self, first: u32, last: u32) -> Self {
        let mut msr = first;
        while msr <= last {
            // Ranges from 0, 0xc000_0000 and 0xc001_0000, 0x2000 registers and 0x800 bytes each.
            let start = match msr >> 16 {
                0xc000 => 0x800,
                0xc001 => 0x1000,
                _ => 0,
            };
            let bit = (msr & 0x1fff) * 2;
            self.0[start + (bit / 8) as usize] |= 0b11 << (bit % 8);
            msr += 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_shim_presents_leaves_the_guest() {
        let traps = |msr: u32, start: usize| {
            let bit = (msr & 0x1fff) as usize * 2;
            PERMISSIONS.0[start + bit / 8] >> (bit % 8) & 0b11 == 0b11
        };
        for msr in 0..0x2000 {
            let expected = matches!(msr, 0x1b | 0xcf | 0xed..=0xf0 | 0x800..=0x8ff);
            assert_eq!(traps(msr, 0), expected, "{msr:#x}");
        }
        let others = (0..0x2000).filter(|msr| traps(*msr, 0x800)).count()
            + (0..0x2000).filter(|msr| traps(*msr, 0x1000)).count();
        assert_eq!(others, 3);
        assert!(traps(0x80, 0x800) && traps(0x114, 0x1000) && traps(0x117, 0x1000));
    }
}
