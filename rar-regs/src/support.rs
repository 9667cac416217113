//! The proof that a machine has RAR.

use crate::msr::RarExists;
use crate::{
    CpuMismatch, CpuSignature, Cpuid, Detection, MsrAccess, PhysicalAddressWidth, RarInfo,
    SupportError,
};

/// Proof that detection found RAR, with what it found.
///
/// Only [`Detection::detect`] makes one, on the boot CPU; the registers cannot be read or written
/// without it. Each later CPU compares itself with it by [`check_cpu`](Self::check_cpu). Nothing
/// ever changes it.
///
/// # Examples
///
/// A register write without the proof does not compile:
///
/// ```compile_fail,E0061
/// use rar_regs::{FakeCpu, RarControl};
///
/// let cpu = FakeCpu::with_rar(63);
/// unsafe { RarControl::DISABLED.write(&cpu) };
/// ```
///
/// and neither does a proof made by hand:
///
/// ```compile_fail,E0451
/// let support = rar_regs::RarSupport { ..unimplemented!() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RarSupport {
    detection: Detection,
    exists: RarExists,
    signature: CpuSignature,
    info: RarInfo,
    physical_address_width: PhysicalAddressWidth,
}

impl RarSupport {
    pub(crate) const fn new(
        detection: Detection,
        exists: RarExists,
        signature: CpuSignature,
        info: RarInfo,
        physical_address_width: PhysicalAddressWidth,
    ) -> Self {
        Self {
            detection,
            exists,
            signature,
            info,
            physical_address_width,
        }
    }

    /// Checks that the executing CPU has the same RAR as the one that made this proof.
    ///
    /// Runs the same detection again and compares vendor, `MSR_RAR_INFO` and physical address
    /// width. Run it on every CPU before it writes a RAR register, at hotplug and resume too. If
    /// one CPU fails, use RAR on none.
    ///
    /// # Errors
    ///
    /// [`SupportError::CpuDisagrees`] if the CPU has RAR but a different one; any other
    /// [`SupportError`] as in [`Detection::detect`].
    pub fn check_cpu<C: MsrAccess + Cpuid + ?Sized>(&self, cpu: &C) -> Result<(), SupportError> {
        let this = self.detection.detect(cpu)?;
        let what = if this.signature.vendor != self.signature.vendor {
            CpuMismatch::Vendor
        } else if this.info != self.info {
            CpuMismatch::Info
        } else if this.physical_address_width != self.physical_address_width {
            CpuMismatch::PhysicalAddressWidth
        } else {
            return Ok(());
        };
        Err(SupportError::CpuDisagrees {
            what,
            boot: *self,
            this,
        })
    }

    /// Returns the number of payload table entries, 1 to 64.
    #[must_use]
    pub fn entries(&self) -> u8 {
        self.info.entries()
    }

    /// Returns `MSR_RAR_INFO` as it was read.
    #[must_use]
    pub const fn info(&self) -> RarInfo {
        self.info
    }

    /// Returns whether the CPU lists a payload type, or `None` if it lists none at all: unknown,
    /// not missing.
    #[must_use]
    pub fn supports(&self, payload_type: u8) -> Option<bool> {
        self.info.supports(payload_type)
    }

    /// Returns MAXPHYADDR, for the checks of the address registers.
    #[must_use]
    pub const fn physical_address_width(&self) -> PhysicalAddressWidth {
        self.physical_address_width
    }

    /// Returns which CPU made this proof.
    #[must_use]
    pub const fn signature(&self) -> CpuSignature {
        self.signature
    }

    pub(crate) const fn exists(&self) -> RarExists {
        self.exists
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;
    use crate::{FakeCpu, ModelCheck, Vendor};

    fn boot() -> RarSupport {
        Detection::new().detect(&FakeCpu::with_rar(63)).unwrap()
    }

    #[track_caller]
    fn disagreement(support: &RarSupport, cpu: &FakeCpu, expected: CpuMismatch, text: &str) {
        let error = support.check_cpu(cpu).unwrap_err();
        let SupportError::CpuDisagrees { what, boot, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((what, boot), (expected, *support));
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn an_equal_cpu_agrees_and_stepping_and_model_may_differ() {
        assert_eq!(boot().check_cpu(&FakeCpu::with_rar(63)), Ok(()));
        let other = FakeCpu::with_rar(63).with_signature(Vendor::INTEL, 0x000c_06f2);
        assert_eq!(boot().check_cpu(&other), Ok(()));
    }

    #[test]
    fn each_difference_is_named() {
        disagreement(
            &boot(),
            &FakeCpu::with_rar(31),
            CpuMismatch::Info,
            "0x1f00000000 on this CPU",
        );
        let types = FakeCpu::with_rar(63).with_msr(RarInfo::MSR, 63 << 32 | 4);
        disagreement(
            &boot(),
            &types,
            CpuMismatch::Info,
            "0x3f00000000 on the boot CPU",
        );
        let narrow = FakeCpu::with_rar(63).with_physical_address_width(39);
        disagreement(
            &boot(),
            &narrow,
            CpuMismatch::PhysicalAddressWidth,
            "39 physical address bits",
        );

        let any = Detection::new()
            .models(ModelCheck::Any)
            .detect(&FakeCpu::with_rar(63))
            .unwrap();
        let amd = FakeCpu::with_rar(63).with_signature(Vendor::new(*b"AuthenticAMD"), 0x00a2_0f12);
        disagreement(
            &any,
            &amd,
            CpuMismatch::Vendor,
            "vendor AuthenticAMD on this CPU, GenuineIntel",
        );
    }

    #[test]
    fn a_cpu_without_the_capability_fails_with_its_own_error() {
        let error = boot()
            .check_cpu(&FakeCpu::with_rar(63).with_msr(0xcf, 0))
            .unwrap_err();
        assert!(
            matches!(error, SupportError::NoRarCapability { .. }),
            "{error}"
        );
    }

    #[test]
    fn later_cpus_are_held_to_the_same_detection() {
        let unlisted = || FakeCpu::with_rar(63).with_signature(Vendor::INTEL, 0x000a_06d1);
        assert!(matches!(
            boot().check_cpu(&unlisted()),
            Err(SupportError::UnlistedModel { .. })
        ));
        let any = Detection::new()
            .models(ModelCheck::Any)
            .detect(&unlisted())
            .unwrap();
        assert_eq!(any.check_cpu(&unlisted()), Ok(()));
    }
}
