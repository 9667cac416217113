//! The screen that a multiboot2 loader left on (Multiboot2 specification 2.0, "Framebuffer info").

use core::fmt;

use crate::little_endian::{number, number32};
use crate::{Channel, Colours, PixelFormat};

/// A screen to write on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// Pixels.
    Pixels(Framebuffer),
    /// VGA text: two bytes for each cell, the character and its colours.
    Text {
        /// The physical address of the first cell.
        address: u64,
        /// Bytes from one row to the next.
        pitch: u32,
        /// Cells in a row.
        columns: u32,
        /// Rows.
        rows: u32,
    },
}

/// Memory that is shown as pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// The physical address of the first pixel.
    pub address: u64,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How a pixel lies in memory.
    pub format: PixelFormat,
}

/// A screen on which nothing here can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDisplay {
    /// Pixels or cells in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits of a pixel.
    pub bits: u8,
    /// How the loader calls its kind: 0 with a palette, 1 with direct colours, 2 text.
    pub kind: u8,
}

impl Display {
    /// Returns whether the colours of its pixels lie in a palette, which the kernel sets.
    #[must_use]
    pub fn has_palette(&self) -> bool {
        matches!(self, Self::Pixels(screen) if screen.format.colours == Colours::Palette)
    }

    /// Returns the memory that is written: its first byte, and the first after it.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        let (start, pitch, rows) = match *self {
            Self::Pixels(Framebuffer {
                address,
                pitch,
                height,
                ..
            }) => (address, pitch, height),
            Self::Text {
                address,
                pitch,
                rows,
                ..
            } => (address, pitch, rows),
        };
        let length = u64::from(pitch) * u64::from(rows);
        (start, start.saturating_add(length))
    }
}

impl Framebuffer {
    /// Returns the bytes that the screen takes, rows and what lies between them.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.pitch as u64 * self.height as u64
    }

    /// Returns the offset of a pixel from the first, or `None` beside the screen.
    #[must_use]
    pub const fn offset(&self, x: u32, y: u32) -> Option<u64> {
        if x < self.width && y < self.height {
            Some(y as u64 * self.pitch as u64 + x as u64 * self.format.bytes() as u64)
        } else {
            None
        }
    }
}

impl fmt::Display for UnknownDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            width,
            height,
            bits,
            kind,
        } = self;
        write!(
            f,
            "{width}x{height} with {bits} bits a pixel, kind {kind}: nothing here can write on it"
        )
    }
}

impl fmt::Display for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Pixels(Framebuffer {
                address,
                pitch,
                width,
                height,
                format,
            }) => {
                let bits = format.bits;
                write!(
                    f,
                    "{width}x{height} pixels of {bits} bits, {pitch} bytes a row, at {address:#x}"
                )
            }
            Self::Text {
                address,
                columns,
                rows,
                ..
            } => write!(f, "{columns}x{rows} characters at {address:#x}"),
        }
    }
}

const KIND_PALETTE: u8 = 0;
const KIND_RGB: u8 = 1;
const KIND_TEXT: u8 = 2;
/// No screen has more pixels in a row or a column.
const MOST_PIXELS: u32 = 1 << 14;

/// Reads the tag behind its header.
///
/// # Errors
///
/// [`UnknownDisplay`] for a screen that nothing here can write on, or for nonsense.
pub fn read_framebuffer(body: &[u8]) -> Result<Display, UnknownDisplay> {
    let word = |offset| number32(body, offset).unwrap_or(0);
    let byte = |offset| body.get(offset).copied().unwrap_or(0);
    read(body).ok_or(UnknownDisplay {
        width: word(12),
        height: word(16),
        bits: byte(20),
        kind: byte(21),
    })
}

