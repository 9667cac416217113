//! What the loader has put beside the kernel: modules of multiboot2 and of PVH.

use crate::PhysicalMemory;

/// The longest text of a module that is looked at.
const LONGEST_TEXT: u64 = 2048;

/// A range of memory with a file in it, and a text about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// The first byte.
    pub start: u64,
    /// The first byte after the file.
    pub end: u64,
    /// Where the module's command line lies: its first byte, and the first after it, without the
    /// zero.
    pub text: (u64, u64),
}

impl Module {
    /// Returns the module's command line, up to the first byte that is not UTF-8.
    #[must_use]
    pub fn command_line<'m>(&self, memory: &'m impl PhysicalMemory) -> &'m str {
        let (start, end) = self.text;
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        let bytes = match length {
            0 => &[],
            length => memory.bytes(start, length).unwrap_or(&[]),
        };
        let valid = bytes.utf8_chunks().next();
        valid.map_or("", |chunk| chunk.valid())
    }

    /// Returns the memory that must not be used otherwise: the file, and its text.
    #[must_use]
    pub const fn ranges(&self) -> [(u64, u64); 2] {
        [(self.start, self.end), self.text]
    }
}

/// The modules in the order of the loader.
#[derive(Clone, Debug)]
pub struct Modules {
    modules: [Module; Self::CAPACITY],
    count: usize,
    dropped: usize,
}

impl Modules {
    /// The most modules that are kept.
    pub const CAPACITY: usize = 16;

    /// No modules.
    #[must_use]
    pub const fn empty() -> Self {
        const NOTHING: Module = Module {
            start: 0,
            end: 0,
            text: (0, 0),
        };
        Self {
            modules: [NOTHING; Self::CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Adds a module; one beyond the capacity is counted as dropped.
    pub fn push(&mut self, module: Module) {
        if let Some(place) = self.modules.get_mut(self.count) {
            *place = module;
            self.count += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// Returns the modules.
    #[must_use]
    pub fn all(&self) -> &[Module] {
        self.modules.get(..self.count).unwrap_or(&[])
    }

    /// Returns how many modules did not fit.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }
}

/// Returns where the zero-terminated string at `address` lies; empty where no string lies, cut
/// where it is too long.
pub(super) fn text_at(address: u64, memory: &impl PhysicalMemory) -> (u64, u64) {
    let is_text = |at: &u64| {
        let byte = memory.bytes(*at, 1).and_then(<[u8]>::first);
        address != 0 && byte.is_some_and(|byte| *byte != 0)
    };
    let places = (0..LONGEST_TEXT).map_while(|offset| address.checked_add(offset));
    let length = places.take_while(is_text).count() as u64;
    match length {
        0 => (0, 0),
        length => (address, address + length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_memory::TestMemory;

    #[test]
    fn a_text_ends_at_its_zero_or_where_memory_does() {
        let mut memory = TestMemory::new(0x1000, 0x1000);
        memory.put(0x1100, b"initrd quiet\0junk");
        memory.put(0x1ffc, b"edge");
        assert_eq!(text_at(0x1100, &memory), (0x1100, 0x110c));
        assert_eq!(text_at(0x1ffc, &memory), (0x1ffc, 0x2000));
        for nowhere in [0, 0x1000, 0x9000, u64::MAX] {
            assert_eq!(text_at(nowhere, &memory), (0, 0), "{nowhere:#x}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let mut memory = TestMemory::new(0x1000, 0x2000);
        memory.put(0x1000, &[b'a'; 0x1000]);
        assert_eq!(text_at(0x1000, &memory), (0x1000, 0x1000 + LONGEST_TEXT));
    }

    #[test]
    fn a_command_line_is_read_up_to_what_is_no_text() {
        let mut memory = TestMemory::new(0x1000, 0x1000);
        memory.put(0x1100, b"root=x\xff y");
        let module = |text| Module {
            start: 0,
            end: 0,
            text,
        };
        assert_eq!(module((0x1100, 0x1109)).command_line(&memory), "root=x");
        for bad in [(0, 0), (0x1109, 0x1100), (0x1100, u64::MAX), (0x100, 0x108)] {
            assert_eq!(module(bad).command_line(&memory), "", "{bad:x?}");
        }
    }

    #[test]
    fn modules_beyond_the_capacity_are_counted() {
        let mut modules = Modules::empty();
        for at in 0..20 {
            modules.push(Module {
                start: at,
                end: at + 1,
                text: (0, 0),
            });
        }
        assert_eq!((modules.all().len(), modules.dropped()), (16, 4));
        assert_eq!(modules.all()[15].start, 15);
    }
}
