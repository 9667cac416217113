//! How the colour of a pixel lies in memory.

/// How the colour of a pixel lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelFormat {
    /// Bits of a pixel: 8, 15, 16, 24 or 32. Its bytes come lowest first.
    pub bits: u32,
    /// What the bits mean.
    pub colours: Colours,
    /// Where red lies in a pixel.
    pub red: Channel,
    /// Where green lies in a pixel.
    pub green: Channel,
    /// Where blue lies in a pixel.
    pub blue: Channel,
}

/// What the bits of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// The colour itself.
    Direct,
    /// The number of a colour in a palette, which must be set to [`palette`].
    Palette,
}

/// The bits of one colour in a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The lowest bit.
    pub shift: u8,
    /// How many bits.
    pub size: u8,
}

/// Bits of a colour in a number of the [`palette`].
const PALETTE_BITS: u8 = 2;

impl PixelFormat {
    /// Pixels of eight bits that number the colours of [`palette`]: with that palette a number is
    /// itself a colour with two bits of red, green and blue.
    pub const PALETTE: Self = Self {
        bits: 8,
        colours: Colours::Palette,
        red: Channel {
            shift: 2 * PALETTE_BITS,
            size: PALETTE_BITS,
        },
        green: Channel {
            shift: PALETTE_BITS,
            size: PALETTE_BITS,
        },
        blue: Channel {
            shift: 0,
            size: PALETTE_BITS,
        },
    };

    /// Returns the format of pixels with direct colours: red, green, blue. `None` if there are not
    /// 15, 16, 24 or 32 bits, or a colour does not lie in them.
    #[must_use]
    pub fn direct(bits: u32, [red, green, blue]: [Channel; 3]) -> Option<Self> {
        let fits = |channel: &Channel| {
            channel.size > 0 && u32::from(channel.shift) + u32::from(channel.size) <= bits
        };
        let known = matches!(bits, 15 | 16 | 24 | 32);
        (known && [red, green, blue].iter().all(fits)).then_some(Self {
            bits,
            colours: Colours::Direct,
            red,
            green,
            blue,
        })
    }

    /// Returns the bytes of a pixel: 1 to 4.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.bits.div_ceil(8)
    }

    /// Returns the pixel of a colour: red, green, blue.
    #[must_use]
    pub const fn pixel(self, colour: [u8; 3]) -> u32 {
        let [red, green, blue] = colour;
        self.red.bits(red) | self.green.bits(green) | self.blue.bits(blue)
    }
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

/// Returns the colours of [`PixelFormat::PALETTE`] in their order: red, green, blue.
///
/// A converter of six bits a colour shows the low six of eight. Each brightness here is the same to
/// one of six and to one of eight bits: nothing need know which there is.
pub fn palette() -> impl Iterator<Item = [u8; 3]> {
    const LEVELS: [u8; 4] = [0, 0x55, 0xaa, 0xff];
    LEVELS.into_iter().flat_map(|red| {
        LEVELS
            .into_iter()
            .flat_map(move |green| LEVELS.into_iter().map(move |blue| [red, green, blue]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn channel(shift: u8, size: u8) -> Channel {
        Channel { shift, size }
    }

    fn direct(bits: u32, channels: [(u8, u8); 3]) -> PixelFormat {
        let channels = channels.map(|(shift, size)| channel(shift, size));
        PixelFormat::direct(bits, channels).unwrap()
    }

    const WHITE: [u8; 3] = [0xff; 3];

    #[test]
    fn each_usual_format_keeps_the_colours_apart() {
        for (format, bytes, red, green, blue, white) in [
            (
                direct(32, [(16, 8), (8, 8), (0, 8)]),
                4,
                0xff_0000,
                0xff00,
                0xff,
                0xff_ffff,
            ),
            (
                direct(24, [(16, 8), (8, 8), (0, 8)]),
                3,
                0xff_0000,
                0xff00,
                0xff,
                0xff_ffff,
            ),
            (
                direct(32, [(20, 10), (10, 10), (0, 10)]),
                4,
                0x3fc0_0000,
                0xff000,
                0x3fc,
                0x3fcf_f3fc,
            ),
            (
                direct(16, [(11, 5), (5, 6), (0, 5)]),
                2,
                0xf800,
                0x07e0,
                0x001f,
                0xffff,
            ),
            (
                direct(15, [(10, 5), (5, 5), (0, 5)]),
                2,
                0x7c00,
                0x03e0,
                0x001f,
                0x7fff,
            ),
            (PixelFormat::PALETTE, 1, 0x30, 0x0c, 0x03, 0x3f),
        ] {
            assert_eq!(format.bytes(), bytes, "{format:?}");
            assert_eq!(format.pixel([0xff, 0, 0]), red, "{format:?}");
            assert_eq!(format.pixel([0, 0xff, 0]), green, "{format:?}");
            assert_eq!(format.pixel([0, 0, 0xff]), blue, "{format:?}");
            assert_eq!(format.pixel(WHITE), white, "{format:?}");
            assert_eq!(format.pixel([0; 3]), 0, "{format:?}");
        }
        let format = direct(16, [(11, 5), (5, 6), (0, 5)]);
        assert_eq!(format.pixel([0x12, 0x34, 0x56]), 0x11aa);
    }

    #[test]
    fn colours_that_do_not_lie_in_a_pixel_are_refused() {
        let usual = [channel(11, 5), channel(5, 6), channel(0, 5)];
        assert!(PixelFormat::direct(16, usual).is_some());
        for bits in [0, 1, 4, 8, 15, 17, 48, 64] {
            assert_eq!(PixelFormat::direct(bits, usual), None, "{bits}");
        }
        for wrong in [channel(12, 5), channel(0, 0), channel(255, 255)] {
            for at in 0..3 {
                let mut channels = usual;
                channels[at] = wrong;
                assert_eq!(PixelFormat::direct(16, channels), None, "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_number_of_the_palette_is_its_colour() {
        let palette: Vec<_> = palette().collect();
        assert_eq!(palette.len(), 64);
        for (number, colour) in palette.iter().enumerate() {
            assert_eq!(PixelFormat::PALETTE.pixel(*colour) as usize, number);
        }
    }

    #[test]
    fn the_palette_is_the_same_to_six_bits_and_to_eight() {
        for level in palette().flatten() {
            let six = (level & 0x3f) << 2;
            assert!(level.abs_diff(six) <= 3, "{level:#x} {six:#x}");
        }
    }
}
