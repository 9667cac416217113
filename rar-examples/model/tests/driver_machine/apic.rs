//! Interrupt commands: made by the driver's crate, taken apart again by the bits of the manual.

use std::sync::atomic::Ordering;

use rar_percpu::{ApicId, CpuSet};
use rar_regs::{ClusterMembers, X2apicIcr, XapicIcr};

use super::Board;

/// How the machine addresses the targets of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// One xAPIC command per target.
    Xapic,
    /// One x2APIC command per target.
    Physical,
    /// One x2APIC command per cluster.
    Cluster,
}

impl Addressing {
    pub(crate) const ALL: [Self; 3] = [Self::Xapic, Self::Physical, Self::Cluster];
}

/// The APIC ids of the CPUs of a test machine: with gaps, in four clusters.
pub(crate) const APIC_IDS: [u32; 8] = [0x00, 0x02, 0x03, 0x11, 0x1f, 0x20, 0x21, 0x43];

const RAR: u32 = 0b011 << 8;
const LOGICAL: u32 = 1 << 11;

impl<const TLB: usize> Board<'_, TLB> {
    pub(crate) fn signal(&self, targets: &CpuSet<1>) {
        let ids = targets
            .iter()
            .map(|target| self.domain().cpu(target).unwrap().apic_id().unwrap());
        match self.addressing {
            Addressing::Xapic => ids.for_each(|id| {
                let icr = XapicIcr::rar(id).unwrap();
                assert_eq!(icr.high() & 0x00ff_ffff, 0, "only a destination");
                self.accept(icr.low(), |apic_id| apic_id == icr.high() >> 24);
            }),
            Addressing::Physical => ids.for_each(|id| {
                self.write_icr(X2apicIcr::rar(id).unwrap());
            }),
            Addressing::Cluster => {
                let last = ids.fold(None, |group: Option<ClusterMembers>, id| {
                    Some(self.join_or_send(group, id))
                });
                last.into_iter()
                    .for_each(|group| self.write_icr(X2apicIcr::rar_cluster(group)));
            }
        }
    }

    fn join_or_send(&self, group: Option<ClusterMembers>, id: ApicId) -> ClusterMembers {
        let mut grown = group;
        if grown.as_mut().is_some_and(|group| group.try_add(id)) {
            return grown.unwrap();
        }
        group
            .into_iter()
            .for_each(|full| self.write_icr(X2apicIcr::rar_cluster(full)));
        ClusterMembers::new(id).unwrap()
    }

    /// What an x2APIC does with a write to its command register.
    fn write_icr(&self, icr: X2apicIcr) {
        let low = u32::try_from(icr.bits() & 0xffff_ffff).unwrap();
        let destination = u32::try_from(icr.bits() >> 32).unwrap();
        self.accept(low, |apic_id| {
            if low & LOGICAL == 0 {
                apic_id == destination
            } else {
                apic_id >> 4 == destination >> 16 && destination >> (apic_id & 0xf) & 1 != 0
            }
        });
    }

    /// Latches a signal in the unit of every addressed CPU.
    fn accept(&self, low: u32, is_addressed: impl Fn(u32) -> bool) {
        assert_eq!(
            low & !LOGICAL,
            RAR,
            "mode 011b, vector 0, edge, level 0, no shorthand"
        );
        self.commands.fetch_add(1, Ordering::AcqRel);
        let mut reached = 0;
        for (cpu, processor) in self.processors.iter().enumerate() {
            if is_addressed(processor.apic_id) {
                reached += 1;
                let signalled = processor.unit.read().unwrap().signal();
                self.count(signalled);
                self.attend(cpu);
            }
        }
        assert!(reached > 0, "a command to nobody: {low:#x}");
    }
}
