//! Level-triggered interrupts: in service at the machine's APIC until the guest ends them.

use crate::apic::vectors::Vectors;

/// The level-triggered interrupts that the machine's APIC has in service.
///
/// An end of interrupt there ends the highest. The guest may end a lower one first, if that was
/// delivered before the higher came; the machine's end then waits until its turn. Else it would end
/// the higher one before its service, and the lower one never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LevelInterrupts {
    held: Vectors,
    ended: Vectors,
}

impl LevelInterrupts {
    pub(crate) fn take(&mut self, vector: u8) {
        self.held.insert(vector);
    }

    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.held.contains(vector)
    }

    /// The guest has ended it; returns how many ends the machine's APIC gets.
    pub(crate) fn end(&mut self, vector: u8) -> u32 {
        if self.held.contains(vector) {
            self.ended.insert(vector);
        }
        let mut ends = 0;
        while let Some(highest) = self.held.highest().filter(|one| self.ended.contains(*one)) {
            self.held.remove(highest);
            self.ended.remove(highest);
            ends += 1;
        }
        ends
    }

    /// Ends all; returns how many ends the machine's APIC gets.
    pub(crate) fn end_all(&mut self) -> u32 {
        let ends = (0..8).map(|number| self.held.word(number).count_ones());
        let ends = ends.sum();
        *self = Self::default();
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_ends_the_highest_first() {
        let mut levels = LevelInterrupts::default();
        levels.take(0x40);
        assert_eq!(levels.end(0x51), 0, "edge-triggered");
        levels.take(0x60);
        assert_eq!(levels.end(0x40), 0, "an end would be that of 0x60");
        assert!(levels.contains(0x40) && levels.contains(0x60));
        assert_eq!(levels.end(0x60), 2);
        assert_eq!(levels, LevelInterrupts::default());
    }

    #[test]
    fn in_order_each_end_is_passed_on() {
        let mut levels = LevelInterrupts::default();
        levels.take(0x40);
        levels.take(0x60);
        assert_eq!((levels.end(0x60), levels.end(0x40)), (1, 1));
        levels.take(0x21);
        levels.take(0xf1);
        levels.end(0x21);
        assert_eq!(levels.end_all(), 2);
        assert_eq!(levels, LevelInterrupts::default());
    }
}
