//! The local APIC of the executing CPU, in whichever mode it is.

use core::fmt;
use core::hint::spin_loop;
use core::ptr::NonNull;

use crate::message::{
    X2apicPort, XapicPort, send_by_x2apic, send_by_xapic, send_to_clusters_by_x2apic,
};
use crate::send_x2apic::send_x2apic_next;
use crate::xapic_mmio::MAX_POLLS;
use crate::{
    Addressing, ApicId, ClusterMembers, IcrBusy, Message, MsrAccess, MsrFault, SendError,
    X2apicIcr, XapicIcr, XapicMmio, send_x2apic,
};

/// The local APIC of the executing CPU, as a sender of messages to other CPUs.
///
/// One value serves all CPUs: firmware and kernels put every APIC into the same mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LocalApic {
    /// x2APIC mode: registers are MSRs.
    X2apic,
    /// xAPIC mode: registers are a page of memory.
    Xapic(XapicMmio),
}

/// `IA32_APIC_BASE` (SDM vol. 3, Local APIC Status and Location): mode and address of the APIC.
const APIC_BASE: u32 = 0x1b;
/// Bit 10: x2APIC mode.
const EXTD: u64 = 1 << 10;
/// Bit 11: the APIC is enabled.
const EN: u64 = 1 << 11;
/// Bits 51:12: the physical address of the register page. Those above the CPU's width read as zero.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl LocalApic {
    /// Returns the local APIC in the mode that `IA32_APIC_BASE` of the executing CPU says.
    ///
    /// `map_page` gets the physical address of the register page and returns where it is mapped. It
    /// is called in xAPIC mode only.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_regs::{ApicError, FakeCpu, LocalApic};
    ///
    /// let cpu = FakeCpu::new().with_msr(0x1b, 0xfee0_0d00);
    /// // SAFETY: nothing is sent.
    /// let apic = unsafe { LocalApic::detect(&cpu, |_| None) };
    /// assert_eq!(apic, Ok(LocalApic::X2apic));
    ///
    /// let cpu = FakeCpu::new().with_msr(0x1b, 0xfee0_0100);
    /// // SAFETY: as above.
    /// let error = unsafe { LocalApic::detect(&cpu, |_| None) }.unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "local APIC: disabled (got IA32_APIC_BASE 0xfee00100, expected bit 11 set); \
    ///      enable it first"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ApicError::Disabled`] if the APIC is off.
    /// - [`ApicError::InvalidMode`] if x2APIC mode is set without the enable bit.
    /// - [`ApicError::NotMapped`] if `map_page` returned `None`.
    /// - [`ApicError::Fault`] if the read raised #GP(0).
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0 and has a local APIC.
    /// 2. The page that `map_page` returns is the one it was asked for, mapped uncached, at this
    ///    address on every CPU that uses the value, for as long as it does.
    /// 3. On each of these CPUs the APIC is in the mode and at the address that the executing CPU
    ///    shows here, and stays so for as long.
    pub unsafe fn detect<A: MsrAccess + ?Sized>(
        access: &A,
        map_page: impl FnOnce(u64) -> Option<NonNull<u32>>,
    ) -> Result<Self, ApicError> {
        // SAFETY: 1. and 2. the caller's duty 1; 3. reading the register has no side effect.
        let base = unsafe { access.read(APIC_BASE) }.map_err(ApicError::Fault)?;
        match (base & EN != 0, base & EXTD != 0) {
            (true, true) => Ok(Self::X2apic),
            (true, false) => {
                let address = base & ADDRESS;
                let page = map_page(address).ok_or(ApicError::NotMapped { address })?;
                // SAFETY: 1. the caller's duty 2; 2. the register says so here, and duty 3 on all
                // other CPUs.
                Ok(Self::Xapic(unsafe { XapicMmio::new(page) }))
            }
            (false, false) => Err(ApicError::Disabled { base }),
            (false, true) => Err(ApicError::InvalidMode { base }),
        }
    }

    /// Sends a remote action request to each target.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Safety
    ///
    /// As [`send`](Self::send).
    pub unsafe fn send_rar(
        &self,
        addressing: Addressing,
        targets: impl IntoIterator<Item = ApicId>,
    ) -> Result<(), SendError> {
        // SAFETY: the caller keeps the duties of `send`.
        unsafe { self.send(Message::Rar, addressing, targets, spin_loop) }
    }

    /// Sends an ordinary interrupt to each target.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Safety
    ///
    /// As [`send`](Self::send).
    pub unsafe fn send_fixed(
        &self,
        vector: u8,
        addressing: Addressing,
        targets: impl IntoIterator<Item = ApicId>,
    ) -> Result<(), SendError> {
        // SAFETY: the caller keeps the duties of `send`.
        unsafe { self.send(Message::Fixed { vector }, addressing, targets, spin_loop) }
    }

    /// Sends a non-maskable interrupt to each target.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Safety
    ///
    /// As [`send`](Self::send).
    pub unsafe fn send_nmi(
        &self,
        addressing: Addressing,
        targets: impl IntoIterator<Item = ApicId>,
    ) -> Result<(), SendError> {
        // SAFETY: the caller keeps the duties of `send`.
        unsafe { self.send(Message::Nmi, addressing, targets, spin_loop) }
    }

    /// Sends a message to each target, after everything stored before the call is visible.
    ///
    /// In x2APIC mode one pair of fences serves all commands, and the call never waits. In xAPIC
    /// mode each target gets a command of its own, `addressing` is ignored, and the call waits for
    /// an idle APIC between the commands: the wait is bounded and calls `relax` between two polls.
    /// A caller that has to serve requests of other CPUs meanwhile does so there.
    ///
    /// # Errors
    ///
    /// A [`SendError`] for the first target that was not sent to. The message went to all others
    /// that it can reach.
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0, and is one of those that [`detect`](Self::detect) was
    ///    promised.
    /// 2. In xAPIC mode no NMI handler sends through the same APIC.
    /// 3. Each target can take the message: an interrupt or NMI runs its handler, a remote action
    ///    request makes a unit that is enabled follow the base registers of its CPU.
    pub unsafe fn send(
        &self,
        message: Message,
        addressing: Addressing,
        targets: impl IntoIterator<Item = ApicId>,
        relax: impl FnMut(),
    ) -> Result<(), SendError> {
        match self {
            Self::X2apic => send_by_x2apic(message, addressing, targets, &mut NativeX2apic),
            Self::Xapic(mmio) => {
                send_by_xapic(message, targets, &mut NativeXapic(*mmio), MAX_POLLS, relax)
            }
        }
    }
}

