//! The states of one byte of an action vector.

/// What a byte of an action vector says about the entry of the same index.
///
/// Codes: Intel 341431 as relayed in the review of the Linux RFC series (documented). Any other
/// value is *not final*: an early revision of the interface had an intermediate 0x02.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[doc(alias = "RAR_SUCCESS")]
#[doc(alias = "RAR_PENDING")]
#[doc(alias = "RAR_FAILURE")]
#[repr(u8)]
pub enum ActionState {
    /// 0x00: the action was carried out. Also the state of a byte that was never armed.
    Success = 0x00,
    /// 0x01: the initiator asks for the action; the target has not ended it.
    Pending = 0x01,
    /// 0x80: the target refused the action. Whether it did part of it is unknown, so it counts as
    /// not done.
    Failure = 0x80,
}

impl TryFrom<u8> for ActionState {
    type Error = UnknownAction;

    fn try_from(byte: u8) -> Result<Self, UnknownAction> {
        match byte {
            0x00 => Ok(Self::Success),
            0x01 => Ok(Self::Pending),
            0x80 => Ok(Self::Failure),
            other => Err(UnknownAction(other)),
        }
    }
}

/// A byte with another value than the three known states: in progress as far as we know, and
/// reported with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownAction(pub u8);

impl core::fmt::Display for UnknownAction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "action byte {:#04x} is neither success (0x00), pending (0x01) nor failure (0x80)",
            self.0
        )
    }
}

impl core::error::Error for UnknownAction {}

/// One reading of an action byte, kept as it was read.
///
/// Memory that microcode writes is never a Rust enum: the byte is loaded once, and every judgement
/// is of that load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ActionByte(pub u8);

impl ActionByte {
    /// The software responder has taken the entry and not ended it yet. Not final to anyone who
    /// reads it.
    ///
    /// No unit is known to write it: what the responder ends is its own.
    pub(crate) const TAKEN: u8 = 0x40;

    /// Returns the state that the byte stands for.
    ///
    /// # Errors
    ///
    /// [`UnknownAction`] for every byte but the three known ones.
    pub fn state(self) -> Result<ActionState, UnknownAction> {
        ActionState::try_from(self.0)
    }

    /// Returns whether the software responder has taken the entry and not ended it yet: 0x40.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        self.0 == Self::TAKEN
    }

    /// Returns whether the target is done with the entry: [`ActionState::Success`] or
    /// [`ActionState::Failure`].
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self.state(),
            Ok(ActionState::Success | ActionState::Failure)
        )
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn only_success_and_failure_are_final() {
        for byte in 0..=u8::MAX {
            assert_eq!(
                ActionByte(byte).is_final(),
                byte == 0x00 || byte == 0x80,
                "byte {byte:#04x}"
            );
        }
    }

    #[test]
    fn the_byte_of_the_software_responder_is_none_that_a_unit_is_known_to_write() {
        const OLD_ACKED: u8 = 0x02;
        for byte in [0x00, 0x01, 0x80, OLD_ACKED] {
            assert!(!ActionByte(byte).is_taken(), "{byte:#04x}");
        }
        let taken = ActionByte(ActionByte::TAKEN);
        assert!(taken.is_taken() && !taken.is_final());
    }

    #[test]
    fn an_unknown_byte_is_reported_with_its_value() {
        assert_eq!(ActionByte(0x02).state(), Err(UnknownAction(0x02)));
        assert_eq!(ActionByte(0x81).state(), Err(UnknownAction(0x81)));
        assert_eq!(ActionByte(0x80).state(), Ok(ActionState::Failure));
    }
}
