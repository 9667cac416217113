//! An MSR write on other processors. Feature `unverified`.

use bit_field::BitField;

use crate::encode::Fields;
use crate::{DecodeError, Field, Payload};

/// An MSR to be written, and the value: the content of a type 5 entry.
///
/// Quadword 2 holds the value, quadwords 1 and 3 must be zero (Intel's own Linux branch of 2019,
/// code). That bits 63:32 of quadword 0 hold the MSR number is a guess. Which MSRs are allowed, and
/// what a write that would fault does, is unknown. No public code sends this type. Do not send it
/// without Intel 341431 in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MsrWrite {
    msr: u32,
    value: u64,
}

impl MsrWrite {
    /// The payload type, 5.
    pub const TYPE: u8 = 5;

    /// The guessed place of the MSR number in quadword 0.
    const NUMBER: core::ops::Range<usize> = 32..64;

    /// Returns the write of `value` to the MSR of number `msr`.
    ///
    /// # Safety
    ///
    /// Sending an entry is safe, so the caller that builds this one promises for every processor it
    /// may be sent to, at any later time:
    ///
    /// 1. The MSR exists there and may be written to by RAR.
    /// 2. The value is legal for it.
    /// 3. The write breaks no promise that other code relies on: of memory safety, of paging, of
    ///    the state of RAR itself.
    #[must_use]
    pub const unsafe fn new(msr: u32, value: u64) -> Self {
        Self { msr, value }
    }

    /// Returns the MSR write that an entry asks for.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownType`] if the type is not 5, [`DecodeError::ReservedBits`] if bits
    /// that must be zero are not.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new), for the number and the value in the entry.
    pub unsafe fn decode(payload: &Payload) -> Result<Self, DecodeError> {
        if payload.payload_type() != Self::TYPE {
            return Err(DecodeError::UnknownType {
                payload_type: payload.payload_type(),
            });
        }
        for field in [Field::ReservedLow, Field::ReservedWord, Field::Address] {
            let value = payload.field(field);
            if value != 0 {
                return Err(DecodeError::ReservedBits { field, value });
            }
        }
        let [control, ..] = payload.words();
        let [a, b, c, d, ..] = control.get_bits(Self::NUMBER).to_le_bytes();
        Ok(Self {
            msr: u32::from_le_bytes([a, b, c, d]),
            value: payload.operand(),
        })
    }

    /// Returns the number of the MSR.
    #[must_use]
    pub const fn msr(&self) -> u32 {
        self.msr
    }

    /// Returns the value to be written.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    pub(crate) const fn fields(&self) -> Fields {
        Fields {
            control: Field::PayloadType.shifted(Self::TYPE as u64)
                | ((self.msr as u64) << Self::NUMBER.start),
            operand: self.value,
            address: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MsrWrite;
    use crate::{DecodeError, Field, Operation, Payload};

    const WORDS: [u64; 8] = [
        0xc000_0080_0000_0500,
        0,
        0x0123_4567_89ab_cdef,
        0,
        0,
        0,
        0,
        0,
    ];

    fn decode(words: [u64; 8]) -> Result<MsrWrite, DecodeError> {
        // SAFETY: 1 to 3: nothing is sent by this test.
        unsafe { MsrWrite::decode(&Payload::from_words(words)) }
    }

    #[test]
    fn number_and_value_take_their_places() {
        // SAFETY: 1 to 3: nothing is sent by this test.
        let write = unsafe { MsrWrite::new(0xc000_0080, 0x0123_4567_89ab_cdef) };
        assert_eq!(Operation::MsrWrite(write).encode().words(), WORDS);
        assert_eq!(decode(WORDS), Ok(write));
        assert_eq!(
            (write.msr(), write.value()),
            (0xc000_0080, 0x0123_4567_89ab_cdef)
        );
    }

    #[test]
    fn safe_decoding_refuses_it() {
        assert_eq!(
            Operation::decode(&WORDS.into()),
            Err(DecodeError::WritesMsr)
        );
    }

    #[test]
    fn every_reserved_bit_is_seen() {
        for (word, bits, field) in [
            (0, 16..32, Field::ReservedLow),
            (1, 0..64, Field::ReservedWord),
            (3, 0..64, Field::Address),
        ] {
            for bit in bits {
                let mut words = WORDS;
                words[word] |= 1 << bit;
                let value = words[word] >> field.bits().start;
                let value = if word == 0 { value & 0xffff } else { value };
                assert_eq!(
                    decode(words),
                    Err(DecodeError::ReservedBits { field, value })
                );
            }
        }
    }

    #[test]
    fn other_types_are_refused() {
        for payload_type in (0..=u8::MAX).filter(|&payload_type| payload_type != 5) {
            let mut words = WORDS;
            words[0] = u64::from(payload_type) << 8;
            assert_eq!(
                decode(words),
                Err(DecodeError::UnknownType { payload_type })
            );
        }
    }

    #[test]
    fn software_bits_are_ignored() {
        let mut words = WORDS;
        words[0] |= 0xa5;
        words[4..].fill(u64::MAX);
        assert_eq!(decode(words), decode(WORDS));
    }
}
