//! The screen: text on pixels or on VGA text cells, and full-screen pages of modules. Without one
//! nothing happens.

mod glyph;
mod pixels;
mod vga;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use self::pixels::Pixels;
use self::vga::Cells;
use super::irq::Disabled;
use super::paging::MapError;
use crate::{Bar, COUNT_COLUMNS, Display, Ink, LABEL_COLUMNS, Page, Sheet, SheetRow, TextGrid};

/// What is there to write on.
enum Device {
    None,
    Pixels(Pixels),
    Cells(Cells),
}

struct Screen {
    device: Device,
    grid: TextGrid,
}

static SCREEN: Lock = Lock {
    taken: AtomicBool::new(false),
    screen: core::cell::UnsafeCell::new(Screen {
        device: Device::None,
        grid: TextGrid::empty(),
    }),
};

/// A lock without waiting: a CPU that finds it taken leaves the screen alone, since a CPU may die
/// while it draws.
struct Lock {
    taken: AtomicBool,
    screen: core::cell::UnsafeCell<Screen>,
}

// SAFETY: the screen is reached only between a successful exchange of `taken` and its release.
unsafe impl Sync for Lock {}

fn with<R>(action: impl FnOnce(&mut Screen) -> R) -> Option<R> {
    let _irq = Disabled::new();
    SCREEN
        .taken
        .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
        .ok()?;
    // SAFETY: the exchange makes this the only user, and the handlers that could cut in draw
    // nothing while it is taken.
    let result = action(unsafe { &mut *SCREEN.screen.get() });
    SCREEN.taken.store(false, Ordering::Release);
    Some(result)
}

/// Frees the screen from a CPU that will never run again.
pub fn seize() {
    SCREEN.taken.store(false, Ordering::Release);
}

/// Takes the screen that the loader left on, else VGA text if it answers. Called once the kernel's
/// own page tables are loaded.
pub(crate) fn start(display: Option<Display>) -> Result<(), MapError> {
    let device = match display {
        Some(Display::Pixels(framebuffer)) => Device::Pixels(Pixels::map(framebuffer)?),
        Some(Display::Text {
            address,
            pitch,
            columns,
            rows,
        }) => Cells::new(address, pitch, columns, rows).map_or(Device::None, Device::Cells),
        None => Cells::standard().map_or(Device::None, Device::Cells),
    };
    let _drawn = with(|screen| {
        let (columns, rows) = match &device {
            Device::None => (0, 0),
            Device::Pixels(pixels) => pixels.cells(),
            Device::Cells(cells) => cells.size(),
        };
        screen.device = device;
        screen.grid.resize(columns, rows);
        if let Device::Pixels(pixels) = &screen.device {
            pixels.clear();
        }
        screen.refresh();
    });
    Ok(())
}

/// Returns what is written on, if there is a screen.
#[must_use]
pub fn display() -> Option<Display> {
    with(|screen| match &screen.device {
        Device::None => None,
        Device::Pixels(pixels) => Some(Display::Pixels(pixels.framebuffer())),
        Device::Cells(cells) => Some(cells.display()),
    })?
}

/// Clears the text.
pub fn clear() {
    let _done = with(|screen| {
        screen.grid.clear();
        screen.grid.forget();
        if let Device::Pixels(pixels) = &screen.device {
            pixels.clear();
        }
        screen.refresh();
    });
}

/// Writes one line on the screen alone.
pub fn print_line(ink: Ink, text: fmt::Arguments<'_>) {
    let _done = with(|screen| {
        screen.write_line(ink, text);
        screen.refresh();
    });
}

/// Makes the topmost rows a header that does not scroll.
pub fn set_header(rows: usize) {
    let _done = with(|screen| screen.grid.set_header(rows));
}

/// Replaces a row of the header.
pub fn write_header(row: usize, ink: Ink, text: fmt::Arguments<'_>) {
    let _done = with(|screen| {
        screen.grid.write_header(row, ink, text);
        screen.refresh();
    });
}

/// Returns how many characters a row of text has.
#[must_use]
pub fn columns() -> usize {
    with(|screen| screen.grid.columns()).unwrap_or(0)
}

/// Fills the screen with a sheet: large on pixels, as lines of text on cells.
pub fn show_sheet(sheet: &dyn Sheet) {
    let _done = with(|screen| {
        screen.grid.clear();
        if let Device::Pixels(pixels) = &screen.device {
            pixels.show_sheet(sheet);
            screen.grid.forget();
            return;
        }
        let columns = u32::try_from(screen.grid.columns()).unwrap_or(0);
        sheet.rows(&mut |row| match row {
            SheetRow::Title(ink, text) | SheetRow::Line(ink, text) => screen.write_line(ink, text),
            SheetRow::Bar(bar) => screen.write_bar(bar, columns),
            SheetRow::Gap => screen.write_line(Ink::Plain, format_args!("")),
        });
        screen.refresh();
    });
}

/// Fills the screen with a page; returns whether it could: only pixels can show modules. Text that
/// is printed later replaces it.
pub fn show_page(page: &dyn Page) -> bool {
    with(|screen| match &screen.device {
        Device::Pixels(pixels) => {
            let shown = pixels.show(page);
            screen.grid.forget();
            shown
        }
        Device::None | Device::Cells(_) => false,
    })
    .unwrap_or(false)
}

impl Screen {
    fn write_line(&mut self, ink: Ink, text: fmt::Arguments<'_>) {
        self.grid.set_ink(ink);
        // There is nowhere to report it if formatting fails.
        let _ = self.write_fmt(text);
        let _ = self.write_char('\n');
        self.grid.set_ink(Ink::Plain);
    }

    fn write_bar(&mut self, bar: Bar<'_>, columns: u32) {
        let (label, count) = (LABEL_COLUMNS as usize, COUNT_COLUMNS as usize - 1);
        let room = columns.saturating_sub(LABEL_COLUMNS + COUNT_COLUMNS);
        let length = bar.length(room) as usize;
        let text = (bar.label, bar.count);
        self.write_line(
            bar.ink,
            format_args!("{:label$}{:count$} {:#<length$}", text.0, text.1, ""),
        );
    }

    fn refresh(&mut self) {
        match &self.device {
            Device::None => {}
            Device::Pixels(pixels) => self.grid.refresh(|cell| pixels.draw(cell)),
            Device::Cells(cells) => self.grid.refresh(|cell| cells.draw(cell)),
        }
    }
}

impl Write for Screen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|character| self.grid.put(character));
        Ok(())
    }
}
