//! Back to the BIOS's boot, with the shim below.
#![expect(unsafe_code, reason = "the code that stays in conventional memory")]

use core::arch::global_asm;
use core::convert::Infallible;

use rar_carrier::chain::{self, Code, Firmware, layout};
use rar_carrier::{GuestRam, Handover};
use rar_kernel::{Kernel, bios, frames, println};

use crate::guest::BootError;
use crate::hand_over;
use crate::hiding::hide;
use crate::parking::park_others;

global_asm!(
    include_str!("chain/block.s"),
    OLD = const layout::OLD,
    COUNT = const layout::COUNT,
    TO_BORDER = const layout::TO_BORDER,
    ABOVE_BORDER = const layout::ABOVE_BORDER,
    EXTENDED = const layout::EXTENDED,
    CONVENTIONAL = const layout::CONVENTIONAL,
    MASKS = const layout::MASKS,
    SEGMENT = const layout::SEGMENT,
    VECTOR = const layout::VECTOR,
    GDT_POINTER = const layout::GDT_POINTER,
    IDT_POINTER = const layout::IDT_POINTER,
    TABLE = const layout::TABLE,
    CODE = const layout::CODE,
    CODE_16 = const layout::CODE_16,
    DATA_16 = const layout::DATA_16,
);

unsafe extern "C" {
    static rar_carrier_chain: u8;
    static rar_carrier_chain_handler: u8;
    static rar_carrier_chain_end: u8;
}

/// Starts the BIOS's next boot device as a guest.
pub(crate) fn boot(kernel: &Kernel) -> Result<Infallible, BootError> {
    let uefi = kernel.firmware() == rar_kernel::Firmware::Uefi;
    let bios = bios::find().filter(|_| !uefi).ok_or(BootError::Other(
        "option chain: there is no BIOS to go back to (got UEFI or no firmware at all, expected \
         a BIOS); start with a BIOS, or give a payload",
    ))?;
    let firmware = Firmware {
        conventional_end: bios.conventional_end,
        masks: bios.masks,
    };
    park_others();
    let kept = frames::close().ok_or(BootError::Other(
        "the carrier's memory is in too many pieces; give the machine more memory",
    ))?;
    let mut ram = GuestRam::new(kernel.memory(), &kept, [])?;
    // SAFETY: no frame is handed out any more, no CPU runs but this one, and the block is free RAM.
    let block = unsafe { hand_over::block(ram.handover()) };
    let mut handover = Handover::new(ram.handover(), block);
    let plan = chain::plan(&firmware, &code(), kernel.memory(), &mut ram, &mut handover)?;
    let kept = hide(&ram);
    println!("carrier: the guest has {} MiB of RAM", ram.bytes() >> 20);
    println!("carrier: back to the BIOS, which boots its next device");
    bios::virtual_wire();
    // SAFETY: 1. The others were reset and the allocator is closed; there are no files. 2. The plan
    // and the block are those of `ram`.
    Ok(unsafe { hand_over::enter(&plan, handover, kept) }?)
}

fn code() -> Code<'static> {
    let begin = &raw const rar_carrier_chain;
    let offset = |symbol: *const u8| symbol.addr() - begin.addr();
    // SAFETY: the assembly between the two symbols.
    let bytes =
        unsafe { core::slice::from_raw_parts(begin, offset(&raw const rar_carrier_chain_end)) };
    Code {
        bytes,
        handler: offset(&raw const rar_carrier_chain_handler),
    }
}
