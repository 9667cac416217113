//! The counters as the guest reads them by CPUID.

use rar_vocabulary::{
    COUNTER_LEAF, COUNTER_VERSION, ENTRY_LEAF, EntryKind, EntryVerdict, UnitCounter, entry_subleaf,
};

use crate::bits::low;
use crate::guest::cpuid::Leaf;
use crate::guest::vcpu::Vcpu;
use crate::unit::counts::Counts;

impl Vcpu<'_> {
    /// Returns what the guest reads in one of the counters' leaves; `None` for any other leaf.
    pub(crate) fn counter_leaf(&self, leaf: u32, subleaf: u32) -> Option<Leaf> {
        if ![COUNTER_LEAF, ENTRY_LEAF].contains(&leaf) {
            return None;
        }
        let all = || self.own.shim.cpus().map(|(_, cpu)| cpu.record().counts());
        if subleaf == 0 {
            let cpus = u32::try_from(all().count()).unwrap_or(u32::MAX);
            return Some(description(leaf, cpus, self.own.apic.id()));
        }
        let own = count(self.cpu.record().counts(), leaf, subleaf);
        let sum = all().map(|counts| count(counts, leaf, subleaf)).sum();
        Some(pair(own, sum))
    }
}

/// Sub-leaf 0.
fn description(leaf: u32, cpus: u32, apic_id: u32) -> Leaf {
    let length = |length| u32::try_from(length).unwrap_or(0);
    if leaf == COUNTER_LEAF {
        Leaf {
            eax: COUNTER_VERSION,
            ebx: length(UnitCounter::ALL.len()),
            ecx: cpus,
            edx: apic_id,
        }
    } else {
        Leaf {
            eax: COUNTER_VERSION,
            ebx: length(EntryKind::ALL.len()),
            ecx: length(EntryVerdict::ALL.len()),
            edx: 0,
        }
    }
}

/// Returns one count of one CPU; 0 for a sub-leaf without a meaning.
fn count(counts: &Counts, leaf: u32, subleaf: u32) -> u64 {
    if leaf == COUNTER_LEAF {
        let mut all = UnitCounter::ALL.iter();
        let counter = all.find(|counter| u32::from(counter.number()) == subleaf);
        return counter.map_or(0, |counter| counts.get(*counter));
    }
    let mut all = EntryKind::ALL.iter().flat_map(|kind| {
        EntryVerdict::ALL
            .iter()
            .map(move |verdict| (*kind, *verdict))
    });
    let entry = all.find(|(kind, verdict)| entry_subleaf(*kind, *verdict) == subleaf);
    entry.map_or(0, |(kind, verdict)| counts.entries(kind, verdict))
}

/// The count of this CPU in EBX:EAX, that of all CPUs in EDX:ECX.
fn pair(own: u64, sum: u64) -> Leaf {
    Leaf {
        eax: low(own),
        ebx: low(own >> 32),
        ecx: low(sum),
        edx: low(sum >> 32),
    }
}

#[cfg(test)]
mod tests {
    use rar_model::{Illegal, Outcome};

    use super::*;

    #[test]
    fn a_subleaf_reads_the_counter_of_its_number() {
        let counts = Counts::new();
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Illegal(Illegal::ZeroPages));
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Performed);
        let read = |subleaf| count(&counts, COUNTER_LEAF, subleaf);
        assert_eq!([read(5), read(6), read(8), read(15)], [2, 1, 1, 1]);
        assert_eq!((0..300).map(read).sum::<u64>(), 5);
        let read = |subleaf| count(&counts, ENTRY_LEAF, subleaf);
        assert_eq!([read(0x91), read(0x93)], [1, 1]);
        assert_eq!((0..0x1000).map(read).sum::<u64>(), 2);
    }

    #[test]
    fn the_halves_stand_where_the_page_says() {
        let leaf = pair(0x1_0000_0002, 0x3_0000_0004);
        assert_eq!([leaf.eax, leaf.ebx, leaf.ecx, leaf.edx], [2, 1, 4, 3]);
        let leaf = description(COUNTER_LEAF, 4, 7);
        assert_eq!([leaf.eax, leaf.ebx, leaf.ecx, leaf.edx], [1, 26, 4, 7]);
        let leaf = description(ENTRY_LEAF, 4, 7);
        assert_eq!([leaf.eax, leaf.ebx, leaf.ecx, leaf.edx], [1, 11, 4, 0]);
    }
}
