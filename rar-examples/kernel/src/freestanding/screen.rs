//! The screen: text on pixels or on VGA text cells, and full-screen pages of modules. Without one
//! nothing happens.

mod error;
mod glyph;
mod palette;
mod pixels;
mod vga;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

pub use self::error::ScreenError;
use self::pixels::Pixels;
use self::vga::Cells;
use super::irq::Disabled;
use crate::{
    Bar, COUNT_COLUMNS, Display, Ink, LABEL_COLUMNS, Page, Sheet, SheetLayout, SheetRow, TextGrid,
    UnknownDisplay, wrap,
};

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
pub(crate) fn start(
    display: Option<Display>,
    unknown: Option<UnknownDisplay>,
) -> Result<(), ScreenError> {
    let device = match display {
        Some(display @ Display::Pixels(framebuffer)) => {
            let pixels = Pixels::map(framebuffer)?;
            if display.has_palette() && !palette::set() {
                return Err(ScreenError::NoPalette(display));
            }
            Device::Pixels(pixels)
        }
        Some(Display::Text {
            address,
            pitch,
            columns,
            rows,
        }) => Cells::new(address, pitch, columns, rows).map_or(Device::None, Device::Cells),
        None => match unknown {
            Some(unknown) => return Err(ScreenError::Unknown(unknown)),
            None => Cells::standard().map_or(Device::None, Device::Cells),
        },
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

/// Returns how many pages a sheet takes.
#[must_use]
pub fn sheet_pages(sheet: &dyn Sheet) -> u32 {
    with(|screen| screen.layout(sheet).pages).unwrap_or(1)
}

/// Fills the screen with a page of a sheet, the first is 0: large on pixels, as lines of text on
/// cells.
pub fn show_sheet(sheet: &dyn Sheet, page: u32) {
    let _done = with(|screen| {
        screen.grid.clear();
        if let Device::Pixels(pixels) = &screen.device {
            pixels.show_sheet(sheet, page);
            screen.grid.forget();
            return;
        }
        let layout = screen.layout(sheet);
        layout.page(sheet, page, &mut |placed| match placed.row {
            SheetRow::Title(ink, text) | SheetRow::Line(ink, text) => {
                screen.write_lines(ink, placed.columns, text);
            }
            SheetRow::Bar(bar) => screen.write_bar(bar, placed.columns),
            SheetRow::Gap => screen.write_line(Ink::Plain, format_args!("")),
        });
        if layout.pages > 1 {
            let text = format_args!("page {} of {}", page + 1, layout.pages);
            screen.write_line(Ink::Faint, text);
        }
        screen.refresh();
    });
}

/// Returns how many pixels a module of a page with `side` modules gets; `None` if there are too few
/// pixels for it to be read, or none at all.
#[must_use]
pub fn module_pixels(side: u32) -> Option<u32> {
    with(|screen| match &screen.device {
        Device::Pixels(pixels) => pixels.place(side).map(|at| at.scale),
        Device::None | Device::Cells(_) => None,
    })?
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
    fn layout(&self, sheet: &dyn Sheet) -> SheetLayout {
        if let Device::Pixels(pixels) = &self.device {
            return pixels.layout(sheet);
        }
        let cells = |number| u32::try_from(number).unwrap_or(0);
        SheetLayout::on_cells(sheet, cells(self.grid.columns()), cells(self.grid.rows()))
    }

    /// Writes text in lines of at most `columns`.
    fn write_lines(&mut self, ink: Ink, columns: u32, text: fmt::Arguments<'_>) {
        self.grid.set_ink(ink);
        wrap(text, columns, |character| self.grid.put(character));
        self.grid.put('\n');
        self.grid.set_ink(Ink::Plain);
    }

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
