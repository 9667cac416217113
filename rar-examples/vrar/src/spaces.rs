//! The address spaces of the shim: the host's, and those of guests under nested paging.

use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::config::Config;
use crate::error::LaunchError;
use crate::hide_error::HideError;
use crate::tables::{Full, GIBIBYTE, OPEN, OWN, PAGE, Tables, UNCACHED};

/// Each space: the top, tables of gigabytes, and what is split.
const SUPPLY: usize = 32;
/// Physical memory beyond is not reached: the tables of gigabytes would take the supply.
const REACH_BITS: u32 = 42;
const REACH: u64 = 1 << REACH_BITS;
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

/// Returns how much physical memory is reached.
fn gibibytes(machine: Machine) -> u64 {
    (1 << machine.physical_address_bits.clamp(30, REACH_BITS)) / GIBIBYTE
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
    tables
        .map_gibibytes(start, left.min(gibibytes(machine)), OWN)
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
    tables.map_gibibytes(0, gibibytes(machine), OPEN)?;
    machine
        .apic
        .map_or(Ok(()), |apic| tables.unmap(&(apic..apic + PAGE)))
}

#[cfg(test)]
mod tests {
    use core::num::NonZero;
    use core::ptr::NonNull;

    use super::*;
    use crate::config::Image;

    const MACHINE: Machine = Machine {
        levels: 4,
        physical_address_bits: 40,
        apic: Some(0xfee0_0000),
    };
    const APIC: NonNull<u32> = NonNull::without_provenance(NonZero::new(0xfee0_0000).unwrap());

    fn spaces() -> Box<Spaces> {
        Box::new(Spaces::new())
    }

    #[test]
    fn guests_have_everything_but_the_apic() {
        let spaces = spaces();
        let config = Config::new(0, APIC);
        spaces.make_ready(&config, MACHINE, Some).unwrap();
        for address in [
            0,
            0x12_3456,
            0xfec0_0000,
            0xfedf_ffff,
            0xfee0_1000,
            0xffff_ffff,
            0xff_ffff_ffff,
        ] {
            assert_eq!(spaces.open.find(address), Some(address), "{address:#x}");
            assert_eq!(spaces.host.find(address), Some(address), "{address:#x}");
        }
        for address in [0xfee0_0000, 0xfee0_0fff, 1 << 40] {
            assert_eq!(spaces.open.find(address), None, "{address:#x}");
        }
        assert_eq!(spaces.host.find(0xfee0_0010), Some(0xfee0_0010));
    }

    #[test]
    fn what_is_hidden_is_hidden_from_guests_only_and_only_in_time() {
        let spaces = spaces();
        let config = Config::new(0, APIC);
        let range = 0x20_0000..0x63_1000;
        assert_eq!(spaces.hide(&range), Err(HideError::NotLaunched));
        assert!(!spaces.begin_hiding());
        spaces.make_ready(&config, MACHINE, Some).unwrap();
        assert_eq!(spaces.hide(&range), Ok(()));
        // Beyond all memory: no lower address may be taken for it.
        assert_eq!(spaces.hide(&(1 << 48..u64::MAX)), Ok(()));
        assert_eq!(spaces.hiding.find(0), Some(0));
        assert!(!spaces.is_hidden(0x20_0000));
        assert_eq!(spaces.nested(), spaces.open.top());
        assert!(spaces.begin_hiding() && !spaces.begin_hiding());
        assert_eq!(spaces.nested(), spaces.hiding.top());
        for (address, hidden) in [
            (0x1f_ffff, false),
            (0x20_0000, true),
            (0x40_0000, true),
            (0x63_0fff, true),
            (0x63_1000, false),
            // Was never there.
            (0xfee0_0000, false),
            (1 << 40, false),
            (1 << 48 | 0x20_0000, false),
        ] {
            assert_eq!(spaces.is_hidden(address), hidden, "{address:#x}");
        }
        for address in [0x20_0000, 0x63_1000] {
            assert_eq!(spaces.host.find(address), Some(address));
        }
        assert_eq!(spaces.hide(&range), Err(HideError::Hidden));
        // A CPU that comes late.
        assert_eq!(spaces.make_ready(&config, MACHINE, Some), Ok(()));
    }

    #[test]
    fn too_many_pieces_are_an_error() {
        let spaces = spaces();
        spaces
            .make_ready(&Config::new(0, APIC), MACHINE, Some)
            .unwrap();
        let mut pieces = (1..100).map(|number| number << 30..(number << 30) + PAGE);
        let failed = pieces.find_map(|piece| spaces.hide(&piece).err());
        assert_eq!(failed, Some(HideError::OutOfTables));
    }

    #[test]
    fn in_x2apic_mode_there_is_no_page_to_map_or_to_trap() {
        let spaces = spaces();
        let machine = Machine {
            apic: None,
            ..MACHINE
        };
        let config = Config::new(0, NonNull::dangling());
        spaces.make_ready(&config, machine, Some).unwrap();
        for tables in [&spaces.host, &spaces.open] {
            assert_eq!(tables.find(4), Some(4));
            assert_eq!(tables.find(0xfee0_0020), Some(0xfee0_0020));
        }
    }

    #[test]
    fn an_image_and_an_apic_outside_of_the_direct_map() {
        let spaces = spaces();
        let (direct_map, image) = (0xffff_8880_0000_0000, 0xffff_ffff_8000_0000);
        let apic = 0xffff_ffff_ff5f_d000;
        let config = Config {
            image: Image {
                start: image,
                end: image + 0x3000,
            },
            ..Config::new(
                direct_map,
                NonNull::without_provenance(NonZero::new(apic).unwrap()),
            )
        };
        let loaded = |address: u64| match address {
            0xffff_ffff_8000_1000.. => Some(0x90_0000 + (address & 0xfff)),
            0xffff_ffff_8000_0000.. => Some(0x80_0000 + (address & 0xfff)),
            _ => Some(address),
        };
        spaces.make_ready(&config, MACHINE, loaded).unwrap();
        let find = |address| spaces.host.find(address);
        assert_eq!(find(direct_map + 0x5678), Some(0x5678));
        assert_eq!(find(image + 0x123), Some(0x80_0123));
        assert_eq!(find(image + 0x1123), Some(0x90_0123));
        assert_eq!(find(image + 0x3000), None);
        assert_eq!(find(apic as u64 + 0x20), Some(0xfee0_0020));
        assert_eq!(find(0), None);
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error_and_leaves_the_next_launch_free() {
        let spaces = spaces();
        let ready = |offset, physical: &dyn Fn(u64) -> Option<u64>| {
            spaces.make_ready(&Config::new(offset, APIC), MACHINE, physical)
        };
        assert_eq!(ready(4096, &Some), Err(LaunchError::DirectMap(4096)));
        assert!(matches!(
            ready(0, &|_| None),
            Err(LaunchError::NotMapped(_))
        ));
        assert_eq!(ready(0, &Some), Ok(()));
        // Done once for all: nothing is asked again.
        assert_eq!(ready(0, &|_| None), Ok(()));
    }
}
