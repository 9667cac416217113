//! One random change of what a loader hands over.

use fastrand::Rng;

use crate::boot_info::BootTag;
use crate::firmware::Root;
use crate::madt::{Madt, MadtEntry};
use crate::mutation::{Mutation, Seal};
use crate::table::Sum;

/// A change. Numbers of tables, entries and tags are taken modulo how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bytes of a table; the lists are tables, too.
    Table(usize, Mutation, Seal),
    /// The checksum of a table.
    TableSum(usize, Sum),
    /// The length that a table says.
    TableLength(usize, u32),
    /// The list of 64-bit addresses.
    Xsdt(Root),
    /// The list of 32-bit addresses.
    Rsdt(Root),
    /// The revision of the root pointer.
    Revision(u8),
    /// The checksum over 20 bytes of the root pointer.
    RootSum(Sum),
    /// The checksum over 36 bytes of the root pointer.
    RootExtendedSum(Sum),
    /// An entry of the MADT.
    Entry(usize, EntryChange),
    /// CPUs with these APIC ids that do not exist: the first, and how many.
    Phantoms(u32, u32),
    /// The flags of the FADT.
    FadtFlags(u32),
    /// The length of the FADT.
    FadtLength(usize),
    /// The port of the power management timer.
    PmTimer(u32),
    /// The space and the address of the registers of the high precision event timer.
    Hpet(u8, u64),
    /// A tag of the boot information is missing.
    TagGone(usize),
    /// A tag stands there twice.
    TagTwice(usize),
    /// The size that a tag says.
    TagSize(usize, u32),
    /// The type of a tag.
    TagKind(usize, u32),
    /// Bytes of a tag.
    TagBody(usize, Mutation),
    /// A tag changes places with the first behind the command line.
    TagFirst(usize),
    /// The size that the boot information says.
    Total(u32),
    /// Bytes of the boot information, behind the command line.
    Information(Mutation),
}

/// A change of one entry of the MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryChange {
    /// Its type.
    Kind(u8),
    /// Its length.
    Length(u8),
    /// Byte 3: the id of a local APIC.
    Id(u8),
    /// Its flags, where it is a local APIC.
    Flags(u8),
    /// It is missing.
    Gone,
    /// It stands there twice.
    Twice,
}

/// Numbers of places and of tables, entries and tags are drawn below this: more than there are.
const PLACES: usize = 1 << 12;

/// A number that firmware gets wrong: at a border, or any.
fn number(rng: &mut Rng) -> u32 {
    match rng.u8(0..4) {
        0 => rng.u32(0..64),
        1 => u32::MAX - rng.u32(0..16),
        2 => 1 << rng.u32(0..32),
        _ => rng.u32(..),
    }
}

fn byte(rng: &mut Rng) -> u8 {
    match rng.u8(0..3) {
        0 => rng.u8(0..20),
        1 => u8::MAX,
        _ => rng.u8(..),
    }
}

fn mutation(rng: &mut Rng) -> Mutation {
    match rng.u8(0..5) {
        0 => Mutation::Byte(rng.usize(0..PLACES), byte(rng)),
        1 => Mutation::Bit(rng.usize(0..PLACES), rng.u8(0..8)),
        2 => Mutation::Word(rng.usize(0..PLACES), if rng.bool() { 0 } else { u8::MAX }),
        3 => Mutation::Swap(rng.usize(0..PLACES), rng.usize(0..PLACES)),
        _ => Mutation::Cut(rng.usize(0..PLACES)),
    }
}

fn seal(rng: &mut Rng) -> Seal {
    match rng.u8(0..3) {
        0 => Seal::Leave,
        _ => Seal::Again,
    }
}

fn sum(rng: &mut Rng) -> Sum {
    Sum::Off(rng.u8(1..))
}

fn root(rng: &mut Rng) -> Root {
    match rng.u8(0..4) {
        0 => Root::Absent,
        1 => Root::Listing(sum(rng)),
        2 => Root::Empty,
        _ => Root::Nowhere(u64::from(number(rng))),
    }
}

impl Change {
    /// Draws any change.
    #[must_use]
    pub fn any(rng: &mut Rng) -> Self {
        let which = rng.usize(0..PLACES);
        match rng.u8(0..24) {
            0..5 => Self::Table(which, mutation(rng), seal(rng)),
            5 => Self::TableSum(which, sum(rng)),
            6 => Self::TableLength(which, number(rng)),
            7 => Self::Xsdt(root(rng)),
            8 => Self::Rsdt(root(rng)),
            9 => Self::Revision(byte(rng)),
            10 if rng.bool() => Self::RootSum(sum(rng)),
            10 => Self::RootExtendedSum(sum(rng)),
            11..14 => Self::Entry(which, EntryChange::any(rng)),
            14 => Self::Phantoms(rng.u32(4..300), rng.u32(1..=64)),
            15 => Self::of_a_timer(rng),
            16 => Self::TagGone(which),
            17 => Self::TagTwice(which),
            18 => Self::TagSize(which, number(rng)),
            19 => Self::TagKind(which, rng.u32(0..24)),
            20 | 21 => Self::TagBody(which, mutation(rng)),
            22 if rng.bool() => Self::TagFirst(which),
            22 => Self::Total(number(rng)),
            _ => Self::Information(mutation(rng)),
        }
    }
}

