//! From the payload beside the carrier to its first instruction.

#![expect(unsafe_code, reason = "gives the machine to the guest")]

use core::convert::Infallible;
use core::fmt;

use rar_carrier::{File, Files, GuestRam, Handover, Machine, Options, Payload, PayloadError};
use rar_kernel::{Kernel, Module, Rsdp, bios, frames, println};

use crate::hand_over;
use crate::hiding::hide;
use crate::parking::park_others;

/// Why the guest does not begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BootError {
    /// The payload.
    Payload(PayloadError),
    /// Anything else.
    Other(&'static str),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(error) => error.fmt(f),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<PayloadError> for BootError {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

/// Boots the payload.
pub(crate) fn boot(kernel: &Kernel, options: &Options) -> Result<Infallible, BootError> {
    let modules = kernel.modules();
    if modules.dropped() > 0 {
        return Err(PayloadError::TooManyParts.into());
    }
    let unreadable = |module: &&Module| kernel.module_bytes(module).is_none();
    if let Some(Module { start, end, .. }) = modules.all().iter().find(unreadable).copied() {
        return Err(PayloadError::Unreadable { start, end }.into());
    }
    let files = modules.all().iter().filter_map(|module| {
        Some(File {
            start: module.start,
            bytes: kernel.module_bytes(module)?,
            line: kernel.module_line(module),
        })
    });
    let files = Files::new(files)?.ok_or(PayloadError::Missing)?;
    let payload = Payload::new(files.kernel.bytes, options.protocol)?;
    let line = kernel.command_line().behind().unwrap_or("");
    println!(
        "carrier: payload: {} KiB, by {}; its command line is {line:?}",
        files.kernel.bytes.len() / 1024,
        payload.protocol(),
    );
    let machine = Machine {
        rsdp: kernel.rsdp_bytes(),
        rsdp_address: match kernel.rsdp() {
            Some(Rsdp::At(address)) => Some(address),
            Some(Rsdp::Copy(_)) | None => None,
        },
        // A guest cannot know the palette that the kernel has set.
        display: kernel.display().filter(|display| !display.has_palette()),
    };
    // With their texts, which the plan reads while it writes into free memory.
    let ranges = modules.all().iter().flat_map(Module::ranges);
    park_others();
    let kept = frames::close().ok_or(BootError::Other(
        "the carrier's memory is in too many pieces; give the machine more memory",
    ))?;
    let mut ram = GuestRam::new(kernel.memory(), &kept, ranges)?;
    // SAFETY: no frame is handed out any more, no CPU runs but this one, and the block is free RAM.
    let block = unsafe { hand_over::block(ram.handover()) };
    let mut handover = Handover::new(ram.handover(), block);
    let map = kernel.memory();
    let plan = payload.plan(&files, line, &machine, map, &mut ram, &mut handover)?;
    let kept = hide(&ram);
    println!("carrier: the guest has {} MiB of RAM", ram.bytes() >> 20);
    bios::give_back_legacy_controllers();
    bios::virtual_wire();
    // SAFETY: 1. The others were reset and the allocator is closed; `files` ends here. 2. The plan
    // and the block are those of `ram`.
    Ok(unsafe { hand_over::enter(&plan, handover, kept) }?)
}
