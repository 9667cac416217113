//! Local APICs: they decode the driver's interrupt commands by the bit positions of the manual.

use std::sync::atomic::Ordering;

use rar_model::{Sender, Signalled};
use rar_percpu::{ApicId, CpuSet};
use rar_regs::{ClusterMembers, X2apicIcr, XapicIcr};

use super::{Addressing, Machine, OddCommands};
use crate::schedule::step;

const RAR: u32 = 0b011 << 8;
const LOGICAL: u32 = 1 << 11;
impl<const TLB: usize> Machine<'_, TLB> {
    /// Sends interrupt commands with delivery mode 011b.
    pub(crate) fn send_rar<const WORDS: usize>(
        &self,
        sender: u32,
        targets: &CpuSet<WORDS>,
        addressing: Addressing,
    ) {
        let ids = targets
            .iter()
            .filter_map(|target| self.domain().cpu(target)?.apic_id());
        match addressing {
            Addressing::Xapic => ids.for_each(|id| match XapicIcr::rar(id) {
                Ok(icr) => {
                    assert_eq!(icr.high() & 0x00ff_ffff, 0, "only a destination");
                    self.accept(sender, icr.low(), [Some(icr.high() >> 24)]);
                }
                Err(error) => unreachable!("{error}"),
            }),
            Addressing::Physical => ids.for_each(|id| match X2apicIcr::rar(id) {
                Ok(icr) => self.write_icr(sender, icr),
                Err(error) => unreachable!("{error}"),
            }),
            Addressing::Cluster => {
                let last = ids.fold(None, |group, id| Some(self.join_or_send(sender, group, id)));
                last.into_iter()
                    .for_each(|group| self.write_icr(sender, X2apicIcr::rar_cluster(group)));
            }
        }
    }

    fn join_or_send(
        &self,
        sender: u32,
        group: Option<ClusterMembers>,
        id: ApicId,
    ) -> ClusterMembers {
        if let Some(mut grown) = group {
            if grown.try_add(id) {
                return grown;
            }
            self.write_icr(sender, X2apicIcr::rar_cluster(grown));
        }
        match ClusterMembers::new(id) {
            Ok(members) => members,
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Sends a command of mode 011b that no driver sends.
    pub(crate) fn send_odd(&self, sender: u32, targets: impl Iterator<Item = u32>) {
        step();
        if self.config.odd_commands == OddCommands::Taken {
            targets.for_each(|target| self.signal_unit(sender, target));
        }
    }

    /// Does what an x2APIC does at a write to its command register.
    fn write_icr(&self, sender: u32, icr: X2apicIcr) {
        let low = (icr.bits() & 0xffff_ffff) as u32;
        let destination = (icr.bits() >> 32) as u32;
        if low & LOGICAL == 0 {
            self.accept(sender, low, [Some(destination)]);
        } else {
            let members = (0..16)
                .map(|bit| (destination >> bit & 1 != 0).then_some(destination >> 16 << 4 | bit));
            self.accept(sender, low, members);
        }
    }

    /// Latches a signal in the unit of every addressed CPU.
    fn accept(&self, sender: u32, low: u32, ids: impl IntoIterator<Item = Option<u32>>) {
        assert_eq!(
            low & !LOGICAL,
            RAR,
            "mode 011b, vector 0, edge, level 0, no shorthand"
        );
        step();
        self.commands.fetch_add(1, Ordering::Relaxed);
        let mut addressed = ids.into_iter().flatten().peekable();
        assert!(addressed.peek().is_some(), "a command to no CPU: {low:#x}");
        for id in addressed {
            let Some(target) = self.by_apic_id.get(&id) else {
                unreachable!("a command to APIC id {id}, which no CPU has");
            };
            self.signal_unit(sender, *target);
        }
    }

    fn signal_unit(&self, sender: u32, target: u32) {
        let sender = if sender == target {
            Sender::Itself
        } else {
            Sender::Another
        };
        let signalled = self.cpu(target).with_unit(|unit| unit.signal_from(sender));
        match signalled {
            Signalled::Latched => {}
            Signalled::Merged => {
                self.merged.fetch_add(1, Ordering::Relaxed);
            }
            Signalled::Dropped(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.reaches(target);
    }
}
