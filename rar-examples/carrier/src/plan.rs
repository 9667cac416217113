//! How a payload is put into place: where its files go, and which bytes are moved.

use crate::entry::Entry;
use crate::error::PayloadError;
use crate::files::{File, Files};
use crate::guest_ram::GuestRam;
use crate::steps::{Step, Steps};

const PAGE: u64 = 4096;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Loaders of 32 bits reach no more.
pub(crate) const LIMIT: u64 = 1 << 32;

const MOST_CLAIMS: usize = 64;

/// What is to be done, and where the guest begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done to memory, in this order.
    pub steps: Steps,
    /// The first instruction.
    pub entry: Entry,
}

/// Where a part of the kernel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where its bytes begin in the file.
    pub(crate) offset: u64,
    /// How many bytes of the file.
    pub(crate) length: u64,
    /// The physical address.
    pub(crate) to: u64,
    /// How much memory it takes: what the file does not fill is zero.
    pub(crate) size: u64,
}

/// Where files have come to lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    /// The file.
    pub(crate) file: File<'a>,
    /// Its physical address when the guest begins.
    pub(crate) start: u64,
}

impl Placed<'_> {
    pub(crate) const fn end(&self) -> u64 {
        self.start + self.file.bytes.len() as u64
    }
}

/// The parts of a kernel and its modules, on their way to their places.
pub(crate) struct Layout<'r> {
    ram: &'r mut GuestRam,
    /// Where parts of the kernel go: not free for anything else.
    claimed: [(u64, u64); MOST_CLAIMS],
    claims: usize,
    steps: Steps,
}

impl<'r> Layout<'r> {
    pub(crate) fn new(ram: &'r mut GuestRam) -> Self {
        Self {
            ram,
            claimed: [(0, 0); MOST_CLAIMS],
            claims: 0,
            steps: Steps::none(),
        }
    }

    /// Claims the place that a part of the kernel is linked to.
    pub(crate) fn claim(&mut self, part: &Part) -> Result<(), PayloadError> {
        let (start, end) = (part.to, part.to.saturating_add(part.size));
        if !self.ram.has(start, end) {
            return Err(PayloadError::NotRam { start, end });
        }
        let place = self.claimed.get_mut(self.claims);
        *place.ok_or(PayloadError::TooManyParts)? = (start, end);
        self.claims += 1;
        self.ram.claim(start, end);
        Ok(())
    }

    /// Takes free memory for the kernel.
    pub(crate) fn take(
        &mut self,
        what: &'static str,
        bytes: u64,
        alignment: u64,
        (floor, limit): (u64, u64),
    ) -> Result<u64, PayloadError> {
        self.ram
            .take(bytes, alignment, floor, limit)
            .ok_or(PayloadError::NoRoom { what, bytes })
    }

    /// Returns where a file lies when the guest begins: on a page border, in the guest's RAM below
    /// `limit`, outside what was claimed. A file that lies otherwise is moved.
    pub(crate) fn place<'a>(
        &mut self,
        file: File<'a>,
        limit: u64,
    ) -> Result<Placed<'a>, PayloadError> {
        let (start, end) = file.range();
        let stays = start.is_multiple_of(PAGE) && self.fits(start, end) && end <= limit;
        let start = if stays || start == end {
            start
        } else {
            let to = self.take("a module", end - start, PAGE, (FIRST_MEBIBYTE, limit))?;
            self.step(Step::Copy {
                from: start,
                to,
                length: end - start,
            })?;
            to
        };
        Ok(Placed { file, start })
    }

    fn fits(&self, start: u64, end: u64) -> bool {
        let claimed = self.claimed.get(..self.claims).unwrap_or(&[]);
        let apart = |range: &(u64, u64)| range.1 <= start || end <= range.0;
        self.ram.has(start, end) && claimed.iter().all(apart)
    }

    /// Puts the parts of the kernel into their places. The last of all moves: nothing else may lie
    /// there any more.
    pub(crate) fn parts(
        mut self,
        kernel: &File<'_>,
        parts: impl IntoIterator<Item = Part>,
        entry: Entry,
    ) -> Result<Plan, PayloadError> {
        let (start, end) = kernel.range();
        let from = if self.fits(start, end) {
            start
        } else {
            // A part would overwrite what another one is made of.
            self.place(*kernel, LIMIT)?.start
        };
        for part in parts {
            self.step(Step::Copy {
                from: from + part.offset,
                to: part.to,
                length: part.length,
            })?;
            self.step(Step::Clear {
                start: part.to + part.length,
                length: part.size.saturating_sub(part.length),
            })?;
        }
        Ok(Plan {
            steps: self.steps,
            entry,
        })
    }

    fn step(&mut self, step: Step) -> Result<(), PayloadError> {
        match self.steps.push(step) {
            true => Ok(()),
            false => Err(PayloadError::TooManyParts),
        }
    }
}

/// Places every module of a payload; `each` gets them in their order.
pub(crate) fn place_modules<'a>(
    layout: &mut Layout<'_>,
    files: &Files<'a>,
    limit: u64,
    mut each: impl FnMut(Placed<'a>) -> Result<(), PayloadError>,
) -> Result<(), PayloadError> {
    files
        .modules()
        .try_for_each(|file| each(layout.place(file, limit)?))
}
