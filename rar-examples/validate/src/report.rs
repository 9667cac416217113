//! The report: sealed into memory, then shown as lines on the serial port and as QR codes.

use core::fmt;

use rar_kernel::{Page, SpinGuard, SpinLock, clock, console, screen};
use rar_report::{EndReason, Parts, SerialLine, Symbol, Writer, qr, seal};
use rar_validate::{Caption, Tally};

use crate::{machine, progress};

/// Room for a report and for its compressed form.
const ROOM: usize = 96 << 10;

static PLAIN: SpinLock<[u8; ROOM]> = SpinLock::new([0; ROOM]);
static SEALED: SpinLock<[u8; ROOM]> = SpinLock::new([0; ROOM]);
static BUFFERS: SpinLock<qr::Buffers> = SpinLock::new(qr::Buffers::new());

/// A sealed report.
pub(crate) struct Report {
    sealed: SpinGuard<'static, [u8; ROOM]>,
    length: usize,
    id: u32,
    symbol: Symbol,
}

impl Report {
    /// Writes and seals the report of what is known, for codes of this size: larger ones if it
    /// takes too many of these.
    pub(crate) fn new(reason: EndReason, symbol: Symbol) -> Self {
        let mut plain = PLAIN.lock();
        let mut sealed = SEALED.lock();
        let id = identity(clock::now());
        let mut writer = Writer::new(&mut *plain, id, env!("CARGO_PKG_VERSION"));
        if let Some(kernel) = rar_kernel::kernel() {
            machine::write(kernel, &mut writer);
        }
        machine::write_notes(&mut writer);
        progress::write(&mut writer);
        let length = seal(writer.finish(reason), &mut *sealed).map_or(0, <[u8]>::len);
        let whole = sealed.get(..length).unwrap_or_default();
        let symbol = match Parts::new(whole, id, symbol) {
            Ok(_) => symbol,
            Err(_) => Symbol::DEFAULT,
        };
        Self {
            sealed,
            length,
            id,
            symbol,
        }
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let sealed = self
            .sealed
            .get(..self.length)
            .filter(|sealed| !sealed.is_empty())?;
        Parts::new(sealed, self.id, self.symbol).ok()
    }

    /// Returns how many codes it takes.
    pub(crate) fn codes(&self) -> u32 {
        self.parts().map_or(0, |parts| parts.count())
    }

    /// Returns the size of its codes.
    pub(crate) fn symbol(&self) -> Symbol {
        self.symbol
    }

    /// Returns its number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Prints it on the serial port.
    pub(crate) fn print(&self) {
        for part in self.parts().iter().flat_map(Parts::iter) {
            console::print_serial_line(format_args!("{}", SerialLine(part)));
        }
    }

    /// Fills the screen with one of its codes, counted from 1, and what was found; returns whether
    /// the screen has pixels for that.
    pub(crate) fn show(&self, number: u32, tally: &Tally) -> bool {
        let Some(parts) = self.parts() else {
            return false;
        };
        let mut buffers = BUFFERS.lock();
        let code = parts
            .get(number)
            .and_then(|part| qr::Code::new(part, &mut buffers).ok());
        code.is_some_and(|code| {
            screen::show_page(&Shown {
                code,
                caption: Caption {
                    tally,
                    id: self.id,
                    number,
                    count: parts.count(),
                },
            })
        })
    }
}

/// Returns a number that other runs hardly have: the counter's bits, mixed.
fn identity(ticks: u64) -> u32 {
    let [a, b, c, d, ..] = ticks.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A code as a page.
struct Shown<'b> {
    code: qr::Code<'b>,
    caption: Caption<'b>,
}

impl Page for Shown<'_> {
    fn side(&self) -> u32 {
        self.code.size()
    }

    fn is_dark(&self, x: u32, y: u32) -> bool {
        self.code.is_dark(x, y)
    }

    fn caption(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        write!(to, "{}", self.caption)
    }
}
