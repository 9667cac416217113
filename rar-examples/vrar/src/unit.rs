//! The RAR unit of a CPU: how it is signalled, when it is served, and what it flushes.

pub(crate) mod counter_leaf;
pub(crate) mod counts;
pub(crate) mod effect;
pub(crate) mod offence;
pub(crate) mod record;
pub(crate) mod signal_fate;
pub(crate) mod signalled_payloads;

use core::cell::Cell;

use rar_model::{
    ACTION_VECTOR_BASE, Contexts, HeldBy, InterruptFlag, Invalidation, LinearWidth,
    PAYLOAD_TABLE_BASE, PENDING, PageSize, PhysicalMemory, Refused, Sender, Serviced, Tlb, Wake,
};
use rar_vocabulary::payload_hash;

use crate::cpu::Cpu;
use crate::guest::vcpu::Vcpu;
use crate::memory::direct_map::{DirectMap, UnitMemory};
use crate::memory::spaces::SPACES;
use crate::processor::native;
use crate::processor::vmcb::FLUSH_ALL;
use crate::trace::lines::Entry;
use crate::trace::tracer::About;
use crate::unit::signal_fate::{Dropped, SignalFate};

/// CR4.LA57: paging with five levels.
const CR4_LA57: u64 = 1 << 12;
/// CR4.PCIDE.
const CR4_PCIDE: u64 = 1 << 17;
/// The guest's address space identifier.
pub(crate) const ASID: u32 = 1;

impl Cpu {
    /// Returns the memory that the unit follows.
    pub(crate) fn memory(&self, map: DirectMap) -> UnitMemory {
        let page = |register| {
            let base = self.unit()?.read_msr(register).ok()?;
            map.page(base).filter(|_| !SPACES.is_hidden(base))
        };
        UnitMemory {
            vector: page(ACTION_VECTOR_BASE),
            table: page(PAYLOAD_TABLE_BASE),
        }
    }

    /// Signals the unit, for another CPU or this one.
    pub(crate) fn signal(&self, map: DirectMap, sender: Sender) -> SignalFate {
        let fate = match self.unit().filter(|_| !self.is_deaf()) {
            None => SignalFate::Dropped(Dropped::Deaf),
            Some(unit) => {
                self.signalled_payloads.with(|| self.note_payloads(map));
                SignalFate::of(unit.signal_from(sender))
            }
        };
        self.record().counts().add(fate.counter());
        fate
    }

    fn note_payloads(&self, map: DirectMap) {
        let Some(unit) = self.unit() else { return };
        let (Ok(vector), Ok(table)) = (
            unit.read_msr(ACTION_VECTOR_BASE),
            unit.read_msr(PAYLOAD_TABLE_BASE),
        ) else {
            return;
        };
        let memory = self.memory(map);
        for index in 0..unit.knobs().table.entries() {
            if memory.load_u8(vector + u64::from(index)) == PENDING {
                let entry = table + 64 * u64::from(index);
                let words = [0, 8, 16, 24].map(|offset| memory.load_u64(entry + offset));
                self.signalled_payloads.note(index, payload_hash(words));
            }
        }
    }
}

/// What the service of a signal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Nothing to do, or done.
    Settled,
    /// Done, and the guest's halt has ended.
    Woken,
    /// Waits until the guest enables interrupts.
    HeldByFlag,
    /// Waits for the next stay in the host.
    Later,
}

