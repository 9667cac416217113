//! Which CPUs can be named by one interrupt command: groups of 16 numbers that are one x2APIC
//! cluster each.

use core::num::NonZeroU16;

use rar_regs::{ApicId, ClusterMembers};

use crate::cpu_id::CpuId;
use crate::cpu_set::CpuSet;
use crate::domain::Domain;
use crate::sync::{Ordering, const_unless_loom, shared_array};
// Of `core` under loom too: it is written when a CPU is registered, and decides only how a message
// is addressed.
use core::sync::atomic::{AtomicU32, AtomicU64};

const GROUP: usize = 16;
const GROUPS_PER_WORD: usize = 64 / GROUP;

/// No CPU of the group was ever registered.
const UNKNOWN: u32 = 0;
/// The id of the first CPU of the group does not follow its number.
const MIXED: u32 = u32::MAX;

/// For each group of 16 CPU numbers the cluster that it is, if CPU `16 * g + n` has the APIC id `16
/// * cluster + n`.
#[derive(Debug)]
pub(crate) struct Clusters<const WORDS: usize> {
    /// The cluster plus one, [`UNKNOWN`] or [`MIXED`].
    groups: [[AtomicU32; GROUPS_PER_WORD]; WORDS],
    /// The words of a set in which the CPUs of a group are not those of one cluster.
    mixed: AtomicU64,
}

impl<const WORDS: usize> Clusters<WORDS> {
    const_unless_loom! {
        /// Returns groups without any CPU.
        pub(crate) fn new() -> Self {
            Self {
                groups: shared_array!(
                    shared_array!(AtomicU32::new(UNKNOWN); GROUPS_PER_WORD); WORDS
                ),
                mixed: AtomicU64::new(0),
            }
        }
    }

    /// Notes the APIC id of a CPU before any CPU signals it. What was once mixed stays so.
    pub(crate) fn note(&self, cpu: CpuId, id: ApicId) {
        let Some(group) = self.group(cpu.index() / GROUP) else {
            return;
        };
        let follows = cpu.index() % GROUP == id.get() as usize % GROUP;
        // All sixteen of the last cluster together would be the broadcast address.
        let cluster = u16::try_from(id.get() / 16).ok();
        let cluster = cluster.filter(|cluster| follows && *cluster != u16::MAX);
        let said = cluster.map_or(MIXED, |cluster| u32::from(cluster) + 1);
        // What is known of the group stays: who has begun to send to those that came before still
        // needs it.
        let first = group.compare_exchange(UNKNOWN, said, Ordering::AcqRel, Ordering::Acquire);
        if said == MIXED || first.is_err_and(|known| known != said) {
            // Before the CPU is online. Partner: the load in `clusters`, after the set was read.
            self.mixed
                .fetch_or(1 << (cpu.index() / 64), Ordering::AcqRel);
        }
    }

    #[inline]
    fn group(&self, index: usize) -> Option<&AtomicU32> {
        self.groups
            .get(index / GROUPS_PER_WORD)?
            .get(index % GROUPS_PER_WORD)
    }
}

