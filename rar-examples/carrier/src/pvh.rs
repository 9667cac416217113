//! ELF files with a PVH note (Xen public header `arch-x86/hvm/start_info.h`).

use rar_kernel::PVH_MAGIC;

use crate::elf_file::ElfFile;
use crate::entry::Entry;
use crate::error::PayloadError;
use crate::files::Files;
use crate::guest_ram::GuestRam;
use crate::handover::Handover;
use crate::machine::Told;
use crate::plan::{LIMIT, Layout, Plan, place_modules};

/// The first version with a memory map.
const VERSION: u32 = 1;
const START_INFO: usize = 56;
const MODULE: u64 = 32;
const MOST_MODULES: u64 = 16;

pub(crate) fn plan(
    file: &ElfFile<'_>,
    entry: u32,
    files: &Files<'_>,
    told: &Told<'_>,
    ram: &mut GuestRam,
    handover: &mut Handover<'_>,
) -> Result<Plan, PayloadError> {
    let mut layout = Layout::new(ram);
    for part in file.parts() {
        layout.claim(&part)?;
    }
    let info = handover.reserve(START_INFO, 8)?;
    let list = handover.reserve(512, 8)?;
    const { assert!(MODULE * MOST_MODULES == 512) };
    let line = handover.add_text(told.line)?;
    let mut count = 0_u32;
    place_modules(&mut layout, files, LIMIT, |module| {
        let text = handover.add_text(module.file.line)?;
        let at = list + MODULE * u64::from(count);
        let length = module.end() - module.start;
        for (at, field) in (at..).step_by(8).zip([module.start, length, text, 0]) {
            handover.write(at, &field.to_le_bytes());
        }
        count += 1;
        Ok(())
    })?;
    let root = match (told.machine.rsdp_address, told.machine.rsdp) {
        (Some(address), _) => address,
        (None, Some(bytes)) => handover.add(&bytes, 16)?,
        (None, None) => 0,
    };
    let map = handover.reserve(0, 8)?;
    for region in told.map.regions() {
        let length = region.end - region.start;
        let kind = u64::from(region.kind.e820());
        for field in [region.start, length, kind] {
            handover.add(&field.to_le_bytes(), 1)?;
        }
    }
    let regions = u32::try_from(told.map.regions().len()).unwrap_or(0);
    for (offset, word) in [(0, PVH_MAGIC), (4, VERSION), (12, count), (48, regions)] {
        handover.write(info + offset, &word.to_le_bytes());
    }
    for (offset, address) in [(16, list), (24, line), (32, root), (40, map)] {
        handover.write(info + offset, &address.to_le_bytes());
    }
    let entry = Entry::Protected {
        eip: entry,
        eax: 0,
        ebx: u32::try_from(info).map_err(|_| PayloadError::NotRam {
            start: info,
            end: info,
        })?,
    };
    layout.parts(&files.kernel, file.parts(), entry)
}
