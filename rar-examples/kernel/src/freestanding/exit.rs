//! The end of a run.

use super::port::Port;
use super::{console, irq, log};

/// What the device `isa-debug-exit` is told; QEMU exits with twice the number plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[repr(u8)]
pub enum ExitCode {
    /// All passed: QEMU exits 33.
    Success = 0x10,
    /// Some test failed: QEMU exits 35.
    Failure = 0x11,
    /// The kernel panicked: QEMU exits 37.
    Panic = 0x12,
}

/// Ends the machine: drains the log, tells QEMU, and halts where there is no QEMU.
pub fn exit(code: ExitCode) -> ! {
    log::drain();
    if log::dropped() > 0 {
        console::print_line(format_args!("log: {} frames were dropped", log::dropped()));
    }
    end(code)
}

/// Ends the machine and touches nothing else.
pub(crate) fn end(code: ExitCode) -> ! {
    // SAFETY: QEMU's exit device, or a port that nobody answers.
    let device = unsafe { Port::new(0xF4) };
    device.write32(u32::from(code as u8));
    irq::halt_forever()
}
