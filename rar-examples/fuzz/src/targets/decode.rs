//! An entry: the driver's reading against the model's, and against its own encoding.

use rar_model::{Action, Knobs, LinearWidth};
use rar_payload::{Field, Operation, Payload};

use crate::input::Input;

/// The model's default unit on a CPU with 57-bit addresses, as the driver checks them.
const WIDE: Knobs = Knobs {
    linear: LinearWidth::Bits57,
    ..Knobs::DEFAULT
};

/// Reads 64 bytes as an entry.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let words = [(); 8].map(|()| input.u64());
    let [control, reserved, operand, address, ..] = words;
    let read = Operation::decode(&Payload::from_words(words));
    // Bits 63:52 of a CR3 to match: the driver has no such value, the model masks them.
    let is_wide_cr3 = control >> 8 & 0xff == 0 && operand >> 52 != 0;
    if is_wide_cr3 {
        assert!(read.is_err(), "{words:x?}");
    } else {
        let model = Action::decode([control, reserved, operand, address], &WIDE);
        assert_eq!(
            read.is_ok(),
            model.is_ok(),
            "{words:x?}: {read:?}, {model:?}"
        );
    }
    match read {
        Ok(operation) => {
            let control = control & !Field::ForSoftware.mask();
            let encoded = operation.encode().words();
            assert_eq!(encoded, [control, reserved, operand, address, 0, 0, 0, 0]);
            assert_eq!(Operation::decode(&operation.encode()), Ok(operation));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
