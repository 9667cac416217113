//! Devices of a PC that interrupt, for checks of what a kernel sees of them.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::frames::PAGE;
use rar_kernel::int::word;
use rar_kernel::paging::{self, MapError};
use rar_regs::ApicId;

/// Where every PC has its first I/O APIC.
const IO_APIC: u64 = 0xfec0_0000;
const IO_APIC_DATA: u64 = 0x10;
const REDIRECTION: u32 = 0x10;
const LOGICAL: u32 = 1 << 11;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

const TIMER_DATA: u16 = 0x40;
const TIMER_COMMAND: u16 = 0x43;
/// Channel 0, both bytes, mode 0: the line rises at the end of the count and stays up.
const COUNT_ONCE: u8 = 0x30;
const LONGEST_COUNT: u16 = u16::MAX;

const CLOCK_INDEX: u16 = 0x70;
const CLOCK_DATA: u16 = 0x71;
const CLOCK_B: u8 = 0x0b;
const CLOCK_C: u8 = 0x0c;
const PERIODIC: u8 = 1 << 6;

/// The inputs of the I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The interval timer.
    Timer,
    /// The clock.
    Clock,
}

impl Line {
    fn pin(self) -> u32 {
        match self {
            Self::Timer => 2,
            Self::Clock => 8,
        }
    }
}

/// The first I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct IoApic(());

impl IoApic {
    /// Maps its registers.
    ///
    /// # Errors
    ///
    /// [`MapError`]: they cannot be mapped.
    pub fn new() -> Result<Self, MapError> {
        paging::map_device(IO_APIC, PAGE)?;
        Ok(Self(()))
    }

    fn at(self, offset: u64) -> &'static AtomicU32 {
        let register = core::ptr::with_exposed_provenance(word(IO_APIC + offset));
        // SAFETY: mapped by `new`, forever; accesses of 32 bits are how it is used.
        unsafe { &*register }
    }

    fn write(self, register: u32, value: u32) {
        self.at(0).store(register, Ordering::Release);
        self.at(IO_APIC_DATA).store(value, Ordering::Release);
    }

    /// Sends the line, level-triggered, to one CPU as this vector.
    pub fn route(self, line: Line, vector: u8, to: ApicId) {
        self.set(line, to.get(), LEVEL | u32::from(vector));
    }

    /// Sends the line, edge-triggered, to the CPUs with this logical address as this vector. A
    /// level that no CPU takes is never ended.
    pub fn route_logically(self, line: Line, vector: u8, to: u8) {
        self.set(line, u32::from(to), LOGICAL | u32::from(vector));
    }

    fn set(self, line: Line, destination: u32, low: u32) {
        let entry = REDIRECTION + 2 * line.pin();
        self.write(entry + 1, destination << 24);
        self.write(entry, low);
    }

    /// Sends it nowhere.
    pub fn mask(self, line: Line) {
        self.write(REDIRECTION + 2 * line.pin(), MASKED);
    }
}

/// Raises the line of the interval timer after a number of ticks of 838 ns.
pub fn start_timer(ticks: u16) {
    let [low, high] = ticks.to_le_bytes();
    write(TIMER_COMMAND, COUNT_ONCE);
    write(TIMER_DATA, low);
    write(TIMER_DATA, high);
}

/// Lowers the line of the interval timer, for 55 ms.
pub fn quiet_timer() {
    start_timer(LONGEST_COUNT);
}

/// Raises the line of the clock, again and again once it is down.
pub fn start_clock() {
    quiet_clock();
    let b = read_clock(CLOCK_B);
    write(CLOCK_DATA, b | PERIODIC);
}

/// Lowers the line of the clock, and keeps it down.
pub fn quiet_clock() {
    let b = read_clock(CLOCK_B);
    write(CLOCK_DATA, b & !PERIODIC);
    let _reading_lowers_it = read_clock(CLOCK_C);
}

fn read_clock(register: u8) -> u8 {
    write(CLOCK_INDEX, register);
    read(CLOCK_DATA)
}

fn write(port: u16, value: u8) {
    // SAFETY: ring 0; a device of this file that does not touch memory.
    unsafe { x86::io::outb(port, value) };
}

fn read(port: u16) -> u8 {
    // SAFETY: as above.
    unsafe { x86::io::inb(port) }
}