impl Change {
    /// Draws a change of what says where timers are, and how the machine ends.
    fn of_a_timer(rng: &mut Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::FadtFlags(rng.u32(..)),
            1 => Self::FadtLength(rng.usize(36..300)),
            2 => Self::PmTimer(rng.u32(0..0x1_2000)),
            _ => Self::Hpet(rng.u8(0..2), u64::from(number(rng)) & !7),
        }
    }
}

impl EntryChange {
    fn any(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => Self::Kind(rng.u8(0..18)),
            1 => Self::Length(byte(rng)),
            2 => Self::Id(byte(rng)),
            3 => Self::Flags(rng.u8(0..4)),
            4 => Self::Gone,
            _ => Self::Twice,
        }
    }

    /// Changes entry `number` of `madt`.
    pub(crate) fn apply(self, madt: &mut Madt, number: usize) {
        let Some(at) = number.checked_rem(madt.entries.len()) else {
            return;
        };
        let mut put = |offset: usize, value: u8| {
            if let Some(entry) = madt.entries.get_mut(at) {
                let mut bytes = entry.bytes();
                if let Some(place) = bytes.get_mut(offset) {
                    *place = value;
                }
                *entry = MadtEntry::Raw(bytes);
            }
        };
        match self {
            Self::Kind(kind) => put(0, kind),
            Self::Length(length) => put(1, length),
            Self::Id(id) => put(3, id),
            Self::Flags(flags) => put(4, flags),
            Self::Gone => drop(madt.entries.remove(at)),
            Self::Twice => {
                let entry = madt.entries.get(at).cloned();
                madt.entries.extend(entry);
            }
        }
    }
}

/// Changes the tags behind the first one, which is the command line.
pub(crate) fn change_tags(tags: &mut Vec<BootTag>, change: &Change) {
    let place = |number: usize| match number.checked_rem(tags.len().saturating_sub(1)) {
        Some(number) => 1 + number,
        None => usize::MAX,
    };
    match *change {
        Change::TagGone(number) => {
            let at = place(number);
            if at < tags.len() {
                tags.remove(at);
            }
        }
        Change::TagTwice(number) => {
            let tag = tags.get(place(number)).cloned();
            tags.extend(tag);
        }
        Change::TagFirst(number) => {
            let at = place(number);
            if at < tags.len() {
                tags.swap(1, at);
            }
        }
        Change::TagSize(number, size) => {
            let at = place(number);
            tags.iter_mut()
                .skip(at)
                .take(1)
                .for_each(|tag| tag.size = Some(size));
        }
        Change::TagKind(number, kind) => {
            let at = place(number);
            tags.iter_mut()
                .skip(at)
                .take(1)
                .for_each(|tag| tag.kind = kind);
        }
        Change::TagBody(number, mutation) => {
            let at = place(number);
            let changed = tags.iter_mut().skip(at).take(1);
            changed.for_each(|tag| mutation.apply(&mut tag.body));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_changes_at_its_place() {
        let right = Madt::of_cpus(0..2);
        let changed = |change: EntryChange| {
            let mut madt = right.clone();
            change.apply(&mut madt, 5);
            (
                madt.entries.len(),
                madt.entries.get(1).map(MadtEntry::bytes),
            )
        };
        let bytes = |bytes: [u8; 8]| Some(bytes.to_vec());
        assert_eq!(
            changed(EntryChange::Kind(7)),
            (4, bytes([7, 8, 1, 1, 1, 0, 0, 0]))
        );
        assert_eq!(
            changed(EntryChange::Length(0)),
            (4, bytes([0, 0, 1, 1, 1, 0, 0, 0]))
        );
        assert_eq!(
            changed(EntryChange::Id(9)),
            (4, bytes([0, 8, 1, 9, 1, 0, 0, 0]))
        );
        assert_eq!(
            changed(EntryChange::Flags(2)),
            (4, bytes([0, 8, 1, 1, 2, 0, 0, 0]))
        );
        assert_eq!(changed(EntryChange::Gone).0, 3);
        assert_eq!(changed(EntryChange::Twice).0, 5);
        EntryChange::Gone.apply(&mut Madt::new(), 3);
    }

    #[test]
    fn the_first_tag_stays() {
        let right: Vec<_> = (1..4).map(|kind| BootTag::new(kind, [7; 8])).collect();
        let mut rng = Rng::with_seed(1);
        for _ in 0..2_000 {
            let (mut tags, change) = (right.clone(), Change::any(&mut rng));
            change_tags(&mut tags, &change);
            assert_eq!(tags.first(), right.first(), "{change:?}");
        }
        let mut one = right;
        one.truncate(1);
        for change in [Change::TagGone(3), Change::TagTwice(3), Change::TagFirst(3)] {
            change_tags(&mut one, &change);
            assert_eq!(one.len(), 1, "{change:?}");
        }
    }
}
