//! `MSR_RAR_PAYLOAD_TABLE_BASE`: where a CPU finds the payload table.

use core::fmt;

use tock_registers::LocalRegisterCopy;

use crate::msr::{self, RarMsr};
use crate::{AddressError, MsrAccess, MsrFault, PhysicalAddressWidth, RarSupport, ReadError};
use fields::RAR_PAYLOAD_TABLE_BASE;

/// `MSR_RAR_PAYLOAD_TABLE_BASE`: the physical address of the table of 64-byte payloads.
///
/// One register per logical processor. That all CPUs name the same table is a choice of the system,
/// not a rule of the architecture (Linux RFC v4, documented). Address and name: SDM vol. 4, Table
/// 2-52; alignment: SDM vol. 4 (from memory, to be checked), and all Linux versions allocate so
/// (code).
///
/// # Examples
///
/// ```
/// use rar_regs::{PhysicalAddressWidth, RarPayloadTableBase};
///
/// let width = PhysicalAddressWidth::new(46).unwrap();
/// let base = RarPayloadTableBase::new(0x12000, width).unwrap();
/// assert_eq!(base.address(), 0x12000);
/// assert!(RarPayloadTableBase::new(0x12040, width).is_err());
/// ```
#[doc(alias = "MSR_RAR_PAYLOAD_TABLE_BASE")]
#[doc(alias = "MSR_IA32_RAR_PAYLOAD_BASE")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RarPayloadTableBase(u64);

impl RarPayloadTableBase {
    /// The address of the register.
    pub const MSR: u32 = RarMsr::PayloadTableBase as u32;

    /// What a physical address must be a multiple of, in bytes.
    pub const ALIGNMENT: u64 = 4096;

    /// The bits that are reserved on every CPU: 63:52 and 11:0. Those at or above MAXPHYADDR are
    /// reserved too, see [`reserved`](Self::reserved).
    pub const RESERVED: u64 = 0xfff0_0000_0000_0fff;

    /// Returns the content that names this physical address.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if the address is not a multiple of [`ALIGNMENT`](Self::ALIGNMENT) or does
    /// not fit in `width`.
    pub fn new(address: u64, width: PhysicalAddressWidth) -> Result<Self, AddressError> {
        width.check(address, Self::ALIGNMENT)?;
        let mut register = LocalRegisterCopy::<u64, RAR_PAYLOAD_TABLE_BASE::Register>::new(0);
        register.write(RAR_PAYLOAD_TABLE_BASE::ADDRESS.val(address >> Self::SHIFT));
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
        msr::read_defined(access, support.exists(), RarMsr::PayloadTableBase, reserved).map(Self)
    }

    /// Writes the register of the executing CPU.
    ///
    /// # Safety
    ///
    /// 1. The executing CPU is the one meant, and stays so until the call returns.
    /// 2. It passed detection or [`RarSupport::check_cpu`] with `support`.
    /// 3. RAR is disabled on it: whether the address may change while enabled is unknown.
    /// 4. As many 64-byte entries as [`RarSupport::entries`] says, starting at the address, are
    ///    memory that stays RAR's until RAR is disabled and this register rewritten or the CPU
    ///    reset; software touches them only atomically, as the protocol says.
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
                RarMsr::PayloadTableBase,
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
        let register = LocalRegisterCopy::<u64, RAR_PAYLOAD_TABLE_BASE::Register>::new(self.0);
        register.read(RAR_PAYLOAD_TABLE_BASE::ADDRESS) << Self::SHIFT
    }

    const SHIFT: u32 = Self::ALIGNMENT.trailing_zeros();
}

impl fmt::Debug for RarPayloadTableBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RarPayloadTableBase({:#x})", self.0)
    }
}

mod fields {
    tock_registers::register_bitfields![u64,
        pub(super) RAR_PAYLOAD_TABLE_BASE [
            ADDRESS OFFSET(12) NUMBITS(40) [],
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
        let fields = [mask(RAR_PAYLOAD_TABLE_BASE::ADDRESS)];
        assert_eq!(fields, [0x000f_ffff_ffff_f000]);
        assert_fills_word(&fields, RarPayloadTableBase::RESERVED);
        assert_eq!(RarPayloadTableBase::MSR, 0xef);
        assert_eq!(
            RarPayloadTableBase::reserved(width(36)),
            0xffff_fff0_0000_0000 | 0xfff
        );
        assert_eq!(
            RarPayloadTableBase::reserved(width(46)),
            0xffff_c000_0000_0000 | 0xfff
        );
        assert_eq!(
            RarPayloadTableBase::reserved(width(52)),
            RarPayloadTableBase::RESERVED
        );
    }

    #[test]
    fn the_last_address_of_each_width_fits_and_the_next_does_not() {
        for bits in [36, 46, 52] {
            let end = 1 << bits;
            let last = end - 4096;
            let base = RarPayloadTableBase::new(last, width(bits)).unwrap();
            assert_eq!((base.bits(), base.address()), (last, last));

            let error = RarPayloadTableBase::new(end, width(bits)).unwrap_err();
            assert_eq!(
                (error.address, error.alignment, error.width),
                (end, 4096, width(bits))
            );
            assert!(RarPayloadTableBase::new(1 << 63, width(bits)).is_err());
        }
    }

    #[test]
    fn every_misaligned_address_is_refused() {
        assert!(RarPayloadTableBase::new(0, width(52)).is_ok());
        for offset in 1..4096 {
            assert!(
                RarPayloadTableBase::new(0x10_0000 + offset, width(52)).is_err(),
                "{offset}"
            );
        }
        assert!(RarPayloadTableBase::new(0x10_0000 + 4096, width(52)).is_ok());
    }

    #[test]
    fn read_reports_reserved_bits_of_this_width() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(46);
        let support = Detection::new().detect(&cpu).unwrap();
        for reserved in [1, 2048, 1 << 46, 1 << 63] {
            let value = reserved | 0x4000_0000;
            cpu.set_msr(0xef, value).unwrap();
            assert_eq!(
                RarPayloadTableBase::read(&cpu, &support),
                Err(ReadError::ReservedBits {
                    msr: 0xef,
                    value,
                    reserved
                })
            );
        }
        cpu.set_msr(0xef, 0x2000_0000_0000).unwrap();
        assert_eq!(
            RarPayloadTableBase::read(&cpu, &support).unwrap().address(),
            1 << 45
        );
    }

    #[test]
    fn write_reaches_the_register_unless_the_address_is_too_wide_here() {
        let cpu = FakeCpu::with_rar(63).with_physical_address_width(46);
        let support = Detection::new().detect(&cpu).unwrap();
        let base = RarPayloadTableBase::new(0x7000, width(46)).unwrap();
        // SAFETY: duties 1 to 4 hold without effort: nothing reads memory through a fake's
        // registers.
        unsafe { base.write(&cpu, &support) }.unwrap();
        assert_eq!(cpu.msr(0xef), Some(0x7000));

        let base = RarPayloadTableBase::new(1 << 46, width(52)).unwrap();
        // SAFETY: as above.
        let outcome = unsafe { base.write(&cpu, &support) };
        assert_eq!(
            outcome,
            Err(MsrFault {
                msr: 0xef,
                access: MsrOperation::Write
            })
        );
        assert_eq!(cpu.writes().count(), 1);
    }
}
