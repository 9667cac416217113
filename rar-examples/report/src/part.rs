//! A sealed report in parts that each fit in one QR code: `RAR1:ID:PART/COUNT:DATA:CRC`.

use core::fmt::{self, Write as _};

use crc::{Digest, Table};

use crate::base45::{self, Base45};
use crate::checksum::CRC32;
use crate::symbol::Symbol;

/// What every part begins with.
pub const MARK: &str = "RAR1:";

/// The greatest number of parts.
pub const MAX_PARTS: u32 = 999;

/// All of a part but its data at most: mark, id, number, count, colons, checksum.
const AROUND: usize = MARK.len() + 8 + 1 + 3 + 1 + 3 + 1 + 1 + 8;

/// A sealed report, to be shown in parts.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    sealed: &'a [u8],
    id: u32,
    symbol: Symbol,
    per_part: usize,
    count: u32,
}

/// A report has more than [`MAX_PARTS`] parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// How many bytes it has.
    pub length: usize,
    /// How many are possible.
    pub most: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, most } = self;
        write!(
            f,
            "a report of {length} bytes does not fit in {MAX_PARTS} codes, which hold {most}: \
             take larger codes"
        )
    }
}

impl core::error::Error for TooLong {}

impl<'a> Parts<'a> {
    /// Cuts a sealed report into parts that fit in codes of that size. `id` is the one that the
    /// report's head has.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if there would be more than [`MAX_PARTS`].
    pub fn new(sealed: &'a [u8], id: u32, symbol: Symbol) -> Result<Self, TooLong> {
        // Three characters carry two bytes, two carry one.
        let characters = symbol.capacity().saturating_sub(AROUND);
        let per_part = (characters / 3 * 2 + characters % 3 / 2).max(1);
        let count = u32::try_from(sealed.len().div_ceil(per_part).max(1))
            .ok()
            .filter(|count| *count <= MAX_PARTS)
            .ok_or(TooLong {
                length: sealed.len(),
                most: per_part * MAX_PARTS as usize,
            })?;
        Ok(Self {
            sealed,
            id,
            symbol,
            per_part,
            count,
        })
    }

    /// Returns how many parts there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns a part by its number, the first is 1; `None` if there is no such part.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<Part<'a>> {
        if number == 0 || number > self.count {
            return None;
        }
        let first = usize::try_from(number - 1).ok()? * self.per_part;
        let end = (first + self.per_part).min(self.sealed.len());
        Some(Part {
            head: PartHead {
                id: self.id,
                number,
                count: self.count,
            },
            symbol: self.symbol,
            data: self.sealed.get(first..end)?,
        })
    }

    /// Returns all parts in their order.
    pub fn iter(&self) -> impl Iterator<Item = Part<'a>> + '_ {
        (1..=self.count).filter_map(|number| self.get(number))
    }
}

/// The number of the part, and the id of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartHead {
    /// The report.
    pub id: u32,
    /// The part's number, from 1.
    pub number: u32,
    /// How many parts the report has.
    pub count: u32,
}

/// One part; it is shown as the text that goes into a QR code.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    head: PartHead,
    symbol: Symbol,
    data: &'a [u8],
}

impl Part<'_> {
    /// Returns which part it is.
    #[must_use]
    pub const fn head(&self) -> PartHead {
        self.head
    }

    /// Returns the size of the code that it was cut for.
    #[must_use]
    pub const fn symbol(&self) -> Symbol {
        self.symbol
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartHead { id, number, count } = self.head;
        let mut text = Summed {
            to: f,
            digest: CRC32.digest(),
        };
        write!(
            text,
            "{MARK}{id:08X}:{number}/{count}:{}",
            Base45(self.data)
        )?;
        let crc = text.digest.finalize();
        write!(f, ":{crc:08X}")
    }
}

/// Passes text on and sums it up.
struct Summed<'f, 'g, 'd> {
    to: &'f mut fmt::Formatter<'g>,
    digest: Digest<'d, u32, Table<1>>,
}

impl fmt::Write for Summed<'_, '_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.digest.update(text.as_bytes());
        self.to.write_str(text)
    }
}

/// A part as one line for a serial port: JSON after the mark `@r`.
#[derive(Clone, Copy, Debug)]
pub struct SerialLine<'a>(pub Part<'a>);

impl fmt::Display for SerialLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing in a part has to be escaped in JSON: its alphabet has neither quotes nor
        // backslashes.
        let PartHead { number, count, .. } = self.0.head;
        write!(
            f,
            "@r {{\"part\":{number},\"of\":{count},\"qr\":\"{}\"}}",
            self.0
        )
    }
}

/// Why a text is no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartError {
    /// It does not begin with [`MARK`], an id, and the number of the part out of all parts.
    Head,
    /// The checksum does not fit the text.
    Crc(PartHead),
    /// The data are not base45, though the checksum fits; or there is no room for them.
    Data(PartHead),
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => write!(
                f,
                "this is no part of a report: it does not start with {MARK}ID:PART/COUNT:"
            ),
            Self::Crc(PartHead { id, number, count }) => write!(
                f,
                "part {number} of {count} of report {id:08X} is damaged, its checksum does not \
                 fit: scan it again"
            ),
            Self::Data(PartHead { id, number, count }) => {
                write!(
                    f,
                    "the data of part {number} of {count} of report {id:08X} are not base45, \
                     or too long"
                )
            }
        }
    }
}

impl core::error::Error for PartError {}

/// Reads the text of one part, and puts its data into `out`.
///
/// # Errors
///
/// [`PartError`] if it is not a part, or is damaged.
pub fn read_part<'b>(text: &str, out: &'b mut [u8]) -> Result<(PartHead, &'b [u8]), PartError> {
    let (head, rest) = PartHead::read(text).ok_or(PartError::Head)?;
    let (data, sum) = rest.rsplit_once(':').ok_or(PartError::Crc(head))?;
    let summed = text
        .get(..text.len() - sum.len() - 1)
        .ok_or(PartError::Crc(head))?;
    if hexadecimal(sum) != Some(CRC32.checksum(summed.as_bytes())) {
        return Err(PartError::Crc(head));
    }
    let data = base45::decode(data, out).ok_or(PartError::Data(head))?;
    Ok((head, data))
}

impl PartHead {
    /// Returns the head of a part and the text that follows the colon after it; `None` if the text
    /// has no such head.
    #[must_use]
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let (id, rest) = text.strip_prefix(MARK)?.split_once(':')?;
        let (numbers, rest) = rest.split_once(':')?;
        let (number, count) = numbers.split_once('/')?;
        let head = Self {
            id: hexadecimal(id)?,
            number: decimal(number)?,
            count: decimal(count)?,
        };
        let possible = head.number >= 1 && head.number <= head.count && head.count <= MAX_PARTS;
        possible.then_some((head, rest))
    }
}

/// Reads exactly eight digits, capital ones as the alphabet has them.
fn hexadecimal(text: &str) -> Option<u32> {
    let capital = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    if text.len() != 8 || !text.bytes().all(capital) {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

/// Reads one to three digits, without sign.
fn decimal(text: &str) -> Option<u32> {
    if text.len() > 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
