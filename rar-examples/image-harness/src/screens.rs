//! Machines whose menu asks for a mode of the screen.

use crate::test_machine::{TestMachine, USUAL, When};

/// The mode that the menu asks for is the one that comes.
pub(crate) const RGB_800X600X32: TestMachine = TestMachine {
    name: "800x600x32",
    about: "the menu asks for a mode of 800x600 with 32 bits",
    modes: "800x600x32",
    says: &["screen: 800x600 pixels of 32 bits, 3200 bytes a row, at 0xfd000000"],
    when: When::Test,
    ..USUAL
};