impl Vcpu<'_> {
    /// Serves a latched signal if the guest's state allows it.
    pub(crate) fn serve(&mut self) -> Service {
        if !self.unit.pending() {
            return Service::Settled;
        }
        let interrupts = if self.vmcb.interrupts_enabled() {
            InterruptFlag::Set
        } else {
            InterruptFlag::Clear
        };
        let memory = self.cpu.memory(self.own.shim.map());
        let invalidated = Cell::new(None);
        let mut tlb = GuestTlb {
            cr3: self.vmcb.cr3,
            pcids: self.vmcb.cr4 & CR4_PCIDE != 0,
            linear: linear_width(self.vmcb.cr4),
            flush_all: false,
            invalidated: &invalidated,
        };
        let signalled = &self.cpu.signalled_payloads;
        let (record, cr3) = (self.cpu.record(), self.vmcb.cr3);
        let (shim, about) = (self.own.shim, About::Cpu(self.cpu.apic_id()));
        let serviced = signalled.with(|| {
            let mut keep = |execution: rar_model::Execution| {
                let entry = Entry {
                    execution,
                    announced: signalled.get(execution.index),
                    hash: payload_hash(execution.words),
                    cr3,
                    interrupts,
                };
                record.keep(
                    &execution,
                    invalidated.take(),
                    cr3,
                    entry.announced,
                    entry.hash,
                );
                shim.trace_entry(about, &entry);
            };
            let serviced = self
                .unit
                .service_recorded(interrupts, &memory, &mut tlb, &mut keep);
            if matches!(serviced, Serviced::Scanned(_)) {
                signalled.clear();
            }
            serviced
        });
        if tlb.flush_all {
            // Before the guest's next access, hence before the entry is answered for it.
            self.vmcb.tlb_control = FLUSH_ALL;
        }
        match serviced {
            Serviced::Scanned(pass) if pass.wake == Wake::Woken => Service::Woken,
            Serviced::Held(HeldBy::InterruptFlag) => Service::HeldByFlag,
            Serviced::Held(HeldBy::Delay) => Service::Later,
            Serviced::Scanned(_) | Serviced::Disabled | Serviced::Idle | Serviced::Held(_) => {
                Service::Settled
            }
        }
    }
}

/// Returns the width of the guest's linear addresses.
const fn linear_width(cr4: u64) -> LinearWidth {
    if cr4 & CR4_LA57 == 0 {
        LinearWidth::Bits48
    } else {
        LinearWidth::Bits57
    }
}

/// The TLB entries of the guest.
#[derive(Debug)]
struct GuestTlb<'a> {
    cr3: u64,
    pcids: bool,
    linear: LinearWidth,
    flush_all: bool,
    /// What the entry that is being executed has invalidated.
    invalidated: &'a Cell<Option<Invalidation>>,
}

impl Tlb for GuestTlb<'_> {
    fn cr3(&self) -> u64 {
        self.cr3
    }

    fn linear_width(&self) -> Option<LinearWidth> {
        Some(self.linear)
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        match invalidation {
            Invalidation::Pages {
                contexts: Contexts::Pcid(pcid @ 1..),
                ..
            }
            | Invalidation::Everything {
                contexts: Contexts::Pcid(pcid @ 1..),
                ..
            } if !self.pcids => return Err(Refused::PcidsDisabled { pcid }),
            Invalidation::Ept(_) | Invalidation::Vpid(_) => return Err(Refused::NotInVmxRoot),
            // INVLPGA has one address space identifier, not PCIDs, and leaves larger strides to a
            // full flush.
            Invalidation::Pages { pages, .. } if !self.pcids && pages.size == PageSize::Size4K => {
                pages
                    .addresses()
                    .for_each(|address| native::invalidate_page(address, ASID));
            }
            Invalidation::Pages { .. } | Invalidation::Everything { .. } => self.flush_all = true,
        }
        self.invalidated.set(Some(invalidation));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_of_addresses_follows_the_guest() {
        let tlb = |cr4| {
            GuestTlb {
                cr3: 0,
                pcids: false,
                linear: linear_width(cr4),
                flush_all: false,
                invalidated: &Cell::new(None),
            }
            .linear_width()
        };
        assert_eq!(tlb(0x20), Some(LinearWidth::Bits48));
        assert_eq!(tlb(0x1020), Some(LinearWidth::Bits57));
    }
}
