//! The interrupt command of an xAPIC: two 32-bit words.

use crate::ApicId;
use crate::icr::{self, DestinationError, IcrError};

/// The two words of the xAPIC interrupt command register (offsets 0x310 and 0x300 of the APIC
/// page).
///
/// The destination stands in bits 31:24 of the high word, everything else in the low word; writing
/// the low word sends (SDM vol. 3, Interrupt Command Register; documented).
///
/// # Examples
///
/// ```
/// use rar_regs::{ApicId, XapicIcr};
///
/// let icr = XapicIcr::rar(ApicId::new(5)).unwrap();
/// assert_eq!((icr.high(), icr.low()), (0x0500_0000, 0x300));
/// assert!(XapicIcr::rar(ApicId::new(0xff)).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct XapicIcr {
    high: u32,
    low: u32,
}

impl XapicIcr {
    /// Delivery status, bit 12 of the low word: set while the APIC is still sending. Read-only.
    pub const DELIVERY_STATUS: u32 = 1 << 12;

    /// Returns a remote action request to one CPU, physical destination
    /// ([`RemoteActionRequest`](crate::DeliveryMode::RemoteActionRequest)).
    ///
    /// # Errors
    ///
    /// [`DestinationError`] for the broadcast ID `0xff` and for any ID that needs more than 8 bits.
    pub fn rar(destination: ApicId) -> Result<Self, DestinationError> {
        Self::to(destination, icr::rar())
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

    /// Returns the command with these two words, unchecked: for messages that this crate does not
    /// name.
    #[must_use]
    pub const fn from_bits(high: u32, low: u32) -> Self {
        Self { high, low }
    }

    /// Returns the word for offset 0x310.
    #[must_use]
    pub const fn high(self) -> u32 {
        self.high
    }

    /// Returns the word for offset 0x300.
    #[must_use]
    pub const fn low(self) -> u32 {
        self.low
    }

    fn to(destination: ApicId, low: u32) -> Result<Self, DestinationError> {
        if destination == ApicId::XAPIC_BROADCAST || destination == ApicId::X2APIC_BROADCAST {
            return Err(DestinationError::Broadcast { id: destination });
        }
        let id = u8::try_from(destination.get())
            .map_err(|_| DestinationError::NeedsX2apic { id: destination })?;
        Ok(Self {
            high: u32::from(id) << 24,
            low,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeliveryMode;

    const CPU: ApicId = ApicId::new(0xfe);

    #[test]
    fn golden_words() {
        assert_eq!(
            XapicIcr::rar(ApicId::new(0)),
            Ok(XapicIcr::from_bits(0, 0x300))
        );
        assert_eq!(
            XapicIcr::rar(CPU),
            Ok(XapicIcr::from_bits(0xfe00_0000, 0x300))
        );
        assert_eq!(
            XapicIcr::fixed(CPU, 0xf3),
            Ok(XapicIcr::from_bits(0xfe00_0000, 0x40f3))
        );
        assert_eq!(
            XapicIcr::nmi(CPU),
            Ok(XapicIcr::from_bits(0xfe00_0000, 0x4400))
        );
        assert_eq!(
            XapicIcr::init(CPU),
            Ok(XapicIcr::from_bits(0xfe00_0000, 0x4500))
        );
        assert_eq!(
            XapicIcr::startup(CPU, 0x9a),
            Ok(XapicIcr::from_bits(0xfe00_0000, 0x469a))
        );
    }

    #[test]
    fn broadcast_and_wide_ids_are_refused() {
        for id in [ApicId::XAPIC_BROADCAST, ApicId::X2APIC_BROADCAST] {
            assert_eq!(XapicIcr::rar(id), Err(DestinationError::Broadcast { id }));
            assert!(XapicIcr::nmi(id).is_err());
            assert!(XapicIcr::init(id).is_err());
            assert!(XapicIcr::startup(id, 8).is_err());
        }
        let id = ApicId::new(0x100);
        assert_eq!(XapicIcr::rar(id), Err(DestinationError::NeedsX2apic { id }));
        assert_eq!(
            XapicIcr::fixed(id, 0x20),
            Err(IcrError::Destination(DestinationError::NeedsX2apic { id }))
        );
    }

    #[test]
    fn exception_vectors_below_16_are_refused() {
        assert_eq!(
            XapicIcr::fixed(CPU, 15),
            Err(IcrError::Vector { vector: 15 })
        );
        assert!(XapicIcr::fixed(CPU, 16).is_ok());
    }

    #[test]
    fn modes_are_the_code_points_of_bits_10_to_8() {
        for (word, mode) in [
            (XapicIcr::rar(CPU), DeliveryMode::RemoteActionRequest),
            (XapicIcr::nmi(CPU), DeliveryMode::Nmi),
            (XapicIcr::init(CPU), DeliveryMode::Init),
            (XapicIcr::startup(CPU, 1), DeliveryMode::Startup),
        ] {
            assert_eq!(word.unwrap().low() >> 8 & 0b111, u32::from(mode as u8));
        }
    }
}