impl<const WORDS: usize> Domain<WORDS> {
    /// Returns the targets as x2APIC clusters, if the APIC ids of their groups of 16 follow the CPU
    /// numbers; `None` if they do not, and the targets have to be addressed by their ids one by
    /// one.
    ///
    /// It reads no CPU's own memory. Only for CPUs that were online: the APIC ids are those of
    /// [`register`](Self::register), and a CPU that was never registered is in no cluster.
    #[inline]
    pub fn clusters<'s>(
        &'s self,
        targets: &'s CpuSet<WORDS>,
    ) -> Option<impl Iterator<Item = ClusterMembers> + 's> {
        let mixed = self.clusters_known().mixed.load(Ordering::Acquire);
        (targets.occupied() & mixed == 0).then(|| {
            self.groups(targets)
                .filter_map(|(group, members)| self.cluster(group, members))
        })
    }

    /// Returns the groups that have a target, with their members.
    #[inline]
    fn groups<'s>(
        &self,
        targets: &'s CpuSet<WORDS>,
    ) -> impl Iterator<Item = (usize, NonZeroU16)> + use<'s, WORDS> {
        targets.members_by_word().flat_map(|(index, mut word)| {
            let mut group = index * GROUPS_PER_WORD;
            core::iter::from_fn(move || {
                let mut members = None;
                while word != 0 && members.is_none() {
                    let [low, high, ..] = word.to_le_bytes();
                    members = NonZeroU16::new(u16::from_le_bytes([low, high]));
                    word >>= GROUP;
                    group += 1;
                }
                members.map(|members| (group - 1, members))
            })
        })
    }

    #[inline]
    fn cluster(&self, group: usize, members: NonZeroU16) -> Option<ClusterMembers> {
        let group = self.clusters_known().group(group)?;
        let cluster = group.load(Ordering::Acquire).checked_sub(1)?;
        ClusterMembers::from_parts(u16::try_from(cluster).ok()?, members)
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use super::*;
    use crate::per_cpu::PerCpu;
    use std::boxed::Box;
    use std::vec::Vec;

    fn domain(ids: &[(u32, u32)]) -> Domain<2> {
        let domain = Domain::new();
        for (cpu, id) in ids {
            let memory = Box::leak(Box::new(PerCpu::new()));
            domain
                .register(CpuId::new(*cpu), ApicId::new(*id), memory)
                .unwrap();
        }
        domain
    }

    fn clusters(domain: &Domain<2>, cpus: &[u32]) -> Option<Vec<(u16, u16)>> {
        let targets = CpuSet::of(cpus.iter().copied().map(CpuId::new)).unwrap();
        let clusters = domain.clusters(&targets)?;
        Some(clusters.map(|one| (one.cluster(), one.members())).collect())
    }

    #[test]
    fn a_group_whose_ids_follow_its_numbers_is_one_cluster() {
        let same: Vec<_> = (0..32).map(|cpu| (cpu, cpu)).collect();
        let domain = domain(&[same.as_slice(), &[(64, 0x1000), (79, 0x100f)]].concat());
        assert_eq!(
            clusters(&domain, &[0, 3, 15, 16, 64, 79]),
            Some([(0, 0x8009), (1, 1), (0x100, 0x8001)].into())
        );
        assert_eq!(clusters(&domain, &[]), Some(Vec::new()));
    }

    #[test]
    fn other_ids_are_not_named_by_a_cluster() {
        for ids in [[(0, 0), (1, 2)], [(0, 1), (1, 0)], [(0, 0), (1, 0x11)]] {
            let domain = domain(&ids);
            assert_eq!(clusters(&domain, &[0]), None, "{ids:?}");
        }
        let beyond = domain(&[(0, 0x10_0000)]);
        assert_eq!(clusters(&beyond, &[0]), None);
        assert_eq!(
            clusters(&beyond, &[64]),
            Some(Vec::new()),
            "no CPU is there"
        );
    }

    /// The sixteen of them together would be the broadcast address, which no command may name.
    #[test]
    fn the_last_cluster_is_never_addressed_as_one() {
        let ids: Vec<_> = (0..16).map(|cpu| (cpu, 0xf_fff0 + cpu)).collect();
        let domain = domain(&ids);
        let all: Vec<_> = (0..16).collect();
        assert_eq!(clusters(&domain, &all), None);
    }

    #[test]
    fn other_ids_end_the_groups_of_their_own_word_alone() {
        let domain = domain(&[(0, 0), (64, 0x41)]);
        assert_eq!(clusters(&domain, &[64]), None);
        assert_eq!(clusters(&domain, &[0]), Some([(0, 1)].into()));
    }

    #[test]
    fn a_number_that_comes_back_with_another_id_ends_the_group() {
        let domain = domain(&[(0, 0), (1, 1)]);
        assert!(clusters(&domain, &[0, 1]).is_some());
        domain.unregister(CpuId::new(1)).unwrap();
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(1), ApicId::new(9), memory)
            .unwrap();
        assert_eq!(clusters(&domain, &[0]), None);
    }

    /// A CPU comes while a message is on its way to those that came before it.
    #[test]
    fn a_cpu_that_ends_a_group_takes_no_message_from_the_others() {
        let domain = domain(&[(0, 0), (1, 1)]);
        let targets = CpuSet::of([0, 1].map(CpuId::new)).unwrap();
        let begun = domain.clusters(&targets).unwrap();
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(2), ApicId::new(9), memory)
            .unwrap();
        let sent: Vec<_> = begun.map(|one| (one.cluster(), one.members())).collect();
        assert_eq!(sent, [(0, 0b11)]);
        assert_eq!(clusters(&domain, &[0, 1]), None);
    }
}
