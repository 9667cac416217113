//! Machines of the catalogues, each with the image that it boots.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rar_harness::process::Verbosity;

use crate::disordered_image;
use crate::firmware_catalogue::FirmwareRow;
use crate::image_key::ImageKey;
use crate::test_machine::TestMachine;

/// A machine, and what it boots.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) machine: TestMachine,
    pub(crate) image: PathBuf,
    /// Arguments of QEMU beside those of the machine.
    pub(crate) more: Vec<String>,
    /// Whether GRUB executes commands that put the machine in disorder: each must succeed, or the
    /// boot shows nothing.
    pub(crate) is_disordered: bool,
}

/// Writes the images that these machines boot into a folder: one for all that need the same.
///
/// # Errors
///
/// An image cannot be built.
pub fn cases(
    machines: &[TestMachine],
    elf: &Path,
    folder: &Path,
    verbosity: Verbosity,
) -> Result<Vec<Case>> {
    let mut images: BTreeMap<ImageKey, PathBuf> = BTreeMap::new();
    let case = |machine: &TestMachine| {
        let number = images.len();
        let image = match images.entry(ImageKey::of(machine)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let image = folder.join(format!("image-{number}"));
                place.key().write(elf, &image, verbosity)?;
                place.insert(image)
            }
        };
        Ok(Case {
            machine: *machine,
            image: image.clone(),
            more: Vec::new(),
            is_disordered: false,
        })
    };
    machines.iter().map(case).collect()
}

/// Writes the one image that makes the disorder of these rows into a folder.
///
/// # Errors
///
/// As [`cases`].
pub fn disordered_cases(
    rows: &[FirmwareRow],
    elf: &Path,
    folder: &Path,
    verbosity: Verbosity,
) -> Result<Vec<Case>> {
    let image = folder.join("disordered.iso");
    if !rows.is_empty() {
        disordered_image::iso(elf, rows, &image, verbosity)?;
    }
    let cases = rows.iter().map(|row| Case {
        machine: row.machine,
        image: image.clone(),
        more: disordered_image::serial_number(row),
        is_disordered: true,
    });
    Ok(cases.collect())
}
