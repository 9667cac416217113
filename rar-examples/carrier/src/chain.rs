//! Back to the BIOS, which boots its next device as a guest: any disk, without a payload.
//!
//! One page of conventional memory stays with the guest and is reserved there: the way to real
//! mode, and the handler of interrupt 0x15 that answers what memory there is.

mod answers;
mod block;

pub use answers::Answers;
pub use block::{Block, Code, layout};

use crate::{Entry, GuestRam, Handover, PayloadError, Plan, Step, Steps};
use rar_kernel::MemoryMap;

/// The BIOS that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The first byte behind the memory below 640 KiB that the BIOS leaves to others.
    pub conventional_end: u64,
    /// The masks of the legacy interrupt controllers, first and second.
    pub masks: [u8; 2],
}

/// Plans the way to the BIOS's next device. `code` is the code of the block.
///
/// # Errors
///
/// [`PayloadError`]: no room for the block, or the memory map is too long for it.
pub fn plan(
    firmware: &Firmware,
    code: &Code<'_>,
    machine: &MemoryMap,
    ram: &mut GuestRam,
    handover: &mut Handover<'_>,
) -> Result<Plan, PayloadError> {
    let no_room = PayloadError::NoRoom {
        what: "the handler of interrupt 0x15, below 640 KiB",
        bytes: block::BYTES,
    };
    let map = ram.map(machine);
    let base = block::place(&map, firmware.conventional_end).ok_or(no_room)?;
    ram.claim(base, base + block::BYTES);
    let answers = Answers::new(&map, base).ok_or(PayloadError::TooManyParts)?;
    let block = Block::new(base, firmware.masks, &answers, code).ok_or(no_room)?;
    let from = handover.add(block.bytes(), 16)?;
    let mut steps = Steps::none();
    steps.push(Step::Copy {
        from,
        to: base,
        length: block::BYTES,
    });
    let entry = Entry::Protected {
        eip: block.entry(),
        eax: 0,
        ebx: block.base(),
    };
    Ok(Plan { steps, entry })
}
