//! A report as one run of bytes: compressed, with its length and its checksum.

use core::fmt;

use heatshrink::Config;

use crate::checksum::CRC32;

/// The version of the container.
const VERSION: u8 = 1;
/// The bytes follow as they are.
const STORED: u8 = 0;
/// The bytes follow as heatshrink, window 2^11, lookahead 2^6.
const HEATSHRINK: u8 = 1;

const WINDOW: u8 = 11;
const LOOKAHEAD: u8 = 6;

/// How many bytes lie before the compressed ones: version, method, length and CRC-32 of what was
/// compressed, little-endian.
pub const CONTAINER_HEADER: usize = 10;

/// There is no room for a sealed report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealError {
    /// How many bytes always suffice.
    pub enough: usize,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a sealed report needs more room: {} bytes suffice",
            self.enough
        )
    }
}

impl core::error::Error for SealError {}

/// Why a sealed report cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsealError {
    /// Shorter than its header.
    Short(usize),
    /// The container has a version that this crate cannot read.
    Version(u8),
    /// The method of compression is unknown.
    Method(u8),
    /// The buffer is shorter than what was compressed, plus one byte.
    Room {
        /// How many bytes it has.
        given: usize,
        /// How many it needs.
        needed: usize,
    },
    /// What was decompressed has another length than what was compressed.
    Length {
        /// The length that the header names.
        expected: usize,
        /// The length that was found.
        found: usize,
    },
    /// The checksum of the whole differs.
    Crc {
        /// The checksum that the header names.
        expected: u32,
        /// The checksum of what was found.
        found: u32,
    },
}

impl fmt::Display for UnsealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(length) => write!(
                f,
                "{length} bytes are no report, which has {CONTAINER_HEADER} before its content"
            ),
            Self::Version(version) => write!(
                f,
                "the container has version {version}, this program reads {VERSION}: \
                 take a newer one"
            ),
            Self::Method(method) => write!(
                f,
                "the method of compression is {method}, this program reads {STORED} and \
                 {HEATSHRINK}: take a newer one"
            ),
            Self::Room { given, needed } => {
                write!(f, "a buffer of {given} bytes is given, {needed} are needed")
            }
            Self::Length { expected, found } => write!(
                f,
                "the report has {found} bytes and should have {expected}: \
                 its parts do not belong together"
            ),
            Self::Crc { expected, found } => write!(
                f,
                "the report has CRC-32 {found:08X} and should have {expected:08X}: \
                 its parts do not belong together"
            ),
        }
    }
}

impl core::error::Error for UnsealError {}

/// What a sealed report says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    method: u8,
    /// How many bytes were compressed.
    pub length: u32,
    /// Their checksum.
    pub crc: u32,
}

impl Header {
    /// Returns the header of a sealed report and what follows it.
    ///
    /// # Errors
    ///
    /// [`UnsealError`] if the bytes have no header, or its version or method is unknown.
    pub fn read(sealed: &[u8]) -> Result<(Self, &[u8]), UnsealError> {
        let Some((
            [
                version,
                method,
                length0,
                length1,
                length2,
                length3,
                crc @ ..,
            ],
            content,
        )) = sealed.split_first_chunk::<CONTAINER_HEADER>()
        else {
            return Err(UnsealError::Short(sealed.len()));
        };
        if *version != VERSION {
            return Err(UnsealError::Version(*version));
        }
        if *method > HEATSHRINK {
            return Err(UnsealError::Method(*method));
        }
        let header = Self {
            method: *method,
            length: u32::from_le_bytes([*length0, *length1, *length2, *length3]),
            crc: u32::from_le_bytes(*crc),
        };
        Ok((header, content))
    }

    /// Returns how long a buffer must be to open the report: the decompressor asks for one byte
    /// more than it writes.
    #[must_use]
    pub fn room(&self) -> usize {
        usize::try_from(self.length).map_or(usize::MAX, |length| length.saturating_add(1))
    }
}

/// Compresses a report and puts its length and checksum before it.
///
/// # Errors
///
/// [`SealError`] if `sealed` is too short; as long as `report` and [`CONTAINER_HEADER`] together
/// always suffices.
pub fn seal<'b>(report: &[u8], sealed: &'b mut [u8]) -> Result<&'b [u8], SealError> {
    let enough = report.len().saturating_add(CONTAINER_HEADER);
    let error = SealError { enough };
    let length = u32::try_from(report.len()).map_err(|_| error)?;
    let (header, content) = sealed.split_at_mut_checked(CONTAINER_HEADER).ok_or(error)?;
    // No longer than the report itself, or it would be better stored.
    let limit = content.len().min(report.len());
    let compressed = content
        .get_mut(..limit)
        .and_then(|content| heatshrink::encode(report, content, &config()?).ok())
        .map(<[u8]>::len);
    let (method, used) = match compressed {
        Some(used) => (HEATSHRINK, used),
        None => {
            content
                .get_mut(..report.len())
                .ok_or(error)?
                .copy_from_slice(report);
            (STORED, report.len())
        }
    };
    let [a, b, c, d] = length.to_le_bytes();
    let [e, f, g, h] = CRC32.checksum(report).to_le_bytes();
    header.copy_from_slice(&[VERSION, method, a, b, c, d, e, f, g, h]);
    sealed.get(..CONTAINER_HEADER + used).ok_or(error)
}

/// Decompresses a sealed report into `buffer`, which has [`Header::room`], and returns its records'
/// bytes.
///
/// # Errors
///
/// [`UnsealError`] if it is not whole, or not what was sealed.
pub fn open<'b>(sealed: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], UnsealError> {
    let (header, _) = Header::read(sealed)?;
    let report = open_prefix(sealed, buffer)?;
    let expected = usize::try_from(header.length).unwrap_or(usize::MAX);
    if report.len() != expected {
        return Err(UnsealError::Length {
            expected,
            found: report.len(),
        });
    }
    let found = CRC32.checksum(report);
    if found != header.crc {
        return Err(UnsealError::Crc {
            expected: header.crc,
            found,
        });
    }
    Ok(report)
}

/// Decompresses the part of a report that the first bytes of its sealed form hold. The result is
/// not checked: the checksum covers the whole.
///
/// # Errors
///
/// [`UnsealError`] if not even the header is there, or the buffer has not [`Header::room`].
pub fn open_prefix<'b>(sealed: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], UnsealError> {
    let (header, content) = Header::read(sealed)?;
    let room = UnsealError::Room {
        given: buffer.len(),
        needed: header.room(),
    };
    let buffer = buffer.get_mut(..header.room()).ok_or(room)?;
    if header.method == STORED {
        let length = content.len().min(buffer.len());
        let (report, content) = buffer
            .get_mut(..length)
            .zip(content.get(..length))
            .ok_or(room)?;
        report.copy_from_slice(content);
        return Ok(report);
    }
    let config = config().ok_or(UnsealError::Method(header.method))?;
    // More than was compressed: the parts are not those of one report.
    heatshrink::decode(content, buffer, &config).map_err(|_| UnsealError::Length {
        expected: header.room() - 1,
        found: header.room(),
    })
}

fn config() -> Option<Config> {
    Config::new(WINDOW, LOOKAHEAD).ok()
}
