//! The screen that a multiboot2 loader left on (Multiboot2 specification 2.0, "Framebuffer info").

use core::fmt;

use crate::little_endian::number;

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

/// Memory that is shown as pixels of 24 or 32 bits with direct colours.
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
    /// Bytes of a pixel: 3 or 4.
    pub bytes: u32,
    /// Where red lies in a pixel.
    pub red: Channel,
    /// Where green lies in a pixel.
    pub green: Channel,
    /// Where blue lies in a pixel.
    pub blue: Channel,
}

/// The bits of one colour in a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The lowest bit.
    pub shift: u8,
    /// How many bits.
    pub size: u8,
}

impl Channel {
    /// Returns the channel's bits for a brightness.
    #[must_use]
    pub const fn bits(self, brightness: u8) -> u32 {
        let value = if self.size >= 8 {
            (brightness as u32) << (self.size - 8)
        } else {
            (brightness as u32) >> (8 - self.size)
        };
        value << self.shift
    }
}

impl Framebuffer {
    /// Returns the bytes that the screen takes, rows and what lies between them.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.pitch as u64 * self.height as u64
    }

    /// Returns the pixel of a colour: red, green, blue.
    #[must_use]
    pub const fn pixel(&self, colour: [u8; 3]) -> u32 {
        let [red, green, blue] = colour;
        self.red.bits(red) | self.green.bits(green) | self.blue.bits(blue)
    }

    /// Returns the offset of a pixel from the first, or `None` beside the screen.
    #[must_use]
    pub const fn offset(&self, x: u32, y: u32) -> Option<u64> {
        if x < self.width && y < self.height {
            Some(y as u64 * self.pitch as u64 + x as u64 * self.bytes as u64)
        } else {
            None
        }
    }
}

impl Display {
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

impl fmt::Display for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Pixels(Framebuffer {
                address,
                pitch,
                width,
                height,
                bytes,
                ..
            }) => {
                let bits = 8 * bytes;
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

const KIND_RGB: u64 = 1;
const KIND_TEXT: u64 = 2;
/// No screen has more pixels in a row or a column.
const MOST_PIXELS: u32 = 1 << 14;

/// Reads the tag behind its header; `None` for a screen that nothing here can write on: a palette,
/// 16 bits a pixel, or nonsense.
#[must_use]
pub fn read_framebuffer(body: &[u8]) -> Option<Display> {
    let address = number(body, 0, 8)?;
    let word = |offset| {
        number(body, offset, 4)
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value != 0)
    };
    let (pitch, width, height) = (word(8)?, word(12)?, word(16)?);
    let bits = number(body, 20, 1)?;
    if address == 0 || width > MOST_PIXELS || height > MOST_PIXELS || pitch > 8 * MOST_PIXELS {
        return None;
    }
    match number(body, 21, 1)? {
        KIND_TEXT if u64::from(pitch) >= 2 * u64::from(width) => Some(Display::Text {
            address,
            pitch,
            columns: width,
            rows: height,
        }),
        KIND_RGB if bits == 24 || bits == 32 => {
            let channel = |offset| {
                let (shift, size) = (*body.get(offset)?, *body.get(offset + 1)?);
                let fits = size > 0 && u64::from(shift) + u64::from(size) <= bits;
                fits.then_some(Channel { shift, size })
            };
            let bytes = if bits == 24 { 3 } else { 4 };
            (pitch >= width * bytes).then_some(Display::Pixels(Framebuffer {
                address,
                pitch,
                width,
                height,
                bytes,
                red: channel(24)?,
                green: channel(26)?,
                blue: channel(28)?,
            }))
        }
        _ => None,
    }
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
    fn pixels_of_three_and_four_bytes_with_any_pitch() {
        for (bits, bytes, pitch) in [(32, 4, 4096 + 64), (24, 3, 3072)] {
            let Some(Display::Pixels(screen)) = read_framebuffer(&tag(bits, 1, pitch, 1024, 768))
            else {
                panic!("refused")
            };
            assert_eq!(screen.address, 0x40_0000_0000);
            assert_eq!(screen.bytes, bytes);
            assert_eq!(screen.pixel([0x12, 0x34, 0x56]), 0x0012_3456);
            assert_eq!(screen.offset(1, 2), Some(u64::from(2 * pitch + bytes)));
            assert_eq!(screen.offset(1024, 0), None);
            assert_eq!(screen.offset(0, 768), None);
            assert!(screen.offset(1023, 767).unwrap() + u64::from(bytes) <= screen.length());
        }
    }

    #[test]
    fn channels_of_other_sizes() {
        assert_eq!(
            Channel {
                shift: 20,
                size: 10
            }
            .bits(0xff),
            0xff << 22
        );
        assert_eq!(Channel { shift: 11, size: 5 }.bits(0xff), 31 << 11);
    }

    #[test]
    fn text_cells() {
        assert_eq!(
            read_framebuffer(&tag(16, 2, 160, 80, 25)),
            Some(Display::Text {
                address: 0x40_0000_0000,
                pitch: 160,
                columns: 80,
                rows: 25
            })
        );
        let range = read_framebuffer(&tag(16, 2, 160, 80, 25)).map(|display| display.range());
        assert_eq!(range, Some((0x40_0000_0000, 0x40_0000_0fa0)));
    }

    #[test]
    fn what_cannot_be_written_on_is_refused() {
        for bad in [
            tag(8, 0, 1024, 1024, 768),
            tag(16, 1, 2048, 1024, 768),
            tag(32, 1, 4095, 1024, 768),
            tag(32, 1, 4096, 0, 768),
            tag(32, 1, u32::MAX, 1 << 20, 768),
            tag(16, 2, 100, 80, 25),
            tag(32, 7, 4096, 1024, 768),
        ] {
            assert_eq!(read_framebuffer(&bad), None, "{bad:?}");
        }
        let whole = tag(32, 1, 4096, 1024, 768);
        for length in 0..whole.len() {
            assert_eq!(read_framebuffer(&whole[..length]), None, "{length}");
        }
        let mut outside = whole;
        outside[24] = 25;
        assert_eq!(read_framebuffer(&outside), None);
    }
}
