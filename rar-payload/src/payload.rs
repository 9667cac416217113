//! The word view of the 64-byte entry.

use bit_field::BitField;

use crate::Field;

/// One entry of the payload table, as eight quadwords.
///
/// This view judges nothing: it holds any 64 bytes. [`Operation`](crate::Operation) is the typed
/// view; it encodes into a `Payload` and decodes from one.
///
/// Entry *i* lies at the table's base plus 64 × *i* (Linux RFC v4, code). Quadwords 0 to 3 are read
/// by hardware, 4 to 7 are software's own (review of Linux RFC v4, relaying Intel 341431).
#[doc(alias = "rar_payload")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C, align(64))]
pub struct Payload(pub(crate) [u64; 8]);

impl Payload {
    /// The entry of zeros. It asks for nothing legal: it decodes to an error, since its number of
    /// pages is 0.
    pub const EMPTY: Self = Self([0; 8]);

    /// Returns the entry made of these quadwords.
    #[must_use]
    #[inline]
    pub const fn from_words(words: [u64; 8]) -> Self {
        Self(words)
    }

    /// Returns the eight quadwords.
    #[must_use]
    #[inline]
    pub const fn words(&self) -> [u64; 8] {
        self.0
    }

    /// Returns the entry made of these bytes, in memory order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut payload = Self::EMPTY;
        for (word, bytes) in payload.0.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut little_endian = [0; 8];
            little_endian.copy_from_slice(bytes);
            *word = u64::from_le_bytes(little_endian);
        }
        payload
    }

    /// Returns the 64 bytes, in memory order.
    #[must_use]
    pub fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the value of one field, moved down to bit 0.
    #[must_use]
    #[inline]
    pub fn field(&self, field: Field) -> u64 {
        self.0
            .get(field.word())
            .map_or(0, |word| word.get_bits(field.bits()))
    }

    /// Returns the byte that is free for software: quadword 0, bits 7:0.
    #[doc(alias = "for_sw")]
    #[must_use]
    pub fn for_software(&self) -> u8 {
        self.narrow(Field::ForSoftware)
    }

    /// Returns the payload type: quadword 0, bits 15:8.
    #[must_use]
    #[inline]
    pub fn payload_type(&self) -> u8 {
        self.narrow(Field::PayloadType)
    }

    /// Returns the subtype, 0 to 7: quadword 0, bits 34:32.
    #[must_use]
    #[inline]
    pub fn subtype(&self) -> u8 {
        self.narrow(Field::Subtype)
    }

    /// Returns the page size code, 0 to 3: quadword 0, bits 36:35.
    #[must_use]
    #[inline]
    pub fn page_size_code(&self) -> u8 {
        self.narrow(Field::PageSize)
    }

    /// Returns the number of pages, 0 to 63: quadword 0, bits 42:37.
    #[doc(alias = "num_pages")]
    #[must_use]
    #[inline]
    pub fn page_count(&self) -> u8 {
        self.narrow(Field::PageCount)
    }

    /// Returns quadword 2: CR3, PCID, EPTP or VPID, according to the type.
    #[must_use]
    #[inline]
    pub fn operand(&self) -> u64 {
        self.field(Field::Operand)
    }

    /// Returns quadword 3: the linear address of the first page.
    #[doc(alias = "linear_address")]
    #[must_use]
    #[inline]
    pub fn address(&self) -> u64 {
        self.field(Field::Address)
    }

    /// Returns quadwords 4 to 7, which hardware does not read.
    #[must_use]
    pub const fn software_area(&self) -> [u64; 4] {
        let [.., a, b, c, d] = self.0;
        [a, b, c, d]
    }

    /// Returns the low byte of a field that is at most 8 bits wide.
    #[inline]
    fn narrow(&self, field: Field) -> u8 {
        let [low, ..] = self.field(field).to_le_bytes();
        low
    }
}

impl From<[u64; 8]> for Payload {
    fn from(words: [u64; 8]) -> Self {
        Self::from_words(words)
    }
}

impl From<Payload> for [u64; 8] {
    fn from(payload: Payload) -> Self {
        payload.words()
    }
}

#[cfg(test)]
mod tests {
    use super::Payload;

    const WORDS: [u64; 8] = [0x0000_0562_0000_02a5, 1, 2, 3, 4, 5, 6, 7];

    #[test]
    fn getters_read_their_own_bits() {
        let payload = Payload::from_words(WORDS);
        assert_eq!(payload.for_software(), 0xa5);
        assert_eq!(payload.payload_type(), 2);
        assert_eq!(payload.subtype(), 2);
        assert_eq!(payload.page_size_code(), 0);
        assert_eq!(payload.page_count(), 43);
        assert_eq!(payload.operand(), 2);
        assert_eq!(payload.address(), 3);
        assert_eq!(payload.software_area(), [4, 5, 6, 7]);
    }

    #[test]
    fn getters_see_every_bit_of_a_full_entry() {
        let payload = Payload::from_words([u64::MAX; 8]);
        assert_eq!(payload.for_software(), 0xff);
        assert_eq!(payload.payload_type(), 0xff);
        assert_eq!(payload.subtype(), 7);
        assert_eq!(payload.page_size_code(), 3);
        assert_eq!(payload.page_count(), 63);
    }

    #[test]
    fn bytes_are_in_memory_order() {
        let bytes = Payload::from_words(WORDS).bytes();
        assert_eq!(bytes[..8], [0xa5, 0x02, 0, 0, 0x62, 0x05, 0, 0]);
        assert_eq!(bytes[56], 7);
        assert_eq!(Payload::from_bytes(&bytes).words(), WORDS);
    }
}
