//! What the tests of every register ask of its field masks.

use tock_registers::RegisterLongName;
use tock_registers::fields::Field;

/// Returns the bits of the register that belong to a field.
pub(crate) fn mask<R: RegisterLongName>(field: Field<u64, R>) -> u64 {
    field.mask << field.shift
}

/// Asserts that no bit belongs to two fields and that fields and reserved bits together are the
/// whole word.
pub(crate) fn assert_fills_word(fields: &[u64], reserved: u64) {
    let mut seen = reserved;
    for &field in fields {
        assert_eq!(seen & field, 0, "field {field:#x} overlaps");
        seen |= field;
    }
    assert_eq!(seen, u64::MAX, "bits without a meaning");
}
