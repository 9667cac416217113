//! The end of a run.

use core::sync::atomic::{AtomicBool, Ordering};

use super::port::Port;
use super::{clock, console, irq, log, power};

/// What is written to the device `isa-debug-exit`; QEMU exits with twice the number plus one.
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

/// Ends the machine: drains the log, writes to the exit device, and halts where there is no QEMU.
pub fn exit(code: ExitCode) -> ! {
    finish_log();
    end(code)
}

fn finish_log() {
    log::drain();
    if log::dropped() > 0 {
        console::print_line(format_args!("log: {} frames were dropped", log::dropped()));
    }
}

/// As [`exit`], where somebody has said that the machine is an emulator: Bochs ends by a port that
/// may be anything elsewhere.
pub fn leave_emulator(code: ExitCode) -> ! {
    finish_log();
    tell_qemu(code);
    // SAFETY: only asked for on an emulator, where the port is Bochs' own or unused.
    let device = unsafe { Port::new(BOCHS_SHUTDOWN) };
    for letter in *b"Shutdown" {
        device.write8(letter);
    }
    irq::halt_forever()
}

/// Bochs ends when the word `Shutdown` is written here.
const BOCHS_SHUTDOWN: u16 = 0x8900;

/// Whether a machine that cannot go on starts again.
static RESTARTS: AtomicBool = AtomicBool::new(false);
/// How long what is on the screen can be read before that.
const READING_SECONDS: u64 = 10;

/// From here on a machine that cannot go on starts again after ten seconds, instead of halting
/// until a person comes.
pub fn restart_at_the_end() {
    RESTARTS.store(true, Ordering::Relaxed);
}

/// Ends the machine and touches nothing else.
pub(crate) fn end(code: ExitCode) -> ! {
    if RESTARTS.load(Ordering::Relaxed) {
        clock::delay_microseconds(1_000_000 * READING_SECONDS);
        power::reboot();
    }
    tell_qemu(code);
    irq::halt_forever()
}

/// The port of QEMU's exit device.
pub const DEVICE: u16 = 0xf4;

fn tell_qemu(code: ExitCode) {
    // SAFETY: QEMU's exit device, or a port without a device.
    let device = unsafe { Port::new(DEVICE) };
    device.write32(u32::from(code as u8));
}
