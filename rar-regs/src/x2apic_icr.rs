//! The interrupt command of an x2APIC: one 64-bit word.

use crate::icr::{self, DestinationError, IcrError};
use crate::{ApicId, ClusterMembers};

/// The value of the x2APIC interrupt command register, MSR [`MSR`](Self::MSR).
///
/// The destination stands in bits 63:32, everything else as in the low word of an xAPIC; there is
/// no delivery status to wait for (SDM vol. 3, x2APIC ICR operation; documented).
///
/// # Examples
///
/// ```
/// use rar_regs::{ApicId, X2apicIcr};
///
/// let icr = X2apicIcr::rar(ApicId::new(0x1_0005)).unwrap();
/// assert_eq!(icr.bits(), 0x0001_0005_0000_0300);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct X2apicIcr(u64);

impl X2apicIcr {
    /// The address of the register (SDM vol. 3, x2APIC Register Address Space).
    #[doc(alias = "IA32_X2APIC_ICR")]
    pub const MSR: u32 = 0x830;

    /// Destination mode, bit 11: the destination is a logical address.
    const LOGICAL: u32 = 1 << 11;

    /// Returns a remote action request to one CPU, physical destination
    /// ([`RemoteActionRequest`](crate::DeliveryMode::RemoteActionRequest)).
    ///
    /// # Errors
    ///
    /// [`DestinationError::Broadcast`] for the ID `0xffff_ffff`.
    pub fn rar(destination: ApicId) -> Result<Self, DestinationError> {
        Self::to(destination, icr::rar())
    }

    /// Returns a remote action request to all CPUs of a set, logical destination.
    ///
    /// Linux RFC v4 sends one on machines that use logical destinations (code). No report says
    /// which destinations the machines used that it ran on, so whether silicon takes one is
    /// unknown.
    #[must_use]
    pub fn rar_cluster(destination: ClusterMembers) -> Self {
        Self::to_cluster(destination, icr::rar())
    }

    /// Returns an ordinary interrupt to one CPU ([`Fixed`](crate::DeliveryMode::Fixed)).
    ///
    /// # Errors
    ///
    /// As [`rar`](Self::rar), and [`IcrError::Vector`] for a vector below 16.
    pub fn fixed(destination: ApicId, vector: u8) -> Result<Self, IcrError> {
        Ok(Self::to(destination, icr::fixed(vector)?)?)
    }

    /// Returns a non-maskable interrupt to one CPU ([`Nmi`](crate::DeliveryMode::Nmi)).
    ///
    /// # Errors
    ///
    /// As [`rar`](Self::rar).
    pub fn nmi(destination: ApicId) -> Result<Self, DestinationError> {
        Self::to(destination, icr::nmi())
    }

    /// Returns an ordinary interrupt to all CPUs of a set, logical destination.
    ///
    /// # Errors
    ///
    /// [`IcrError::Vector`] for a vector below 16.
    pub fn fixed_cluster(destination: ClusterMembers, vector: u8) -> Result<Self, IcrError> {
        Ok(Self::to_cluster(destination, icr::fixed(vector)?))
    }

    /// Returns a non-maskable interrupt to all CPUs of a set, logical destination.
    #[must_use]
    pub fn nmi_cluster(destination: ClusterMembers) -> Self {
        Self::to_cluster(destination, icr::nmi())
    }

    /// Returns an INIT to one CPU ([`Init`](crate::DeliveryMode::Init)).
    ///
    /// # Errors
    ///
    /// As [`rar`](Self::rar).
    pub fn init(destination: ApicId) -> Result<Self, DestinationError> {
        Self::to(destination, icr::init())
    }

    /// Returns a start-up message to one CPU: it begins at physical address `page << 12`
    /// ([`Startup`](crate::DeliveryMode::Startup)).
    ///
    /// # Errors
    ///
    /// As [`rar`](Self::rar).
    pub fn startup(destination: ApicId, page: u8) -> Result<Self, DestinationError> {
        Self::to(destination, icr::startup(page))
    }

    /// Returns the command with this value, unchecked: for messages that this crate does not name.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the value to write.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    fn to(destination: ApicId, low: u32) -> Result<Self, DestinationError> {
        if destination == ApicId::X2APIC_BROADCAST {
            return Err(DestinationError::Broadcast { id: destination });
        }
        Ok(Self::from_words(destination.get(), low))
    }

    fn to_cluster(destination: ClusterMembers, low: u32) -> Self {
        Self::from_words(destination.destination(), low | Self::LOGICAL)
    }

    fn from_words(high: u32, low: u32) -> Self {
        Self(u64::from(high) << 32 | u64::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: ApicId = ApicId::new(0x89ab_cdef);

    #[test]
    fn golden_words() {
        assert_eq!(X2apicIcr::MSR, 0x830);
        assert_eq!(X2apicIcr::rar(ApicId::new(0)).unwrap().bits(), 0x300);
        assert_eq!(
            X2apicIcr::rar(ApicId::new(0xff)).unwrap().bits(),
            0x0000_00ff_0000_0300
        );
        assert_eq!(X2apicIcr::rar(CPU).unwrap().bits(), 0x89ab_cdef_0000_0300);
        assert_eq!(
            X2apicIcr::fixed(CPU, 0x10).unwrap().bits(),
            0x89ab_cdef_0000_4010
        );
        assert_eq!(X2apicIcr::nmi(CPU).unwrap().bits(), 0x89ab_cdef_0000_4400);
        assert_eq!(X2apicIcr::init(CPU).unwrap().bits(), 0x89ab_cdef_0000_4500);
        assert_eq!(
            X2apicIcr::startup(CPU, 8).unwrap().bits(),
            0x89ab_cdef_0000_4608
        );
        assert_eq!(X2apicIcr::from_bits(0x1234).bits(), 0x1234);
    }

    #[test]
    fn golden_cluster_words() {
        let mut set = ClusterMembers::new(ApicId::new(0x123)).unwrap();
        assert!(set.try_add(ApicId::new(0x120)));
        assert_eq!(X2apicIcr::rar_cluster(set).bits(), 0x0012_0009_0000_0b00);
        assert_eq!(X2apicIcr::nmi_cluster(set).bits(), 0x0012_0009_0000_4c00);
        assert_eq!(
            X2apicIcr::fixed_cluster(set, 0xf3).map(X2apicIcr::bits),
            Ok(0x0012_0009_0000_48f3)
        );
        let vector = 15;
        assert_eq!(
            X2apicIcr::fixed_cluster(set, vector),
            Err(IcrError::Vector { vector })
        );
    }

    #[test]
    fn broadcast_is_refused() {
        let id = ApicId::X2APIC_BROADCAST;
        let broadcast = Err(DestinationError::Broadcast { id });
        assert_eq!(X2apicIcr::rar(id), broadcast);
        assert_eq!(X2apicIcr::nmi(id), broadcast);
        assert_eq!(X2apicIcr::init(id), broadcast);
        assert_eq!(X2apicIcr::startup(id, 8), broadcast);
        assert_eq!(
            X2apicIcr::fixed(id, 0x20),
            Err(IcrError::Destination(DestinationError::Broadcast { id }))
        );
    }

    #[test]
    fn exception_vectors_below_16_are_refused() {
        assert_eq!(
            X2apicIcr::fixed(CPU, 0),
            Err(IcrError::Vector { vector: 0 })
        );
    }
}
