//! The text console on a serial port and on the screen: whole lines, whichever CPU prints.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use super::port::Port;
use super::{clock, percpu, screen};
use crate::{ComPort, Ink, Sent, SerialLoss, SerialPort, Transmitter};

const NO_CPU: u32 = 0;
/// Looks at the lock before a line is printed without it: a broken line is better than a silent
/// machine.
const LOCK_BOUND: u32 = 50_000_000;
/// Looks for the byte that comes back in loopback mode; it takes 87 us at 115,200 baud.
const LOOPBACK_LOOKS: u32 = 100_000;

static PRESENT: AtomicBool = AtomicBool::new(false);
static TRANSMITTER: Transmitter = Transmitter::new();
/// Where the serial port is.
static BASE: AtomicU16 = AtomicU16::new(ComPort::COM1.base);
/// Number of the CPU that prints, plus one.
static OWNER: AtomicU32 = AtomicU32::new(NO_CPU);

fn register(offset: u16) -> Port {
    // SAFETY: the registers of a serial port do not touch memory.
    unsafe { Port::new(BASE.load(Ordering::Relaxed) + offset) }
}

/// Looks for the first serial port, and uses it at 115,200 baud.
pub(crate) fn start() {
    choose_serial(ComPort::COM1);
}

/// Looks for a serial port by its loopback mode or its scratch register, and uses it from here on,
/// with 8 data bits and no parity.
pub fn choose_serial(port: ComPort) {
    BASE.store(port.base, Ordering::Relaxed);
    let [low, high] = port.divisor.to_le_bytes();
    register(1).write8(0x00);
    register(3).write8(0x80);
    register(0).write8(low);
    register(1).write8(high);
    register(3).write8(0x03);
    register(2).write8(0xc7);
    register(4).write8(0x1e);
    register(0).write8(0xa5);
    let loops = (0..LOOPBACK_LOOKS).any(|_| register(0).read8() == 0xa5);
    if !loops {
        // Forgets the byte.
        register(2).write8(0xc7);
    }
    register(4).write8(0x0f);
    // A port whose peer does not read may not send to itself either.
    PRESENT.store(loops || has_scratch(), Ordering::Relaxed);
}

/// Returns whether the port's scratch register keeps what is written; the bus alone does not, once
/// another register was read.
fn has_scratch() -> bool {
    [0x5a, 0xa5].into_iter().all(|value| {
        register(7).write8(value);
        register(5).read8() != 0xff && register(7).read8() == value
    })
}

struct Uart;

impl SerialPort for Uart {
    fn is_empty(&self) -> bool {
        register(5).read8() & 0x20 != 0
    }

    fn put(&self, byte: u8) {
        register(0).write8(byte);
    }

    fn microseconds(&self) -> u64 {
        clock::microseconds()
    }
}

/// Prints one line. Use [`println!`](crate::println).
///
/// Interrupts stay as they are, so that a CPU that prints goes on answering others; a handler that
/// prints in the middle of a line breaks it.
pub fn print_line(text: fmt::Arguments<'_>) {
    print(text, Where::Everywhere(Ink::Plain));
}

/// Prints one line with a meaning, which a screen shows as a colour.
pub fn print_line_in(ink: Ink, text: fmt::Arguments<'_>) {
    print(text, Where::Everywhere(ink));
}

/// Prints one line on the screen only.
pub fn print_screen_line(ink: Ink, text: fmt::Arguments<'_>) {
    print(text, Where::Screen(ink));
}

/// Replaces a row of the screen's header.
pub fn print_header(row: usize, ink: Ink, text: fmt::Arguments<'_>) {
    print(text, Where::Header(row, ink));
}

/// Prints one line that no person reads: on the serial port only.
pub fn print_serial_line(text: fmt::Arguments<'_>) {
    print(text, Where::Serial);
}

/// Leaves the serial port alone from here on.
pub fn leave_serial() {
    PRESENT.store(false, Ordering::Relaxed);
}

/// Returns whether there is a serial port in use that takes bytes.
#[must_use]
pub fn has_serial() -> bool {
    PRESENT.load(Ordering::Relaxed) && !TRANSMITTER.is_given_up()
}

/// Returns what the serial port did not take, if it was ever given up.
#[must_use]
pub fn serial_loss() -> Option<SerialLoss> {
    TRANSMITTER.loss()
}

#[derive(Clone, Copy)]
enum Where {
    Everywhere(Ink),
    Serial,
    Screen(Ink),
    Header(usize, Ink),
}

fn print(text: fmt::Arguments<'_>, place: Where) {
    let serial = PRESENT.load(Ordering::Relaxed);
    let me = percpu::this().number() + 1;
    let mut owned = false;
    if OWNER.load(Ordering::Relaxed) != me {
        owned = (0..LOCK_BOUND).any(|_| {
            core::hint::spin_loop();
            OWNER
                .compare_exchange_weak(NO_CPU, me, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        });
    }
    // A serial port may take its time.
    match place {
        Where::Everywhere(ink) | Where::Screen(ink) => screen::print_line(ink, text),
        Where::Header(row, ink) => screen::write_header(row, ink, text),
        Where::Serial => {}
    }
    let sent = match place {
        Where::Everywhere(_) | Where::Serial if serial => TRANSMITTER.send_line(&Uart, text),
        _ => Sent::Whole,
    };
    if sent == Sent::GaveUp {
        screen::print_line(
            Ink::Note,
            format_args!("serial: given up, the peer of the port does not read"),
        );
    }
    if owned {
        OWNER.store(NO_CPU, Ordering::Release);
    }
}

/// Frees the console from a CPU that will never run again.
pub fn seize() {
    OWNER.store(percpu::this().number() + 1, Ordering::Relaxed);
}

/// Prints one line on the console; other CPUs' lines do not mix with it.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::console::print_line(::core::format_args!($($argument)*))
    };
}
