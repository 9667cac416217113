//! The redirection entries of an I/O APIC, masked (Intel 290566, "I/O APIC Registers").

use core::fmt;

/// The register that selects, and the window through which the selected one is reached.
pub trait IoApicRegisters {
    /// Returns the number in the register that selects.
    fn selected(&self) -> u32;
    /// Selects a register by its number.
    fn select(&self, number: u32);
    /// Reads the selected register.
    fn read(&self) -> u32;
    /// Writes the selected register.
    fn write(&self, value: u32);
}

const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;
const MOST_INPUTS: u32 = 240;
/// Versions of a part that is no I/O APIC, or that has another layout, are outside.
const VERSIONS: core::ops::RangeInclusive<u32> = 0x10..=0x2f;
/// In the version register: bits that are always 0.
const RESERVED: u32 = 0xff00_7f00;

const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
/// In an entry: how it interrupts.
const DELIVERY: u32 = 0b111;
const TO_FIRMWARE: u32 = 0b010;

/// Why something is not taken for an I/O APIC; its registers are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIoApic {
    /// The register that selects holds no number of a register.
    Selector(u32),
    /// The register that selects does not keep its number.
    Deaf,
    /// No I/O APIC has that version.
    Version(u32),
}

impl fmt::Display for NotIoApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(found) => write!(f, "its selector is {found:#x} (expected below 0x100)"),
            Self::Deaf => f.write_str("its selector does not keep a number"),
            Self::Version(found) => {
                write!(
                    f,
                    "its version register is {found:#x} (expected 0x10 to 0x2f, and inputs)"
                )
            }
        }
    }
}

/// A redirection entry that was not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// The number of its input.
    pub input: u8,
    /// Its lower half.
    pub low: u32,
}

impl LiveEntry {
    /// Returns whether it calls firmware, and no CPU takes a vector.
    #[must_use]
    pub const fn calls_firmware(&self) -> bool {
        self.low >> 8 & DELIVERY == TO_FIRMWARE
    }
}

impl fmt::Display for LiveEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, low } = self;
        let trigger = if low & LEVEL == 0 { "edge" } else { "level" };
        match low >> 8 & DELIVERY {
            0 | 1 => write!(f, "{input} to vector {:#x} ({trigger})", low & 0xff),
            0b010 => write!(f, "{input} as SMI"),
            0b100 => write!(f, "{input} as NMI"),
            0b101 => write!(f, "{input} as INIT"),
            0b111 => write!(f, "{input} as legacy controller"),
            mode => write!(f, "{input} in mode {mode}"),
        }
    }
}

/// Masks every redirection entry, and returns how many there are. `live` gets each that was not
/// masked. Entries that call firmware stay as they are.
///
/// Nothing is written but the selector until the version reads as that of an I/O APIC, and that
/// only where it holds the number of a register.
///
/// # Errors
///
/// [`NotIoApic`] where this is another device.
pub fn mask_entries(
    registers: &impl IoApicRegisters,
    mut live: impl FnMut(LiveEntry),
) -> Result<u32, NotIoApic> {
    let before = registers.selected();
    if before > 0xff {
        return Err(NotIoApic::Selector(before));
    }
    registers.select(VERSION);
    let (kept, version) = (registers.selected(), registers.read());
    let inputs = (version >> 16 & 0xff) + 1;
    let is_version =
        VERSIONS.contains(&(version & 0xff)) && version & RESERVED == 0 && inputs <= MOST_INPUTS;
    if kept != VERSION || !is_version {
        registers.select(before);
        return Err(if kept == VERSION {
            NotIoApic::Version(version)
        } else {
            NotIoApic::Deaf
        });
    }
    for (input, number) in (0..=u8::MAX).zip((FIRST_ENTRY..).step_by(2)) {
        if u32::from(input) == inputs {
            break;
        }
        registers.select(number);
        let low = registers.read();
        if low & MASKED == 0 {
            let entry = LiveEntry { input, low };
            if !entry.calls_firmware() {
                registers.write(low | MASKED);
            }
            live(entry);
        }
    }
    registers.select(before);
    Ok(inputs)
}

