//! The boot protocols.

use core::fmt;

/// A boot protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The 64-bit boot protocol of Linux.
    Linux,
    /// Multiboot2, by an i386 entry.
    Multiboot2,
    /// PVH, by the note of Xen.
    Pvh,
}

impl Protocol {
    /// Every protocol with the word that names it.
    pub const NAMES: [(Self, &'static str); 3] = [
        (Self::Linux, "linux"),
        (Self::Multiboot2, "multiboot2"),
        (Self::Pvh, "pvh"),
    ];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMES.iter();
        let name = names.find(|(protocol, _)| protocol == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}
