//! Single changes that make a right firmware wrong.

use crate::firmware::FirmwareMemory;
use crate::table::Sum;

/// What becomes of the checksum of a table that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It stays, and is mostly wrong.
    Leave,
    /// It is made right, so that a reader looks at the change itself.
    Again,
}

/// A change. Places are taken modulo the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A byte gets a value.
    Byte(usize, u8),
    /// A bit changes.
    Bit(usize, u8),
    /// A row of four bytes becomes zero or ones: a pointer or length that cannot be.
    Word(usize, u8),
    /// Two rows of eight bytes change places: entries out of order.
    Swap(usize, usize),
    /// Everything from here on is gone.
    Cut(usize),
}

impl Mutation {
    /// Changes bytes.
    pub fn apply(self, bytes: &mut Vec<u8>) {
        let Some(last) = bytes.len().checked_sub(1) else {
            return;
        };
        let place = |at: usize| at % (last + 1);
        match self {
            Self::Byte(at, value) => set(bytes, place(at), |_| value),
            Self::Bit(at, bit) => set(bytes, place(at), |byte| byte ^ 1 << (bit % 8)),
            Self::Word(at, value) => {
                (0..4).for_each(|more| set(bytes, place(at) + more, |_| value));
            }
            Self::Swap(one, other) => {
                for more in 0..8 {
                    bytes.swap(place(one + more), place(other + more));
                }
            }
            Self::Cut(at) => bytes.truncate(place(at)),
        }
    }
}

fn set(bytes: &mut [u8], at: usize, change: impl Fn(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

impl FirmwareMemory {
    /// Changes one table, which keeps its place; `number` is taken modulo the number of tables. The
    /// lists are tables, too.
    pub fn mutate(&mut self, number: usize, mutation: Mutation, seal: Seal) {
        let Some((at, length)) = number
            .checked_rem(self.tables.len())
            .and_then(|number| self.tables.get(number).copied())
        else {
            return;
        };
        let Some(place) = self.bytes.get_mut(at..at + length) else {
            return;
        };
        let mut table = place.to_vec();
        mutation.apply(&mut table);
        table.resize(length, 0);
        if seal == Seal::Again {
            Sum::Right.seal(&mut table, 9);
        }
        place.copy_from_slice(&table);
    }

    /// Changes any byte, or cuts the memory off.
    pub fn mutate_anywhere(&mut self, mutation: Mutation) {
        mutation.apply(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Firmware, Madt};

    #[test]
    fn each_change_changes_its_place() {
        let changed = |mutation: Mutation| {
            let mut bytes: Vec<u8> = (0..20).collect();
            mutation.apply(&mut bytes);
            bytes
        };
        assert_eq!(changed(Mutation::Byte(23, 0xaa))[3], 0xaa);
        assert_eq!(changed(Mutation::Bit(3, 9))[3], 1);
        assert_eq!(changed(Mutation::Word(18, 0xff))[17..], [17, 0xff, 0xff]);
        assert_eq!(changed(Mutation::Swap(0, 8))[..2], [8, 9]);
        assert_eq!(changed(Mutation::Cut(7)).len(), 7);
        Mutation::Cut(7).apply(&mut Vec::new());
    }

    #[test]
    fn a_sealed_change_keeps_the_sum_right() {
        let right = Firmware::new([Madt::of_cpus(0..4).table()]).lay_out();
        for (seal, expected) in [(Seal::Again, 0), (Seal::Leave, 9)] {
            let mut memory = right.clone();
            let (at, length) = memory.tables[0];
            let old = memory.bytes[at + 40];
            memory.mutate(3, Mutation::Byte(40, old.wrapping_add(9)), seal);
            let table = &memory.bytes[at..at + length];
            let sum = table
                .iter()
                .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
            assert_eq!(sum, expected);
        }
    }
}