impl LocalApic {
    /// Sends a message to clusters of targets in x2APIC mode, with one pair of fences for all
    /// commands; `None`, with nothing sent, in xAPIC mode, which has no such clusters.
    ///
    /// # Errors
    ///
    /// [`SendError::Vector`] for an illegal vector, with nothing sent.
    ///
    /// # Safety
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub unsafe fn send_to_clusters(
        &self,
        message: Message,
        clusters: impl IntoIterator<Item = ClusterMembers>,
    ) -> Option<Result<(), SendError>> {
        match self {
            Self::X2apic => Some(send_to_clusters_by_x2apic(
                message,
                clusters,
                &mut NativeX2apic,
            )),
            Self::Xapic(_) => None,
        }
    }
}

/// The x2APIC itself. Used by [`LocalApic::send`] and [`LocalApic::send_to_clusters`] only, which
/// demands what the two functions need.
struct NativeX2apic;

// Inlined always: a caller of `send_x2apic_next` has to call `send_x2apic` too, and a disassembly
// check looks for both.
impl X2apicPort for NativeX2apic {
    #[inline(always)]
    fn write_fenced(&mut self, icr: X2apicIcr) {
        // SAFETY: 1. and 3. the duties 1 and 3 of `LocalApic::send`; 2. `detect` found this mode.
        unsafe { send_x2apic(icr) }
    }

