//! The changes of page tables.

use rar_model::{Tag, Translation};
use rar_payload::{Gather, LinearAddressWidth, PageRange, PageSize, Pcid, Request};

use super::ground::{KERNEL, SPACE, USER, USER_HALF};

const WIDTH: LinearAddressWidth = LinearAddressWidth::Bits48;

/// How many ranges a kernel gathers for one flush.
const GATHERED: usize = 4;

/// A change of page tables.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The description of the change.
    pub name: &'static str,
    /// Whose pages it changes.
    pub memory: Memory,
    /// Which of them: first page and number, in pages of 4 KiB.
    pub ranges: Vec<(u64, u64)>,
    /// The state of the last CPU.
    pub last_cpu: LastCpu,
}

/// Whose pages change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// User pages, which are cached under one PCID.
    Space,
    /// User pages of a kernel that isolates page tables: cached under two PCIDs.
    Pair,
    /// Global pages of the kernel.
    Kernel,
}

/// The state of the last CPU during the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastCpu {
    /// It runs the space, as all others do.
    Runs,
    /// It is idle, and is flushed as all others: the default of
    /// [`Policy::lazy`](rar_shootdown::Policy::lazy).
    Idle,
    /// It is idle, and flushes of user memory skip it. It returns at the end.
    MayBeSkipped,
}

impl Workload {
    /// Returns all of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let user = |name, pages| Self::of(name, Memory::Space, &[(0, pages)]);
        let kernel = |name, pages| Self::of(name, Memory::Kernel, &[(0, pages)]);
        let of_idle = |name, last_cpu| Self {
            last_cpu,
            ..user(name, 8)
        };
        let every_other: Vec<_> = (0..40).map(|run| (16 * run, 8)).collect();
        vec![
            user("unmap 1 page", 1),
            user("unmap 8 pages", 8),
            user("unmap 40 pages", 40),
            user("unmap 200 pages", 200),
            user("unmap 600 pages", 600),
            user("protect 16 pages", 16),
            Self::of(
                "fork: write-protect 40 runs of 8 pages",
                Memory::Space,
                &every_other,
            ),
            Self::of(
                "isolated page tables: unmap 8 pages",
                Memory::Pair,
                &[(0, 8)],
            ),
            kernel("kernel: unmap 8 pages", 8),
            kernel("kernel: unmap 40 pages", 40),
            kernel("kernel: unmap 200 pages", 200),
            of_idle("one CPU idle: unmap 8 pages", LastCpu::Idle),
            of_idle(
                "one CPU idle, may be skipped: unmap 8 pages",
                LastCpu::MayBeSkipped,
            ),
        ]
    }

    fn of(name: &'static str, memory: Memory, ranges: &[(u64, u64)]) -> Self {
        Self {
            name,
            memory,
            ranges: ranges.to_vec(),
            last_cpu: LastCpu::Runs,
        }
    }

    /// Returns whether a cached translation is of one of the pages.
    #[must_use]
    pub fn names(&self, held: &Translation) -> bool {
        let page = held.linear().wrapping_sub(self.start()) >> 12;
        self.tags().contains(&held.tag())
            && self
                .ranges
                .iter()
                .any(|(first, count)| (*first..first + count).contains(&page))
    }

    /// Returns the tags of the cached pages.
    pub(super) fn tags(&self) -> &'static [Tag] {
        const HALVES: [Tag; 2] = [Tag::Pcid(SPACE), Tag::Pcid(USER_HALF)];
        match self.memory {
            Memory::Space => HALVES.get(..1).unwrap_or_default(),
            Memory::Pair => &HALVES,
            Memory::Kernel => &[Tag::Global],
        }
    }

    /// Returns the PCIDs among them.
    pub(super) fn pcids(&self) -> impl Iterator<Item = u16> {
        self.tags().iter().filter_map(|tag| match tag {
            Tag::Pcid(pcid) => Some(*pcid),
            Tag::Global => None,
        })
    }

    /// Returns the address of page 0.
    fn start(&self) -> u64 {
        match self.memory {
            Memory::Space | Memory::Pair => USER,
            Memory::Kernel => KERNEL,
        }
    }

    /// Returns the addresses from the first page to the last, including the gaps between ranges, as
    /// a kernel with one range for each flush would flush them.
    pub(super) fn span(&self) -> impl ExactSizeIterator<Item = u64> + use<> {
        let first = self.ranges.iter().map(|(first, _)| *first).min();
        let end = self.ranges.iter().map(|(first, count)| first + count).max();
        let (first, pages) = (first.unwrap_or(0), end.unwrap_or(0) - first.unwrap_or(0));
        let start = self.start() + (first << 12);
        (0..u32::try_from(pages).unwrap_or(u32::MAX))
            .map(move |page| start + (u64::from(page) << 12))
    }

    /// Returns the requests of a kernel with this driver: one range as it is, several gathered.
    ///
    /// # Errors
    ///
    /// The reason, if a range is invalid.
    pub(super) fn requests(&self) -> Result<Vec<Request>, String> {
        let range = |(first, count): &(u64, u64)| {
            PageRange::new(self.start() + (first << 12), *count, PageSize::Size4K)
                .map_err(|error| error.to_string())
        };
        let ranges = self
            .ranges
            .iter()
            .map(range)
            .collect::<Result<Vec<_>, _>>()?;
        if self.memory == Memory::Kernel {
            let global = |range| Request::GlobalPages { range };
            return Ok(ranges.into_iter().map(global).collect());
        }
        let mut requests = Vec::new();
        for pcid in self.pcids() {
            let pcid = Pcid::new(pcid).map_err(|error| error.to_string())?;
            if let [range] = *ranges {
                requests.push(Request::Pages { pcid, range });
            } else {
                let mut gather = Gather::<GATHERED>::new(pcid, WIDTH);
                ranges.iter().for_each(|range| gather.range(*range));
                requests.extend_from_slice(gather.requests());
            }
        }
        Ok(requests)
    }
}
