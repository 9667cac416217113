//! The address spaces of the shim: the host's, and those of guests under nested paging.

use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::config::Config;
use crate::error::LaunchError;
use crate::memory::hide_error::HideError;
use crate::memory::tables::{Full, GIBIBYTE, LargestPage, OPEN, OWN, PAGE, Tables, UNCACHED};

/// Each space: the top, tables of gigabytes, and what is split.
const SUPPLY: usize = 32;
/// Physical memory beyond is not reached: the tables of gigabytes would take the supply.
const REACH_BITS: u32 = 42;
const REACH: u64 = 1 << REACH_BITS;
/// The same without pages of 1 GiB: each gigabyte takes a table, and half of the supply is left.
const SHORT_REACH_BITS: u32 = 34;
/// Looks at another CPU that fills the tables in: milliseconds of work.
const MAX_POLLS: u32 = 100_000_000;

const FRESH: u8 = 0;
const BEING_FILLED: u8 = 1;
const READY: u8 = 2;
const HIDING: u8 = 3;

/// The tables of the one shim of this machine: too large for a stack on which a shim is made.
pub(crate) static SPACES: Spaces = Spaces::new();

/// The tables of all spaces. The first CPU fills them in.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Spaces {
    /// The shim's image, physical memory, and the APIC, where they were at the launch.
    pub(crate) host: Tables<SUPPLY>,
    /// All memory one to one, without the page of the APIC.
    pub(crate) open: Tables<SUPPLY>,
    /// As `open`, and without what is hidden.
    hiding: Tables<SUPPLY>,
    state: AtomicU8,
}

/// What the processor says, and where things lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) levels: u32,
    pub(crate) physical_address_bits: u32,
    pub(crate) largest: LargestPage,
    /// The physical address of the APIC's page; `None` in x2APIC mode, where it has no page.
    pub(crate) apic: Option<u64>,
}

impl Spaces {
    const fn new() -> Self {
        Self {
            host: Tables::new(),
            open: Tables::new(),
            hiding: Tables::new(),
            state: AtomicU8::new(FRESH),
        }
    }

    /// Fills the tables in unless it was done. `physical` translates by the page tables that are
    /// loaded.
    pub(crate) fn make_ready(
        &self,
        config: &Config,
        machine: Machine,
        physical: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), LaunchError> {
        for _ in 0..MAX_POLLS {
            let found = self.state.compare_exchange(
                FRESH,
                BEING_FILLED,
                Ordering::Acquire,
                // Pairs with the Release below.
                Ordering::Acquire,
            );
            match found {
                Ok(_) => {
                    let filled = self.fill(config, machine, physical);
                    let state = if filled.is_ok() { READY } else { FRESH };
                    self.state.store(state, Ordering::Release);
                    return filled;
                }
                Err(READY | HIDING) => return Ok(()),
                Err(_) => core::hint::spin_loop(),
            }
        }
        Err(LaunchError::TablesBusy)
    }

    fn fill(
        &self,
        config: &Config,
        machine: Machine,
        physical: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), LaunchError> {
        for tables in [&self.host, &self.open, &self.hiding] {
            tables
                .begin(machine.levels, &physical)
                .map_err(LaunchError::NotMapped)?;
        }
        fill_host(&self.host, config, machine, physical)?;
        for tables in [&self.open, &self.hiding] {
            fill_nested(tables, machine).map_err(|Full| LaunchError::OutOfTables)?;
        }
        Ok(())
    }

    /// Takes memory out of what guests have once [`HIDE`](crate::HIDE) is in force.
    pub(crate) fn hide(&self, physical: &Range<u64>) -> Result<(), HideError> {
        let from = |state, to| {
            let found =
                self.state
                    .compare_exchange(state, to, Ordering::Acquire, Ordering::Acquire);
            found.map(drop)
        };
        from(READY, BEING_FILLED).map_err(|state| match state {
            FRESH => HideError::NotLaunched,
            HIDING => HideError::Hidden,
            _ => HideError::TablesBusy,
        })?;
        // Nothing is mapped beyond, where tables would take an address for a lower one.
        let reached = physical.start.min(REACH)..physical.end.min(REACH);
        let done = self.hiding.unmap(&reached);
        self.state.store(READY, Ordering::Release);
        done.map_err(|Full| HideError::OutOfTables)
    }

    /// Lets guests lose what is hidden, from their next entry on; returns whether that is new.
    pub(crate) fn begin_hiding(&self) -> bool {
        self.state
            .compare_exchange(READY, HIDING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn is_hiding(&self) -> bool {
        self.state.load(Ordering::Acquire) == HIDING
    }

    /// Returns the top table of what guests have now.
    pub(crate) fn nested(&self) -> u64 {
        if self.is_hiding() {
            self.hiding.top()
        } else {
            self.open.top()
        }
    }

    /// Returns whether guests have lost what lies there.
    pub(crate) fn is_hidden(&self, physical: u64) -> bool {
        self.is_hiding()
            && physical < REACH
            && self.hiding.find(physical).is_none()
            && self.open.find(physical).is_some()
    }
}

/// Returns how much physical memory pages of this size reach.
fn gibibytes(machine: Machine, largest: LargestPage) -> u64 {
    let bits = match largest {
        LargestPage::Gibibyte => REACH_BITS,
        LargestPage::Mebibytes2 => SHORT_REACH_BITS,
    };
    (1 << machine.physical_address_bits.clamp(30, bits)) / GIBIBYTE
}

fn fill_host<const N: usize>(
    tables: &Tables<N>,
    config: &Config,
    machine: Machine,
    physical: impl Fn(u64) -> Option<u64>,
) -> Result<(), LaunchError> {
    let start = config.direct_map;
    if !start.is_multiple_of(GIBIBYTE) {
        return Err(LaunchError::DirectMap(start));
    }
    // A direct map near the end of the address space ends there.
    let left = (u64::MAX - start) / GIBIBYTE + 1;
    let count = left.min(gibibytes(machine, machine.largest));
    // The host walks its own tables through the direct map.
    if let Some(place) = tables.places().find(|place| place / GIBIBYTE >= count) {
        return Err(LaunchError::OutOfReach(place));
    }
    tables
        .map_gibibytes(start, count, machine.largest, OWN)
        .map_err(|Full| LaunchError::OutOfTables)?;
    let mut page = config.image.start & !(PAGE - 1);
    while page < config.image.end {
        let place = physical(page).ok_or(LaunchError::NotMapped(page))?;
        if tables.find(page) != Some(place) {
            tables
                .map_page(page, place, OWN)
                .map_err(|Full| LaunchError::OutOfTables)?;
        }
        page += PAGE;
    }
    if let Some(apic) = machine.apic {
        let page = config.apic.addr().get() as u64;
        tables
            .map_page(page, apic, OWN | UNCACHED)
            .map_err(|Full| LaunchError::OutOfTables)?;
    }
    Ok(())
}

fn fill_nested<const N: usize>(tables: &Tables<N>, machine: Machine) -> Result<(), Full> {
    // A launch on a CPU without pages of 1 GiB does not use these tables.
    let largest = LargestPage::Gibibyte;
    tables.map_gibibytes(0, gibibytes(machine, largest), largest, OPEN)?;
    machine
        .apic
        .map_or(Ok(()), |apic| tables.unmap(&(apic..apic + PAGE)))
}

#[cfg(test)]
mod tests;
