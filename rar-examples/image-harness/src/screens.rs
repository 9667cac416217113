//! Machines with screens of every kind: the menu asks for the mode, and the report is read off.

use crate::machine::Boot;
use crate::test_machine::{ReportChannel, TestMachine, USUAL, When};

/// Seconds on a busy host: many codes, and up to eight million pixels.
const LONG: u64 = 1200;

/// A machine whose codes are read from the screen, and are few, since one backend runs.
const FEW_CODES: TestMachine = TestMachine {
    told: ReportChannel::Both,
    cpus: 2,
    greatest_id: 1,
    cpu: "max,-svm",
    no_shim: Some("the CPU has no SVM"),
    limit: LONG,
    ..USUAL
};

/// The mode that the menu asks for is the one that comes.
pub(crate) const RGB_800X600X32: TestMachine = TestMachine {
    name: "800x600x32",
    about: "the menu asks for a mode of 800x600 with 32 bits",
    modes: "800x600x32",
    says: &["screen: 800x600 pixels of 32 bits, 3200 bytes a row, at 0xfd000000"],
    when: When::Test,
    ..USUAL
};

/// Pixels of two bytes.
pub(crate) const RGB_800X600X16: TestMachine = TestMachine {
    name: "800x600x16",
    about: "a mode of 800x600 with 16 bits",
    modes: "800x600x16",
    says: &["screen: 800x600 pixels of 16 bits, 1600 bytes a row, at 0xfd000000"],
    ..FEW_CODES
};

/// Pixels of one byte, which number colours.
pub(crate) const PALETTE_800X600: TestMachine = TestMachine {
    name: "800x600x8",
    about: "a mode of 800x600 with a palette",
    // After the BIOS of a graphics card GRUB 2.06 writes the palette behind its memory for the
    // kernel's information. Its own driver leaves room, and the picture off.
    vga: "none",
    more: &["-device", "VGA,romfile="],
    prelude: &["insmod video_bochs", "inb 0x3da", "outb 0x3c0 0x20"],
    modes: "800x600x8",
    says: &["screen: 800x600 pixels of 8 bits, 800 bytes a row, at 0xfd000000"],
    ..FEW_CODES
};

/// The smallest mode that firmware has, with pixels of two bytes that use fifteen bits.
pub(crate) const SMALL: TestMachine = TestMachine {
    name: "320x200x15",
    about: "a mode of 320x200 with 15 bits",
    modes: "320x200x15",
    says: &["screen: small, so the QR codes are small and many (version 10)"],
    ..FEW_CODES
};

/// The largest mode of usual panels.
pub(crate) const LARGE: TestMachine = TestMachine {
    name: "3840x2160x32",
    about: "a mode of 3840x2160, UEFI",
    boot: Boot::Uefi,
    vga: "none",
    more: &["-device", "VGA,vgamem_mb=64"],
    modes: "3840x2160x32",
    says: &["screen: 3840x2160 pixels of 32 bits, 15360 bytes a row, at 0xc0000000"],
    ..FEW_CODES
};
