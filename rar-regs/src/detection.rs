//! Finding out whether a machine has RAR, without risking an exception.

use crate::msr::{self, RarExists, RarMsr};
use crate::{
    CpuSignature, Cpuid, MsrAccess, PhysicalAddressWidth, RarInfo, RarSupport, SupportError,
};

/// How to look for RAR: which CPU models are accepted, and how large the payload table must be.
///
/// There is no CPUID bit for RAR itself. [`detect`](Self::detect) asks, in this order, and stops at
/// the first "no":
///
/// 1. CPUID leaf 0: is there a leaf 7?
/// 2. CPUID leaf 7, EDX bit 30: does `IA32_CORE_CAPABILITIES` exist?
/// 3. That register, bit 1: does the CPU have RAR?
/// 4. Vendor, family and model: is this bit known to mean RAR here?
/// 5. `MSR_RAR_INFO`: how many payload table entries, which types? If it lists types, INVPCID has
///    to be among them.
/// 6. CPUID leaf `0x8000_0008`: how wide is a physical address?
///
/// So no register is read before something says that it exists.
///
/// # Examples
///
/// ```
/// use rar_regs::{Detection, FakeCpu, SupportError};
///
/// let support = Detection::new().minimum_entries(16).detect(&FakeCpu::with_rar(63)).unwrap();
/// assert_eq!(support.entries(), 64);
///
/// let error = Detection::new().minimum_entries(16).detect(&FakeCpu::with_rar(7)).unwrap_err();
/// assert_eq!(error, SupportError::TableTooSmall { entries: 8, minimum: 16 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Detection {
    models: ModelCheck,
    minimum_entries: u8,
    required: RequiredTypes,
}

/// The payload types that have to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct RequiredTypes {
    /// Bit `t` for type `t`.
    listed: u32,
    /// A type above 31, which no register can list.
    unlistable: Option<u8>,
}

/// The payload type that imitates INVPCID: the one that TLB flushes are made of.
const INVPCID: u8 = 2;

/// Which CPU models count as having RAR when they set the capability bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ModelCheck {
    /// Those of [`ListedModel::ALL`](crate::ListedModel::ALL).
    #[default]
    Listed,
    /// All that set the bit, of any vendor: for a hypervisor or simulator that offers RAR, and to
    /// try a new model.
    ///
    /// Where the bit means something else, `MSR_RAR_INFO` may not exist, and reading it then raises
    /// #GP(0). Use it with an [`MsrAccess`] that reports the exception.
    Any,
}

impl Detection {
    /// Returns the careful default: listed models only, a table of any size.
    pub const fn new() -> Self {
        Self {
            models: ModelCheck::Listed,
            minimum_entries: 1,
            required: RequiredTypes {
                listed: 0,
                unlistable: None,
            },
        }
    }

    /// Says which CPU models are accepted.
    pub const fn models(self, models: ModelCheck) -> Self {
        Self { models, ..self }
    }

    /// Says how many payload table entries are needed. More than 64 are never found.
    pub const fn minimum_entries(self, minimum_entries: u8) -> Self {
        Self {
            minimum_entries,
            ..self
        }
    }

    /// Demands that the CPU lists a payload type, besides INVPCID.
    ///
    /// A hypervisor that flushes guests demands types 3 (INVEPT) and 4 (INVVPID). A CPU that lists
    /// no types at all passes without this demand, as nothing is known of its types, but not with
    /// it. Types above 31 cannot be listed, so detection then fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_regs::{Detection, FakeCpu, RarInfo, SupportError};
    ///
    /// let detection = Detection::new().require(3).require(4);
    /// let cpu = FakeCpu::with_rar(63).with_msr(RarInfo::MSR, 63 << 32 | 0b1_1100);
    /// assert!(detection.detect(&cpu).is_ok());
    ///
    /// let error = detection.detect(&FakeCpu::with_rar(63)).unwrap_err();
    /// assert!(matches!(error, SupportError::MissingType { payload_type: 3, .. }));
    /// ```
    pub const fn require(self, payload_type: u8) -> Self {
        let mut required = self.required;
        match 1u32.checked_shl(payload_type as u32) {
            Some(bit) => required.listed |= bit,
            None => required.unlistable = Some(payload_type),
        }
        Self { required, ..self }
    }

    /// Returns the proof that the executing CPU has RAR.
    ///
    /// Run it once, on the boot CPU; later CPUs run [`RarSupport::check_cpu`].
    ///
    /// # Errors
    ///
    /// A [`SupportError`] that names the first "no" and its remedy.
    pub fn detect<C: MsrAccess + Cpuid + ?Sized>(
        self,
        cpu: &C,
    ) -> Result<RarSupport, SupportError> {
        let exists = RarExists::check(cpu)?;
        let signature = CpuSignature::detect(cpu);
        if self.models == ModelCheck::Listed && signature.listed().is_none() {
            return Err(SupportError::UnlistedModel { signature });
        }
        let info = RarInfo::from_bits(msr::read(cpu, exists, RarMsr::Info)?);
        if info.reserved_bits() != 0 {
            return Err(SupportError::ReservedInfoBits { info });
        }
        if info.entries() < self.minimum_entries {
            return Err(SupportError::TableTooSmall {
                entries: info.entries(),
                minimum: self.minimum_entries,
            });
        }
        if info.supports(INVPCID) == Some(false) {
            return Err(SupportError::NoInvpcid { info });
        }
        if let Some(payload_type) = self.required.missing(info) {
            return Err(SupportError::MissingType { payload_type, info });
        }
        let width = PhysicalAddressWidth::detect(cpu)
            .map_err(|bits| SupportError::AddressWidth { bits })?;
        Ok(RarSupport::new(self, exists, signature, info, width))
    }
}

impl RequiredTypes {
    /// Returns the lowest required type that is not listed.
    fn missing(self, info: RarInfo) -> Option<u8> {
        let missing = self.listed & !info.payload_types();
        let [lowest, ..] = missing.trailing_zeros().to_le_bytes();
        if missing == 0 {
            self.unlistable
        } else {
            Some(lowest)
        }
    }
}

impl Default for Detection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
