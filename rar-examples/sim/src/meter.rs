//! How often cache lines move: a protocol of modified, shared and invalid lines, one cache per CPU.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

/// What an access does to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
}

/// What an address is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An entry of the payload table, or its counterpart where calls are queued.
    Payload,
    /// An action vector.
    Vector,
    /// The owner of a slot: a state, a bitmap, a lock.
    Slot,
    /// The identity of a CPU: its APIC id, its life, whether it is lazy.
    Identity,
    /// The flush generation of a CPU, or of an address space.
    Generation,
    /// Sets of CPUs: online CPUs, targets.
    Sets,
    /// A queue of calls, and the calls in it.
    Calls,
    /// Statistics.
    Statistics,
    /// Unnamed memory.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Payload,
        Self::Vector,
        Self::Slot,
        Self::Identity,
        Self::Generation,
        Self::Sets,
        Self::Calls,
        Self::Statistics,
        Self::Other,
    ];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Vector => "vector",
            Self::Slot => "slot state",
            Self::Identity => "identity",
            Self::Generation => "generation",
            Self::Sets => "sets",
            Self::Calls => "calls",
            Self::Statistics => "statistics",
            Self::Other => "other",
        }
    }
}

/// A count for each [`Kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByKind([u64; Kind::ALL.len()]);

impl ByKind {
    /// Returns the count of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// Returns the sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count += 1;
        }
    }
}

const LINE: usize = 64;
/// The words of a set of caches.
const WORDS: usize = 16;

/// The caches that have a copy of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holders([u64; WORDS]);

impl Holders {
    fn only(cpu: u32) -> Self {
        let mut holders = Self::default();
        holders.add(cpu);
        holders
    }

    fn has(&self, cpu: u32) -> bool {
        let word = self.0.get(cpu as usize / 64);
        word.is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }

    fn add(&mut self, cpu: u32) {
        if let Some(word) = self.0.get_mut(cpu as usize / 64) {
            *word |= 1 << (cpu % 64);
        }
    }
}

/// Counts the transfers between CPUs of the lines that driver and microcode share.
#[derive(Debug, Default)]
pub struct Meter {
    lines: HashMap<usize, Holders, BuildHasherDefault<LineHasher>>,
    /// The end and the kind of the object at each start address.
    names: BTreeMap<usize, (usize, Kind)>,
    in_pairs: bool,
    /// The CPU and the line of the last access: another read of it changes nothing.
    last: Option<(u32, usize)>,
    transfers: ByKind,
    accesses: u64,
}

impl Meter {
    /// Fetches the other line of a pair of 128 bytes with each line that a cache lacks, as an
    /// adjacent-line prefetcher does. A line that no CPU ever touched is not fetched.
    pub const fn fetch_pairs(&mut self) {
        self.in_pairs = true;
    }

    /// Names these addresses, which have no name yet.
    pub fn name(&mut self, addresses: Range<usize>, kind: Kind) {
        if !addresses.is_empty() {
            self.names.insert(addresses.start, (addresses.end, kind));
        }
    }

    /// Names an object, which has no name yet.
    pub fn name_object<T: ?Sized>(&mut self, object: &T, kind: Kind) {
        self.name(addresses_of(object), kind);
    }

    /// Returns the kind of an address.
    #[must_use]
    pub fn kind_of(&self, address: usize) -> Kind {
        let before = self.names.range(..=address).next_back();
        before
            .filter(|(_, (end, _))| address < *end)
            .map_or(Kind::Other, |(_, (_, kind))| *kind)
    }

    /// Notes an access of a CPU below 1,024.
    ///
    /// A read without a copy moves the line once, and so does a write without the only copy. The
    /// first access comes from memory and counts too.
    pub fn touch(&mut self, cpu: u32, address: usize, access: Access) {
        self.accesses += 1;
        let line = address / LINE;
        if access == Access::Read && self.last == Some((cpu, line)) {
            return;
        }
        self.last = Some((cpu, line));
        let holders = self.lines.entry(line).or_default();
        let had_copy = holders.has(cpu);
        match access {
            Access::Read if had_copy => return,
            Access::Read => holders.add(cpu),
            Access::Write if *holders == Holders::only(cpu) => return,
            Access::Write => *holders = Holders::only(cpu),
        }
        self.transfers.add(self.kind_of(address));
        if self.in_pairs && !had_copy {
            self.fetch(cpu, address ^ LINE);
        }
    }

