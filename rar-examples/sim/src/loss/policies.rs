//! The policies: this driver, and two others in our own code.

use rar_model::{Contexts, Globals, Invalidation, PageSize, Pages, Tlb as _};
use rar_shootdown::{GlobalFlush, InvpgDropsGlobals};

use super::ground::{After, CPUS, IDLE};
use super::workload::{LastCpu, Memory, Workload};
use super::{driver, ground};

/// A policy of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// This driver, on the simulated machine with its RAR units, as it is by default.
    Driver,
    /// The same, with the promise that INVPG drops global translations by address
    /// ([`GlobalFlush::ByAddress`](rar_shootdown::GlobalFlush)).
    DriverByAddress,
    /// Linux since 6.15, by interrupts: up to 33 pages one by one, the whole space beyond that, and
    /// everything with globals for kernel ranges. An idle CPU is skipped and flushes the changed
    /// space when it returns.
    Linux,
    /// The published RAR patches: up to 63 pages of 4 KiB, the whole PCID beyond that, and
    /// everything with globals for any kernel range. An idle CPU is signalled as any other.
    PublishedSeries,
}

/// The largest range that each of the others flushes page by page.
const LINUX_CEILING: usize = 33;
const SERIES_CEILING: usize = 63;

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Driver,
        Self::DriverByAddress,
        Self::Linux,
        Self::PublishedSeries,
    ];

    /// Returns its name in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "this driver",
            Self::DriverByAddress => "global by address",
            Self::Linux => "Linux 6.15",
            Self::PublishedSeries => "published series",
        }
    }

    pub(super) fn run(self, workload: &Workload) -> Result<After, String> {
        match self {
            Self::Driver => driver::run(workload, GlobalFlush::Everything),
            Self::DriverByAddress => {
                #[expect(unsafe_code, reason = "the kernel's promise of InvpgDropsGlobals::new")]
                // SAFETY: 1. The units of the machine do so; no memory of the host depends on it.
                let promise = unsafe { InvpgDropsGlobals::new() };
                driver::run(workload, GlobalFlush::ByAddress(promise))
            }
            Self::Linux | Self::PublishedSeries => self.imitate(workload),
        }
    }

    fn imitate(self, workload: &Workload) -> Result<After, String> {
        let skips = self == Self::Linux && workload.last_cpu != LastCpu::Runs;
        let mut contents = Vec::new();
        for cpu in 0..CPUS {
            let mut caches = ground::caches();
            let flushes = match skips && cpu == IDLE {
                true => whole(workload),
                false => self.flushes(workload),
            };
            for flush in flushes {
                caches
                    .invalidate(flush)
                    .map_err(|refused| format!("{refused:?}"))?;
            }
            contents.push(caches.iter().collect());
        }
        Ok(After {
            contents,
            disturbed: u64::from(workload.last_cpu != LastCpu::Runs && !skips),
        })
    }

    /// What each target executes.
    fn flushes(self, workload: &Workload) -> Vec<Invalidation> {
        let ceiling = match (self, workload.memory) {
            (Self::Linux, _) => LINUX_CEILING,
            (_, Memory::Kernel) => 0,
            _ => SERIES_CEILING,
        };
        let page = |address| Pages::one(address, PageSize::Size4K);
        match workload.memory {
            _ if workload.span().len() > ceiling => whole(workload),
            Memory::Kernel => workload
                .span()
                .map(|address| Invalidation::invlpg(page(address)))
                .collect(),
            Memory::Space | Memory::Pair => {
                let all = |pcid| workload.span().map(move |address| (pcid, address));
                let all = workload.pcids().flat_map(all);
                all.map(|(pcid, address)| Invalidation::invpcid(pcid, page(address)))
                    .collect()
            }
        }
    }
}

/// Every space of the change; everything for the kernel.
fn whole(workload: &Workload) -> Vec<Invalidation> {
    match workload.memory {
        Memory::Kernel => vec![Invalidation::everything(Contexts::All, Globals::Include)],
        Memory::Space | Memory::Pair => workload
            .pcids()
            .map(|pcid| Invalidation::everything(Contexts::Pcid(pcid), Globals::Exclude))
            .collect(),
    }
}
