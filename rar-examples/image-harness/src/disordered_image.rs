//! One image for many machines: by its serial number GRUB knows which disorder it has to make.

use std::path::Path;

use anyhow::{Context as _, Result};
use rar_harness::process::Verbosity;
use rar_harness::rescue_image::{self, Modules};

use crate::firmware_catalogue::FirmwareRow;
use crate::grub;

/// Where the menu of each row lies in the image.
const FOLDER: &str = "rows";

/// Asks the firmware for the serial number of the machine (SMBIOS 3.6, "System Information (Type
/// 1)"), and takes the menu of that name.
const CHOICE: &str = "smbios --type 1 --get-string 7 --set row\n";

/// Returns the arguments of QEMU that give a machine its name.
pub(crate) fn serial_number(row: &FirmwareRow) -> Vec<String> {
    let number = format!("type=1,serial={}", row.machine.name);
    vec!["-smbios".to_owned(), number]
}

/// Writes an ISO file that makes the disorder of any of these rows.
///
/// # Errors
///
/// A program of GRUB fails, or a file cannot be written.
pub(crate) fn iso(
    kernel: &Path,
    rows: &[FirmwareRow],
    output: &Path,
    verbosity: Verbosity,
) -> Result<()> {
    let menu = format!("{}{CHOICE}source /{FOLDER}/$row.cfg\n", grub::start(0));
    let files = grub::stage(kernel, &menu, verbosity)?;
    let folder = files.path().join(FOLDER);
    let cannot = || format!("cannot write the menus into {}", folder.display());
    std::fs::create_dir(&folder).with_context(cannot)?;
    for row in rows {
        let name = row.machine.name;
        let tables: Vec<_> = (0..row.tables.len())
            .map(|number| file(name, number))
            .collect();
        for (table, file) in row.tables.iter().zip(&tables) {
            table.write(&folder.join(file)).with_context(cannot)?;
        }
        std::fs::write(folder.join(format!("{name}.cfg")), menu_of(row)).with_context(cannot)?;
    }
    let modules = format!("{} {} smbios", grub::MODULES, grub::MORE_MODULES);
    rescue_image::write(files.path(), Modules::Only(&modules), output, verbosity)
}

fn file(name: &str, number: usize) -> String {
    format!("{name}-{number}.aml")
}

/// Returns the menu that makes the disorder of a row, around loading the kernel.
fn menu_of(row: &FirmwareRow) -> String {
    let name = row.machine.name;
    // GRUB puts each before those that it has.
    let files = (0..row.tables.len()).rev();
    let files: String = files
        .map(|number| format!(" /{FOLDER}/{}", file(name, number)))
        .collect();
    let tables = match row.replaces {
        "" => None,
        signature => Some(format!("acpi --exclude={signature}{files}")),
    };
    let before: Vec<_> = tables.into_iter().chain(row.before.clone()).collect();
    let commands = format!(
        "{}{}{}",
        grub::lines(&before),
        grub::loading(&row.machine.options(), row.machine.modes),
        grub::lines(&row.after)
    );
    grub::entry(name, &commands)
}

#[cfg(test)]
mod tests {
    use rar_firmware::Madt;

    use super::*;
    use crate::firmware_catalogue::row;

    #[test]
    fn disorder_comes_before_or_after_the_kernel_is_loaded() {
        let row = row("odd", "odd")
            .before(["wrmsr 0x277 0x0".to_owned()])
            .after(["outb 0x21 0x0".to_owned()])
            .tables("APIC", [4, 2].map(|cpus| Madt::of_cpus(0..cpus).table()));
        let text = menu_of(&row);
        let at = |words: &str| {
            text.find(words)
                .unwrap_or_else(|| panic!("{words}\n{text}"))
        };
        let order = [
            "menuentry \"odd\" {\n",
            "  acpi --exclude=APIC /rows/odd-1.aml /rows/odd-0.aml\n",
            "  wrmsr 0x277 0x0\n",
            "  multiboot2 /boot/rar-validate run=quick ",
            "  outb 0x21 0x0\n",
        ];
        assert!(order.map(at).is_sorted(), "{text}");
    }
}
