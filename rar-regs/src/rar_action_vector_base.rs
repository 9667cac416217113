//! `MSR_RAR_ACTION_VECTOR_BASE`: where a CPU finds its own action vector.

use core::fmt;

use tock_registers::LocalRegisterCopy;

use crate::msr::{self, RarMsr};
use crate::{AddressError, MsrAccess, MsrFault, PhysicalAddressWidth, RarSupport, ReadError};
use fields::RAR_ACTION_VECTOR_BASE;

/// `MSR_RAR_ACTION_VECTOR_BASE`: the physical address of the 64-byte action vector of this CPU.
///
/// One per logical processor, and each has a vector of its own. Address and name: SDM vol. 4, Table
/// 2-52; alignment: SDM vol. 4 (from memory, to be checked), and all Linux versions allocate so
/// (code). The memory type that the CPU asks for is unknown; ordinary write-back memory is what
/// Linux uses.
///
/// # Examples
///
/// ```
/// use rar_regs::{PhysicalAddressWidth, RarActionVectorBase};
///
/// let width = PhysicalAddressWidth::new(46).unwrap();
/// let base = RarActionVectorBase::new(0x1240, width).unwrap();
/// assert_eq!(base.address(), 0x1240);
/// assert!(RarActionVectorBase::new(0x1241, width).is_err());
/// ```
#[doc(alias = "MSR_RAR_ACTION_VECTOR_BASE")]
#[doc(alias = "MSR_IA32_RAR_ACT_VEC")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RarActionVectorBase(u64);

impl RarActionVectorBase {
    /// The address of the register.
    pub const MSR: u32 = RarMsr::ActionVectorBase as u32;

    /// What a physical address must be a multiple of, in bytes.
    pub const ALIGNMENT: u64 = 64;

    /// The bits that are reserved on every CPU: 63:52 and 5:0. Those at or above MAXPHYADDR are
    /// reserved too, see [`reserved`](Self::reserved).
    pub const RESERVED: u64 = 0xfff0_0000_0000_003f;

    /// Returns the content that names this physical address.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if the address is not a multiple of [`ALIGNMENT`](Self::ALIGNMENT) or does
    /// not fit in `width`.
    pub fn new(address: u64, width: PhysicalAddressWidth) -> Result<Self, AddressError> {
        width.check(address, Self::ALIGNMENT)?;
        let mut register = LocalRegisterCopy::<u64, RAR_ACTION_VECTOR_BASE::Register>::new(0);
        register.write(RAR_ACTION_VECTOR_BASE::ADDRESS.val(address >> Self::SHIFT));
        Ok(Self(register.get()))
    }

    /// Returns the reserved bits of a CPU with this address width.
    #[must_use]
    pub const fn reserved(width: PhysicalAddressWidth) -> u64 {
        Self::RESERVED | !width.mask()
    }

    /// Returns the register of the executing CPU.
    ///
    /// # Errors
    ///
    /// [`ReadError::ReservedBits`] if a reserved bit is set, [`ReadError::Fault`] if the read
    /// raised #GP(0).
    pub fn read<A: MsrAccess + ?Sized>(
        access: &A,
        support: &RarSupport,
    ) -> Result<Self, ReadError> {
        let reserved = Self::reserved(support.physical_address_width());
        msr::read_defined(access, support.exists(), RarMsr::ActionVectorBase, reserved).map(Self)
    }

    /// Writes the register of the executing CPU.
    ///
    /// # Safety
    ///
    /// 1. The executing CPU is the one meant, and stays so until the call returns.
    /// 2. It passed detection or [`RarSupport::check_cpu`] with `support`.
    /// 3. RAR is disabled on it: whether the address may change while enabled is unknown.
    /// 4. The 64 bytes at the address are memory that stays RAR's until RAR is disabled and this
    ///    register rewritten or the CPU reset; software touches them only atomically, as the
    ///    protocol says.
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if the write raised #GP(0), or would have: an address that was checked against
    /// a wider MAXPHYADDR than that of `support` is not written.
    pub unsafe fn write<A: MsrAccess + ?Sized>(
        self,
        access: &A,
        support: &RarSupport,
    ) -> Result<(), MsrFault> {
        let reserved = Self::reserved(support.physical_address_width());
        // SAFETY: 1. the caller's duties 1 to 4: the memory is RAR's from here on.
        unsafe {
            msr::write_defined(
                access,
                support.exists(),
                RarMsr::ActionVectorBase,
                self.0,
                reserved,
            )
        }
    }

