//! The redirection entries of an I/O APIC that firmware left live, in words.

use core::fmt;

use crate::io_apic::LiveEntry;

/// Entries that are named.
const NAMED: usize = 4;

/// Entries with one fate: the first ones, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct LiveEntries {
    fate: &'static str,
    first: [Option<LiveEntry>; NAMED],
    count: usize,
}

impl LiveEntries {
    /// No entry yet of those that are masked.
    pub const MASKED: Self = Self::of("were live, and are masked");
    /// No entry yet of those that call firmware.
    pub const LEFT: Self = Self::of("call firmware, and are left as they are");

    const fn of(fate: &'static str) -> Self {
        Self {
            fate,
            first: [None; NAMED],
            count: 0,
        }
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: LiveEntry) {
        if let Some(place) = self.first.get_mut(self.count) {
            *place = Some(entry);
        }
        self.count += 1;
    }

    /// Returns the entries, among this number of inputs, as text; `None` if there are none.
    pub fn among(&self, inputs: u32) -> Option<Among<'_>> {
        let entries = self;
        (self.count > 0).then_some(Among { entries, inputs })
    }
}

/// Entries among the inputs of an I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct Among<'e> {
    entries: &'e LiveEntries,
    inputs: u32,
}

impl fmt::Display for Among<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LiveEntries { fate, first, count } = self.entries;
        write!(f, "{count} of {} entries {fate}: ", self.inputs)?;
        let mut before = "";
        for entry in first.iter().flatten() {
            write!(f, "{before}{entry}")?;
            before = ", ";
        }
        if *count > NAMED {
            f.write_str(", ...")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_call_firmware_are_not_called_masked() {
        let (mut masked, mut left) = (LiveEntries::MASKED, LiveEntries::LEFT);
        assert!(masked.among(24).is_none());
        for (input, low) in [(1, 0x80ff), (2, 0x200), (3, 0x30)] {
            let entry = LiveEntry { input, low };
            match entry.calls_firmware() {
                true => left.add(entry),
                false => masked.add(entry),
            }
        }
        let texts = [masked, left].map(|entries| entries.among(24).unwrap().to_string());
        assert_eq!(
            texts,
            [
                "2 of 24 entries were live, and are masked: 1 to vector 0xff (level), 3 to vector \
                 0x30 (edge)",
                "1 of 24 entries call firmware, and are left as they are: 2 as SMI",
            ]
        );
    }

    #[test]
    fn many_entries_are_counted() {
        let mut masked = LiveEntries::MASKED;
        (0..5).for_each(|input| masked.add(LiveEntry { input, low: 0x400 }));
        let text = masked.among(24).unwrap().to_string();
        assert!(text.starts_with("5 of 24 entries "), "{text}");
        assert!(text.ends_with("2 as NMI, 3 as NMI, ..."), "{text}");
    }
}