/// Lets an entry interrupt again as it did before [`mask_entries`].
pub fn restore_entry(registers: &impl IoApicRegisters, entry: &LiveEntry) {
    registers.select(FIRST_ENTRY + 2 * u32::from(entry.input));
    registers.write(entry.low);
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};

    use super::*;

    struct Fake {
        selector: Cell<u32>,
        registers: RefCell<Vec<u32>>,
        writes: Cell<usize>,
    }

    impl Fake {
        fn new(version: u32, low: &[u32]) -> Self {
            let mut registers = vec![0; 0x10];
            registers[1] = version;
            registers.extend(low.iter().flat_map(|low| [*low, 0]));
            Self {
                selector: Cell::new(0x14),
                registers: RefCell::new(registers),
                writes: Cell::new(0),
            }
        }

        fn low(&self) -> Vec<u32> {
            let registers = self.registers.borrow();
            registers[0x10..].iter().step_by(2).copied().collect()
        }
    }

    impl IoApicRegisters for Fake {
        fn selected(&self) -> u32 {
            self.selector.get()
        }
        fn select(&self, number: u32) {
            self.selector.set(number);
        }
        fn read(&self) -> u32 {
            self.registers.borrow()[self.selector.get() as usize]
        }
        fn write(&self, value: u32) {
            self.writes.set(self.writes.get() + 1);
            self.registers.borrow_mut()[self.selector.get() as usize] = value;
        }
    }

    #[test]
    fn live_entries_are_masked_and_named() {
        let fake = Fake::new(0x0003_0020, &[0x1_00ff, 0x80ff, 0x200, 0x700]);
        let mut live = Vec::new();
        assert_eq!(mask_entries(&fake, |entry| live.push(entry)), Ok(4));
        let texts: Vec<_> = live.iter().map(LiveEntry::to_string).collect();
        assert_eq!(
            texts,
            [
                "1 to vector 0xff (level)",
                "2 as SMI",
                "3 as legacy controller"
            ]
        );
        assert_eq!(fake.low(), [0x1_00ff, 0x1_80ff, 0x200, 0x1_0700]);
        assert_eq!(fake.selected(), 0x14);
        restore_entry(&fake, &live[0]);
        assert_eq!(fake.low()[1], 0x80ff);
    }

    #[test]
    fn what_is_no_io_apic_stays_as_it_was() {
        for version in [
            0,
            u32::MAX,
            0x0017_0001,
            0x00ff_0020,
            0x0017_0120,
            0x0117_0020,
        ] {
            let fake = Fake::new(version, &[0x80ff; 24]);
            let found = mask_entries(&fake, |_| panic!("an entry is masked"));
            assert_eq!(found, Err(NotIoApic::Version(version)));
            assert_eq!((fake.selected(), fake.writes.get()), (0x14, 0));
        }
        let fake = Fake::new(0x0017_0020, &[0x80ff; 24]);
        fake.selector.set(u32::MAX);
        let found = mask_entries(&fake, |_| {});
        assert_eq!(found, Err(NotIoApic::Selector(u32::MAX)));
        assert_eq!(fake.selected(), u32::MAX);
    }

    /// Memory that cannot be written.
    struct Rom;

    impl IoApicRegisters for Rom {
        fn selected(&self) -> u32 {
            0
        }
        fn select(&self, _: u32) {}
        fn read(&self) -> u32 {
            0x0017_0020
        }
        fn write(&self, _: u32) {
            panic!("it is written");
        }
    }

    #[test]
    fn memory_that_keeps_nothing_is_refused() {
        assert_eq!(mask_entries(&Rom, |_| {}), Err(NotIoApic::Deaf));
    }
}
