//! The images that machines of a catalogue need: the same for all that need the same.

use std::path::Path;

use anyhow::Result;
use rar_harness::process::Verbosity;

use crate::grub::{self, Menu};
use crate::grub_disk;
use crate::machine;
use crate::new_folder::NewFolder;
use crate::test_machine::TestMachine;

/// What tells images apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImageKey {
    options: String,
    prelude: &'static [&'static str],
    modes: &'static str,
    medium: Medium,
}

/// What is booted from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Medium {
    Iso,
    NetworkTree,
    OldDisk,
}

impl ImageKey {
    /// Returns what tells a machine's image apart.
    pub(crate) fn of(machine: &TestMachine) -> Self {
        Self {
            options: machine.options(),
            prelude: machine.prelude,
            modes: machine.modes,
            medium: match machine.boot {
                boot if machine::by_network(boot) => Medium::NetworkTree,
                boot if machine::by_old_system(boot) => Medium::OldDisk,
                _ => Medium::Iso,
            },
        }
    }

    /// Writes the image with this kernel.
    pub(crate) fn write(&self, elf: &Path, to: &Path, verbosity: Verbosity) -> Result<()> {
        let menu = Menu::OnScreen {
            prelude: self.prelude,
            modes: self.modes,
            options: self.options.clone(),
        };
        match self.medium {
            Medium::Iso => grub::iso(elf, &menu, to, verbosity),
            Medium::NetworkTree => {
                let tree = NewFolder::create("--netboot", to)?;
                grub::network_tree(elf, &menu, tree, verbosity)
            }
            Medium::OldDisk => grub_disk::write(elf, &self.options, to, verbosity),
        }
    }
}
