//! Parts as QR codes, in buffers of the caller.

use core::fmt::{self, Write as _};

use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};
use rar_vocabulary::Text;

use crate::part::Part;
use crate::symbol::Symbol;

const TEXT: usize = 1451;
const MODULES: usize = Version::new(Symbol::MAX).buffer_len();

/// The memory that making a code takes; one is enough for all codes, one after the other.
#[derive(Debug)]
pub struct Buffers {
    /// The text of a part.
    text: Text<TEXT>,
    temporary: [u8; MODULES],
    modules: [u8; MODULES],
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

impl Buffers {
    /// Returns buffers that are large enough for every [`Symbol`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: Text::new(),
            temporary: [0; MODULES],
            modules: [0; MODULES],
        }
    }
}

/// A part did not fit in its code. Parts are cut so that this cannot happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotFit;

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the report does not fit in its QR code")
    }
}

impl core::error::Error for DoesNotFit {}

/// One QR code of level M or better.
pub struct Code<'b> {
    code: QrCode<'b>,
}

impl fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("size", &self.size()).finish()
    }
}

impl<'b> Code<'b> {
    /// Makes the code of a part.
    ///
    /// # Errors
    ///
    /// [`DoesNotFit`] if it does not.
    pub fn new(part: Part<'_>, buffers: &'b mut Buffers) -> Result<Self, DoesNotFit> {
        let Buffers {
            text,
            temporary,
            modules,
        } = buffers;
        text.clear();
        write!(text, "{part}").map_err(|_| DoesNotFit)?;
        let version = part.symbol().qr();
        let code = QrCode::encode_text(
            text.as_str(),
            temporary,
            modules,
            QrCodeEcc::Medium,
            version,
            version,
            None,
            true,
        )
        .map_err(|_| DoesNotFit)?;
        Ok(Self { code })
    }

    /// Returns how many modules a side has, without the quiet zone: four light modules on each side
    /// belong around it.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.code.size().unsigned_abs()
    }

    /// Returns whether a module is dark; `x` goes right, `y` goes down. Everything outside is
    /// light.
    #[must_use]
    pub fn is_dark(&self, x: u32, y: u32) -> bool {
        match (i32::try_from(x), i32::try_from(y)) {
            (Ok(x), Ok(y)) => self.code.get_module(x, y),
            _ => false,
        }
    }
}