    #[inline(always)]
    fn write(&mut self, icr: X2apicIcr) {
        // SAFETY: 1. to 3. as above; 4. both senders call this only after `write_fenced`.
        unsafe { send_x2apic_next(icr) }
    }
}

/// The xAPIC itself. Used by [`LocalApic::send`] only, which demands what `try_send` needs.
struct NativeXapic(XapicMmio);

impl XapicPort for NativeXapic {
    fn try_send(&mut self, icr: XapicIcr) -> Result<(), IcrBusy> {
        // SAFETY: 1. to 3. are the duties of `LocalApic::send`.
        unsafe { self.0.try_send(icr) }
    }
}

/// Why there is no local APIC to send through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ApicError {
    /// The APIC is off: bit 11 of `IA32_APIC_BASE` is clear.
    Disabled {
        /// The register.
        base: u64,
    },
    /// Bit 10 of `IA32_APIC_BASE` is set without bit 11, which no APIC allows.
    InvalidMode {
        /// The register.
        base: u64,
    },
    /// The register page is not mapped.
    NotMapped {
        /// Its physical address.
        address: u64,
    },
    /// The read of `IA32_APIC_BASE` raised #GP(0).
    Fault(MsrFault),
}

impl fmt::Display for ApicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled { base } => write!(
                f,
                "local APIC: disabled (got IA32_APIC_BASE {base:#x}, expected bit 11 set); enable \
                 it first"
            ),
            Self::InvalidMode { base } => write!(
                f,
                "local APIC: impossible mode (got IA32_APIC_BASE {base:#x} with bit 10 but not \
                 bit 11); correct the hypervisor"
            ),
            Self::NotMapped { address } => write!(
                f,
                "local APIC: registers not mapped (expected the page at {address:#x}); map it \
                 uncached"
            ),
            Self::Fault(fault) => write!(f, "local APIC: {fault}"),
        }
    }
}

impl core::error::Error for ApicError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::FakeCpu;
    use std::string::ToString;

    fn detect(base: u64) -> (Result<LocalApic, ApicError>, Option<u64>) {
        let cpu = FakeCpu::new().with_msr(0x1b, base);
        let mut asked = None;
        // SAFETY: nothing is sent.
        let apic = unsafe {
            LocalApic::detect(&cpu, |address| {
                asked = Some(address);
                Some(NonNull::dangling())
            })
        };
        (apic, asked)
    }

    #[test]
    fn the_base_register_says_the_mode() {
        let (apic, asked) = detect(0x000a_bcde_f123_4900);
        assert!(matches!(apic, Ok(LocalApic::Xapic(_))), "{apic:?}");
        assert_eq!(asked, Some(0x000a_bcde_f123_4000));
        assert_eq!(detect(0xfee0_0d00), (Ok(LocalApic::X2apic), None));
        for base in [0, 0xfee0_0100] {
            assert_eq!(detect(base), (Err(ApicError::Disabled { base }), None));
        }
        let base = 0xfee0_0400;
        assert_eq!(detect(base), (Err(ApicError::InvalidMode { base }), None));
    }

    #[test]
    fn a_page_that_is_not_mapped_and_a_missing_register_are_errors() {
        let cpu = FakeCpu::new().with_msr(0x1b, 0xfee0_0900);
        // SAFETY: nothing is sent.
        let error = unsafe { LocalApic::detect(&cpu, |_| None) }.unwrap_err();
        let address = 0xfee0_0000;
        assert_eq!(error, ApicError::NotMapped { address });
        assert!(error.to_string().contains("map it uncached"));
        // SAFETY: as above.
        let error = unsafe { LocalApic::detect(&FakeCpu::new(), |_| None) }.unwrap_err();
        assert!(matches!(
            error,
            ApicError::Fault(MsrFault { msr: 0x1b, .. })
        ));
    }
}
