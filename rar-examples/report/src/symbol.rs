//! How large the QR codes are.

use qrcodegen_no_heap::Version;

/// How many alphanumeric characters a code of each version holds at level M (ISO/IEC 18004, table
/// 7), from version 5.
const CAPACITY: [usize; 21] = [
    122, 154, 178, 221, 262, 311, 366, 419, 483, 528, 600, 656, 734, 816, 909, 970, 1035, 1134,
    1248, 1326, 1451,
];

/// The version of QR codes, which decides how many modules they have: 17 and four for each version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    version: u8,
}

impl Symbol {
    /// The least version that has room for more than the head of a part.
    pub const MIN: u8 = 5;
    /// The greatest version, past which a photo of a screen is seldom read.
    pub const MAX: u8 = 25;
    /// Version 13, 69 modules: with the quiet zone ten pixels a module on a screen of 800 rows.
    /// Larger ones are read from photos less surely, at the same error correction: simple decoders
    /// lose the fourth corner, which they look for from the other three.
    pub const DEFAULT: Self = Self { version: 13 };

    /// Returns that version; `None` if it is not one from [`MIN`](Self::MIN) to [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(version: u8) -> Option<Self> {
        if version < Self::MIN || version > Self::MAX {
            return None;
        }
        Some(Self { version })
    }

    /// Returns the version.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.version
    }

    /// Returns how many modules a side has, the quiet zone of four on each side left out.
    #[must_use]
    pub const fn modules(self) -> u32 {
        17 + 4 * self.version as u32
    }

    /// Returns how many alphanumeric characters fit.
    pub(crate) fn capacity(self) -> usize {
        let index = usize::from(self.version - Self::MIN);
        CAPACITY.get(index).copied().unwrap_or_default()
    }

    pub(crate) const fn qr(self) -> Version {
        Version::new(self.version)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use qrcodegen_no_heap::{QrCode, QrCodeEcc};

    use super::*;

    #[test]
    fn each_version_holds_as_much_as_the_table_says_and_no_more() {
        for version in Symbol::MIN..=Symbol::MAX {
            let symbol = Symbol::new(version).unwrap();
            let fits = |characters| {
                let (mut temp, mut out) = ([0; 4096], [0; 4096]);
                let text = "A".repeat(characters);
                QrCode::encode_text(
                    &text,
                    &mut temp,
                    &mut out,
                    QrCodeEcc::Medium,
                    symbol.qr(),
                    symbol.qr(),
                    None,
                    false,
                )
                .is_ok()
            };
            assert!(fits(symbol.capacity()), "version {version}");
            assert!(!fits(symbol.capacity() + 1), "version {version}");
        }
    }

    #[test]
    fn versions_have_limits() {
        assert_eq!(Symbol::new(4), None);
        assert_eq!(Symbol::new(26), None);
        assert_eq!(Symbol::new(13), Some(Symbol::DEFAULT));
        assert_eq!(Symbol::DEFAULT.modules(), 69);
    }
}
