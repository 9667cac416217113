//! ELF files with a multiboot2 header, by the i386 entry (Multiboot2 specification 2.0).

mod header;
mod information;

pub(crate) use header::Header;

use crate::elf_file::ElfFile;
use crate::entry::Entry;
use crate::error::PayloadError;
use crate::files::Files;
use crate::guest_ram::GuestRam;
use crate::handover::Handover;
use crate::machine::Told;
use crate::plan::{LIMIT, Layout, Plan, place_modules};
use information::Information;

/// What EAX holds ("I386 machine state").
const LOADED: u32 = rar_kernel::MULTIBOOT2_MAGIC;

pub(crate) fn plan(
    file: &ElfFile<'_>,
    header: &Header,
    files: &Files<'_>,
    told: &Told<'_>,
    ram: &mut GuestRam,
    handover: &mut Handover<'_>,
) -> Result<Plan, PayloadError> {
    header.check_display(told.machine.display)?;
    let mut layout = Layout::new(ram);
    for part in file.parts() {
        layout.claim(&part)?;
    }
    let mut information = Information::begin(handover)?;
    information.text(information::COMMAND_LINE, told.line)?;
    information.text(information::LOADER, "rar-carrier")?;
    place_modules(&mut layout, files, LIMIT, |module| {
        information.module(module.start, module.end(), module.file.line)
    })?;
    information.memory(told.map)?;
    if let Some(display) = told.machine.display {
        information.display(display)?;
    }
    if let Some(rsdp) = &told.machine.rsdp {
        information.rsdp(rsdp)?;
    }
    let at = information.end()?;
    let entry = Entry::Protected {
        eip: match header.entry() {
            Some(entry) => entry,
            None => file.entry()?,
        },
        eax: LOADED,
        ebx: u32::try_from(at).map_err(|_| PayloadError::NotRam { start: at, end: at })?,
    };
    layout.parts(&files.kernel, file.parts(), entry)
}
