//! The two sides: the same entries, bytes and translations on a CPU with a unit and on one without.

use std::sync::atomic::{AtomicU8, Ordering};

use rar_model::{
    Execution, InterruptFlag, Invalidation, Knobs, Pcids, PhysicalMemory, RarUnit, Refused,
    Serviced, SharedBytes, Tlb, TlbModel, Translation,
};
use rar_payload::Payload;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Domain, SlotIndex};
use rar_sim::machine::{Answering, Invlpg, Machine, MachineConfig, Unwatched};

use super::cases::{CR3, PLACES};

/// The address of the unit's table; its vector follows.
const TABLE: u64 = 0x1000;
const VECTOR: u64 = 0x2000;

/// Entries of the table, each with its byte of the vector.
type Entries = [([u64; 8], u8)];

/// The state after one side has answered.
pub(crate) struct After {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cached: Vec<Translation>,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
}

/// A CPU that permits everything to its unit.
struct Granting(TlbModel<PLACES>);

impl Tlb for Granting {
    fn cr3(&self) -> u64 {
        self.0.cr3()
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        match invalidation {
            Invalidation::Ept(_) | Invalidation::Vpid(_) => Ok(()),
            host => self.0.invalidate(host),
        }
    }

    fn write_msr(&mut self, _msr: u32, _value: u64) -> Result<(), Refused> {
        Ok(())
    }
}

/// Lets a unit answer. Also returns what it executed.
pub(crate) fn by_unit(
    knobs: Knobs,
    entries: &Entries,
    filled: &[Translation],
) -> (After, Vec<Execution>) {
    let cells: Vec<AtomicU8> = (0..0x1040).map(|_| AtomicU8::new(0)).collect();
    let memory = SharedBytes::new(TABLE, &cells);
    for ((words, byte), index) in entries.iter().zip(0..) {
        for (word, place) in words.iter().zip(0..) {
            memory.store_u64(TABLE + index * 64 + place * 8, *word);
        }
        memory.store_u8(VECTOR + index, *byte);
    }
    let mut tlb = Granting(TlbModel::new(CR3, Pcids::Enabled));
    for translation in filled {
        tlb.0.fill(*translation);
    }
    let unit = RarUnit::new(knobs);
    for (msr, value) in [(0xee, VECTOR), (0xef, TABLE), (0xed, 0b11 << 30)] {
        unit.write_msr(msr, value).unwrap();
    }
    unit.signal();
    let mut executions = Vec::new();
    let served = unit.service_recorded(InterruptFlag::Clear, &memory, &mut tlb, &mut |execution| {
        executions.push(execution);
    });
    let Serviced::Scanned(pass) = served else {
        unreachable!("not scanned: {served:?}");
    };
    let after = After {
        bytes: (0..64)
            .map(|index| memory.load_u8(VECTOR + index))
            .collect(),
        cached: tlb.0.iter().collect(),
        succeeded: pass.succeeded as usize,
        failed: pass.failed as usize,
    };
    (after, executions)
}

/// Lets the software responder answer.
pub(crate) fn by_software(entries: &Entries, filled: &[Translation]) -> After {
    let domain = Domain::new();
    let config = MachineConfig {
        backend: Answering::Software,
        invlpg: Invlpg::MaySpareGlobals,
        ..MachineConfig::new(1)
    };
    let machine = Machine::<PLACES>::new(&Unwatched, config);
    machine.register_cpus(&domain).unwrap();
    machine.load_cr3(0, CR3);
    let _online = machine.join(0, None).unwrap();
    let (memory, cpu) = (machine.driver(), machine.cpu(0));
    for ((words, byte), index) in entries.iter().zip(0..) {
        let (slot, payload) = (SlotIndex::new(index).unwrap(), Payload::from_words(*words));
        #[expect(unsafe_code, reason = "any 64 bytes go into a table")]
        // SAFETY: 1. No flush is made in this domain. 2. Only the responder executes the entry, and
        // it writes no MSR.
        unsafe {
            domain.table().store_payload(slot, &payload);
        }
        let place = memory.byte(CpuId::new(0), slot).unwrap();
        place.store(*byte, Ordering::Release);
    }
    for translation in filled {
        cpu.with_tlb(|tlb| tlb.fill(*translation));
    }
    let served = domain.answer(&pinned(0), &machine);
    assert!(!served.generation);
    let after = After {
        bytes: memory.actions(0).to_vec(),
        cached: cpu.with_tlb(|tlb| tlb.iter().collect()),
        succeeded: usize::from(served.succeeded),
        failed: usize::from(served.failed),
    };
    assert_eq!(memory.strays(), 0);
    after
}

/// What a CPU caches before the flush: a repeated fill replaces the older translation.
pub(crate) fn filled_in(filled: &[Translation]) -> Vec<Translation> {
    let mut tlb = TlbModel::<PLACES>::new(CR3, Pcids::Enabled);
    for translation in filled {
        tlb.fill(*translation);
    }
    tlb.iter().collect()
}
