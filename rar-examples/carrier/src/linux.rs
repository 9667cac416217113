//! Linux, by its 64-bit boot protocol (the kernel's documentation, "The Linux/x86 Boot Protocol").

mod boot_params;
mod image;

pub(crate) use image::{BzImage, is_bzimage};

use crate::entry::Entry;
use crate::error::PayloadError;
use crate::files::Files;
use crate::guest_ram::GuestRam;
use crate::handover::Handover;
use crate::machine::Told;
use crate::plan::{LIMIT, Layout, Part, Placed, Plan, place_modules};
use boot_params::BootParams;

/// The 64-bit entry point lies here in the protected-mode part.
const ENTRY_64: u64 = 0x200;
const PAGE: u64 = 4096;

pub(crate) fn plan(
    image: &BzImage<'_>,
    files: &Files<'_>,
    told: &Told<'_>,
    ram: &mut GuestRam,
    handover: &mut Handover<'_>,
) -> Result<Plan, PayloadError> {
    let length = told.line.len() as u64;
    if length > image.longest_line {
        return Err(PayloadError::LongLine {
            got: length,
            most: image.longest_line,
        });
    }
    let mut layout = Layout::new(ram);
    let to = place_kernel(image, &mut layout)?;
    let mut initrd: Option<Placed<'_>> = None;
    place_modules(
        &mut layout,
        files,
        image.initrd_limit.min(LIMIT),
        |placed| {
            match initrd {
                None => initrd = Some(placed),
                Some(_) => {
                    return Err(PayloadError::Unsupported {
                        kind: "payload",
                        what: "Linux takes one module, its initrd; join several into one file",
                    });
                }
            }
            Ok(())
        },
    )?;
    let mut parameters = BootParams::new(image.header);
    let line = handover.add_text(told.line)?;
    parameters.set_command_line(line);
    if let Some(initrd) = initrd {
        parameters.set_initrd(initrd.start, initrd.end());
    }
    let root = match (told.machine.rsdp_address, told.machine.rsdp) {
        (Some(address), _) => address,
        (None, Some(bytes)) => handover.add(&bytes, 16)?,
        (None, None) => 0,
    };
    parameters.set_rsdp(root);
    parameters.set_memory_map(told.map)?;
    if let Some(display) = told.machine.display {
        parameters.set_display(display);
    }
    let at = handover.add(parameters.bytes(), 16)?;
    let part = Part {
        offset: image.offset,
        length: image.length,
        to,
        size: image.length,
    };
    let entry = Entry::Long {
        rip: to + ENTRY_64,
        rsi: at,
    };
    layout.parts(&files.kernel, [part], entry)
}

/// Finds memory for the kernel to unpack itself in: where it prefers to be, or above, if it can be
/// moved. Below that it would move itself up, over whatever lies there.
fn place_kernel(image: &BzImage<'_>, layout: &mut Layout<'_>) -> Result<u64, PayloadError> {
    let what = "the Linux kernel";
    let size = image.init_size;
    let preferred = image.preferred;
    if !image.relocatable {
        let there = (
            preferred,
            preferred.saturating_add(size.next_multiple_of(PAGE)),
        );
        return layout.take(what, size, PAGE, there);
    }
    layout.take(what, size, image.alignment, (preferred, LIMIT))
}
