//! VGA text: two bytes for each cell.

use crate::freestanding::int::word;
use crate::freestanding::paging;
use crate::freestanding::port::Port;
use crate::{Cell, Display, Ink};

/// Where the text of a colour VGA lies (IBM VGA, mode 3).
const STANDARD: u64 = 0xb_8000;
const COLUMNS: u32 = 80;
const ROWS: u32 = 25;
/// The registers of a colour VGA that number and hold others, among them the low byte of the
/// cursor's place (IBM VGA, "CRT Controller").
const CONTROLLER: [u16; 2] = [0x3d4, 0x3d5];
const CURSOR_LOW: u8 = 0x0f;

/// Returns the attribute of an ink (IBM VGA, text attributes): the ground in the high digit.
const fn attribute(ink: Ink) -> u8 {
    match ink {
        Ink::Plain => 0x07,
        Ink::Faint => 0x08,
        Ink::Good => 0x0a,
        Ink::Bad => 0x0c,
        Ink::Note => 0x0e,
        Ink::Head => 0x1f,
    }
}

/// Cells of a VGA in text mode.
pub(super) struct Cells {
    base: *mut u16,
    display: Display,
    /// Cells from one row to the next.
    stride: usize,
    columns: usize,
    rows: usize,
}

// SAFETY: the memory is mapped on every CPU forever, and the lock of the screen lets one CPU write
// at a time.
unsafe impl Send for Cells {}

/// Returns whether a VGA keeps the place of a cursor.
fn has_cursor() -> bool {
    // SAFETY: the controller's registers do not touch memory.
    let [number, value] = unsafe { Port::several(CONTROLLER) };
    [0x5a, 0xa5].into_iter().all(|place| {
        number.write8(CURSOR_LOW);
        value.write8(place);
        value.read8() == place
    })
}

impl Cells {
    /// Maps the cells; `None` without memory for it, or when nothing keeps what is stored there.
    pub(super) fn new(address: u64, pitch: u32, columns: u32, rows: u32) -> Option<Self> {
        let length = u64::from(pitch) * u64::from(rows);
        paging::map_device(address, length).ok()?;
        let cells = Self {
            base: core::ptr::with_exposed_provenance_mut(word(address)),
            display: Display::Text {
                address,
                pitch,
                columns,
                rows,
            },
            stride: (pitch / 2) as usize,
            columns: columns as usize,
            rows: rows as usize,
        };
        (has_cursor() && cells.answers()).then_some(cells)
    }

    /// The text of a VGA that no loader reported.
    pub(super) fn standard() -> Option<Self> {
        Self::new(STANDARD, 2 * COLUMNS, COLUMNS, ROWS)
    }

    /// Without a VGA loads return ones, unless memory lies there.
    fn answers(&self) -> bool {
        [0x0741_u16, 0x0742].into_iter().all(|value| {
            // SAFETY: the first cell, mapped, and not Rust's memory.
            unsafe { self.base.write_volatile(value) };
            // SAFETY: as above.
            unsafe { self.base.read_volatile() == value }
        })
    }

    /// Returns how many characters fit: columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    pub(super) fn display(&self) -> Display {
        self.display
    }

    /// Draws one character.
    pub(super) fn draw(&self, cell: Cell) {
        if cell.row < self.rows && cell.column < self.columns {
            // SAFETY: a cell of the screen, which is mapped whole.
            let at = unsafe { self.base.add(cell.row * self.stride + cell.column) };
            let value = u16::from_le_bytes([cell.character, attribute(cell.ink)]);
            // SAFETY: as above.
            unsafe { at.write_volatile(value) };
        }
    }
}