    /// Returns the content.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the physical address.
    #[must_use]
    pub fn address(self) -> u64 {
        let register = LocalRegisterCopy::<u64, RAR_ACTION_VECTOR_BASE::Register>::new(self.0);
        register.read(RAR_ACTION_VECTOR_BASE::ADDRESS) << Self::SHIFT
    }

    const SHIFT: u32 = Self::ALIGNMENT.trailing_zeros();
}

impl fmt::Debug for RarActionVectorBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RarActionVectorBase({:#x})", self.0)
    }
}

mod fields {
    tock_registers::register_bitfields![u64,
        pub(super) RAR_ACTION_VECTOR_BASE [
            ADDRESS OFFSET(6) NUMBITS(46) [],
        ]
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_fills_word, mask};
    use crate::{Detection, FakeCpu, MsrOperation};

    fn width(bits: u8) -> PhysicalAddressWidth {
        PhysicalAddressWidth::new(bits).unwrap()
    }

    #[test]
    fn golden_masks() {
        let fields = [mask(RAR_ACTION_VECTOR_BASE::ADDRESS)];
        assert_eq!(fields, [0x000f_ffff_ffff_ffc0]);
        assert_fills_word(&fields, RarActionVectorBase::RESERVED);
        assert_eq!(RarActionVectorBase::MSR, 0xee);
        assert_eq!(
            RarActionVectorBase::reserved(width(36)),
            0xffff_fff0_0000_0000 | 0x3f
        );
        assert_eq!(
            RarActionVectorBase::reserved(width(46)),
            0xffff_c000_0000_0000 | 0x3f
        );
        assert_eq!(
            RarActionVectorBase::reserved(width(52)),
            RarActionVectorBase::RESERVED
        );
    }

    #[test]
    fn the_last_address_of_each_width_fits_and_the_next_does_not() {
        for bits in [36, 46, 52] {
            let end = 1 << bits;
            let last = end - 64;
            let base = RarActionVectorBase::new(last, width(bits)).unwrap();
            assert_eq!((base.bits(), base.address()), (last, last));

            let error = RarActionVectorBase::new(end, width(bits)).unwrap_err();
            assert_eq!(
                (error.address, error.alignment, error.width),
                (end, 64, width(bits))
            );
            assert!(RarActionVectorBase::new(1 << 63, width(bits)).is_err());
        }
    }

    #[test]
    fn every_misaligned_address_is_refused() {
        assert!(RarActionVectorBase::new(0, width(52)).is_ok());
        for offset in 1..64 {
            assert!(
                RarActionVectorBase::new(0x10_0000 + offset, width(52)).is_err(),
                "{offset}"
            );
        }
        assert!(RarActionVectorBase::new(0x10_0000 + 64, width(52)).is_ok());
    }

    #[test]
    fn read_reports_reserved_bits_of_this_width() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(46);
        let support = Detection::new().detect(&cpu).unwrap();
        for reserved in [1, 32, 1 << 46, 1 << 63] {
            let value = reserved | 0x4000_0000;
            cpu.set_msr(0xee, value).unwrap();
            assert_eq!(
                RarActionVectorBase::read(&cpu, &support),
                Err(ReadError::ReservedBits {
                    msr: 0xee,
                    value,
                    reserved
                })
            );
        }
        cpu.set_msr(0xee, 0x2000_0000_0000).unwrap();
        assert_eq!(
            RarActionVectorBase::read(&cpu, &support).unwrap().address(),
            1 << 45
        );
    }

    #[test]
    fn write_reaches_the_register_unless_the_address_is_too_wide_here() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(46);
        let support = Detection::new().detect(&cpu).unwrap();
        let base = RarActionVectorBase::new(0x7000, width(46)).unwrap();
        // SAFETY: duties 1 to 4 hold without effort: nothing reads memory through a fake's
        // registers.
        unsafe { base.write(&cpu, &support) }.unwrap();
        assert_eq!(cpu.msr(0xee), Some(0x7000));

        let base = RarActionVectorBase::new(1 << 46, width(52)).unwrap();
        // SAFETY: as above.
        let outcome = unsafe { base.write(&cpu, &support) };
        assert_eq!(
            outcome,
            Err(MsrFault {
                msr: 0xee,
                access: MsrOperation::Write
            })
        );
        assert_eq!(cpu.writes().count(), 1);
    }
}