    /// Fetches a line to read it, if there is one and the cache lacks it.
    fn fetch(&mut self, cpu: u32, address: usize) {
        let holders = self.lines.get_mut(&(address / LINE));
        if let Some(holders) = holders.filter(|holders| !holders.has(cpu)) {
            holders.add(cpu);
            self.transfers.add(self.kind_of(address));
        }
    }

    /// Returns how often a line moved.
    #[must_use]
    pub fn transfers(&self) -> u64 {
        self.transfers.total()
    }

    /// Returns how often a line of each kind moved.
    #[must_use]
    pub const fn by_kind(&self) -> ByKind {
        self.transfers
    }

    /// Returns how many accesses there were.
    #[must_use]
    pub const fn accesses(&self) -> u64 {
        self.accesses
    }

    /// Resets all counts. The caches keep their lines.
    pub const fn reset(&mut self) {
        self.transfers = ByKind([0; Kind::ALL.len()]);
        self.accesses = 0;
    }
}

/// Returns the addresses of an object.
#[must_use]
pub fn addresses_of<T: ?Sized>(object: &T) -> Range<usize> {
    let start = std::ptr::from_ref(object).addr();
    start..start + size_of_val(object)
}

/// Hashes line numbers. No attacker chooses them.
#[derive(Debug, Default)]
struct LineHasher(u64);

impl Hasher for LineHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::{Access::*, Kind, Meter};

    #[test]
    fn a_line_moves_when_another_cpu_wrote_last() {
        let mut meter = Meter::default();
        let mut moves = |cpu, address, access| {
            let before = meter.transfers();
            meter.touch(cpu, address, access);
            meter.transfers() - before
        };
        assert_eq!(moves(0, 0x1000, Read), 1, "from memory");
        assert_eq!(moves(0, 0x103f, Read), 0, "same line");
        assert_eq!(moves(0, 0x1000, Write), 0, "exclusive becomes modified");
        assert_eq!(moves(1023, 0x1008, Read), 1, "from the owner");
        assert_eq!(moves(0, 0x1000, Read), 0, "shared");
        assert_eq!(moves(0, 0x1000, Write), 1, "the other copy goes");
        assert_eq!(moves(1023, 0x1000, Write), 1);
        assert_eq!(moves(0, 0x1040, Write), 1, "next line");
    }

    #[test]
    fn a_transfer_counts_for_what_was_accessed() {
        let mut meter = Meter::default();
        meter.name(0x1000..0x1010, Kind::Generation);
        meter.name(0x1010..0x1040, Kind::Identity);
        for address in [0x1008, 0x1010, 0x103f, 0x1040, 0xfff] {
            meter.touch(0, address, Write);
            meter.touch(1, address, Write);
        }
        let counts = meter.by_kind();
        let of = |kind| counts.of(kind);
        assert_eq!((of(Kind::Generation), of(Kind::Identity)), (2, 4));
        assert_eq!((of(Kind::Other), counts.total()), (4, 10));
        meter.reset();
        assert_eq!(meter.by_kind().total(), 0);
    }

    #[test]
    fn the_other_line_of_a_pair_comes_along_and_is_lost_to_its_owner() {
        for (in_pairs, expected) in [(false, 0), (true, 1)] {
            let mut meter = Meter::default();
            if in_pairs {
                meter.fetch_pairs();
            }
            meter.touch(0, 0x1040, Write);
            meter.touch(1, 0x1000, Write);
            let before = meter.transfers();
            meter.touch(0, 0x1040, Write);
            assert_eq!(meter.transfers() - before, expected, "{in_pairs}");
            let before = meter.transfers();
            meter.touch(0, 0x1080, Write);
            assert_eq!(meter.transfers() - before, 1, "a pair ends at 128 bytes");
        }
    }
}