fn read(body: &[u8]) -> Option<Display> {
    let address = number(body, 0, 8)?;
    let word = |offset| number32(body, offset).filter(|value| *value != 0);
    let (pitch, width, height) = (word(8)?, word(12)?, word(16)?);
    if address == 0 || width > MOST_PIXELS || height > MOST_PIXELS || pitch > 8 * MOST_PIXELS {
        return None;
    }
    let bits = u32::from(*body.get(20)?);
    let format = match *body.get(21)? {
        KIND_TEXT => {
            let is_whole = u64::from(pitch) >= 2 * u64::from(width);
            return is_whole.then_some(Display::Text {
                address,
                pitch,
                columns: width,
                rows: height,
            });
        }
        KIND_PALETTE if bits == 8 => PixelFormat::PALETTE,
        KIND_RGB => {
            let channel = |offset| {
                let (shift, size) = (*body.get(offset)?, *body.get(offset + 1)?);
                Some(Channel { shift, size })
            };
            PixelFormat::direct(bits, [channel(24)?, channel(26)?, channel(28)?])?
        }
        _ => return None,
    };
    (pitch >= width * format.bytes()).then_some(Display::Pixels(Framebuffer {
        address,
        pitch,
        width,
        height,
        format,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(bits: u8, kind: u8, pitch: u32, width: u32, height: u32) -> Vec<u8> {
        let mut body = 0x40_0000_0000_u64.to_le_bytes().to_vec();
        for value in [pitch, width, height] {
            body.extend(value.to_le_bytes());
        }
        body.extend([bits, kind, 0, 0, 16, 8, 8, 8, 0, 8]);
        body
    }

    #[test]
    fn pixels_of_each_size_with_any_pitch() {
        for (bits, bytes, pitch) in [(32, 4, 4096 + 64), (24, 3, 3072)] {
            let Ok(Display::Pixels(screen)) = read_framebuffer(&tag(bits, 1, pitch, 1024, 768))
            else {
                panic!("refused")
            };
            assert_eq!(screen.address, 0x40_0000_0000);
            assert_eq!(screen.format.bytes(), bytes);
            assert_eq!(screen.format.pixel([0x12, 0x34, 0x56]), 0x0012_3456);
            assert_eq!(screen.offset(1, 2), Some(u64::from(2 * pitch + bytes)));
            assert_eq!(screen.offset(1024, 0), None);
            assert_eq!(screen.offset(0, 768), None);
            assert!(screen.offset(1023, 767).unwrap() + u64::from(bytes) <= screen.length());
        }
    }

    #[test]
    fn pixels_of_two_bytes_and_of_one() {
        for (bits, colours) in [(16, [11, 5, 5, 6, 0, 5]), (15, [10, 5, 5, 5, 0, 5])] {
            let mut body = tag(bits, 1, 1600, 800, 600);
            body[24..].copy_from_slice(&colours);
            let display = read_framebuffer(&body).unwrap();
            assert!(!display.has_palette());
            let text = display.to_string();
            let begin = format!("800x600 pixels of {bits} bits, 1600 bytes a row");
            assert!(text.starts_with(&begin), "{text}");
            assert!(read_framebuffer(&tag(bits, 1, 1599, 800, 600)).is_err());
        }
        // A palette may follow, or not.
        let body = tag(8, 0, 800, 800, 600);
        for length in [22, body.len()] {
            let display = read_framebuffer(&body[..length]).unwrap();
            assert!(display.has_palette());
        }
    }

    #[test]
    fn text_cells() {
        assert_eq!(
            read_framebuffer(&tag(16, 2, 160, 80, 25)),
            Ok(Display::Text {
                address: 0x40_0000_0000,
                pitch: 160,
                columns: 80,
                rows: 25
            })
        );
        let range = read_framebuffer(&tag(16, 2, 160, 80, 25)).map(|display| display.range());
        assert_eq!(range, Ok((0x40_0000_0000, 0x40_0000_0fa0)));
    }

    #[test]
    fn what_cannot_be_written_on_is_refused_with_what_it_is() {
        for (bits, kind, pitch, width, height) in [
            (8, 0, 1023, 1024, 768),
            (4, 0, 512, 1024, 768),
            (16, 1, 2048, 1024, 768),
            (32, 1, 4095, 1024, 768),
            (32, 1, 4096, 0, 768),
            (32, 1, u32::MAX, 1 << 20, 768),
            (16, 2, 100, 80, 25),
            (32, 7, 4096, 1024, 768),
        ] {
            let refused = read_framebuffer(&tag(bits, kind, pitch, width, height));
            let what = UnknownDisplay {
                width,
                height,
                bits,
                kind,
            };
            assert_eq!(refused, Err(what));
        }
        let whole = tag(32, 1, 4096, 1024, 768);
        for length in 0..whole.len() {
            assert!(read_framebuffer(&whole[..length]).is_err(), "{length}");
        }
        let mut outside = whole;
        outside[24] = 25;
        let error = read_framebuffer(&outside).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1024x768 with 32 bits a pixel, kind 1: nothing here can write on it"
        );
    }
}
