//! The software responder against the unit that flushes least: the same entries on both.

use std::sync::atomic::{AtomicU8, Ordering};

use rar_model::{
    InterruptFlag, Knobs, LinearWidth, PENDING, PageSize, Pcids, PhysicalMemory, RarUnit, SUCCESS,
    SharedBytes, Tag, TlbModel, Translation, ZeroPages,
};
use rar_payload::{Operation, Payload};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Domain, SlotIndex};
use rar_sim::machine::{Answering, Invlpg, Machine, MachineConfig, Unwatched};

use crate::input::Input;

/// How many translations a CPU holds.
const PLACES: usize = 32;
const PCID: u16 = 5;
/// CR3 of the CPU.
const CR3: u64 = 1 << 20 | PCID as u64;

/// The address of the unit's table; its vector follows.
const TABLE: u64 = 0x1000;
const VECTOR: u64 = 0x2000;

/// Every question that the sources leave open, answered against the driver; but it refuses zero
/// pages, as the driver does.
const UNIT: Knobs = Knobs {
    linear: LinearWidth::Bits57,
    zero_pages: ZeroPages::Fail,
    ..Knobs::SPARING
};

/// An entry, and its byte of the vector.
type Entry = ([u64; 8], u8);

/// What is left after a side has answered.
struct After {
    bytes: Vec<u8>,
    cached: Vec<Translation>,
}

/// Fills both TLBs alike, arms the same entries, and compares what is left.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let filled: Vec<_> = (0..input.u8() % 32)
        .map(|_| translation(&mut input))
        .collect();
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < 64 {
        let byte = input.choose([PENDING, PENDING, PENDING, 0, 0x02, 0x40, 0x80]);
        entries.push((entry(&mut input), byte));
    }
    let (unit, software) = (by_unit(&entries, &filled), by_software(&entries, &filled));
    for ((entry, unit), software) in entries.iter().zip(&unit.bytes).zip(&software.bytes) {
        let (words, before) = entry;
        if *before != PENDING {
            assert_eq!([unit, software], [before; 2], "not armed: {words:x?}");
            continue;
        }
        let is_legal = Operation::decode(&Payload::from_words(*words)).is_ok();
        assert_eq!(*software == SUCCESS, is_legal, "{words:x?}");
        // What the unit carries out the responder may refuse only where the driver has no such
        // entry: a CR3 that is wider than one is.
        let is_wide = words[0] >> 8 & 0xff == 0 && words[2] >> 52 != 0;
        assert!(
            *unit != SUCCESS || *software == SUCCESS || is_wide,
            "{words:x?}"
        );
    }
    let all_alike = entries.iter().zip(&unit.bytes).zip(&software.bytes);
    if all_alike
        .clone()
        .all(|((_, unit), software)| *unit != SUCCESS || *software == SUCCESS)
    {
        let left = software
            .cached
            .iter()
            .find(|held| !unit.cached.contains(held));
        assert_eq!(
            left, None,
            "the unit drops what the responder keeps: {entries:x?}"
        );
    }
}

fn address(input: &mut Input<'_>) -> u64 {
    let page = u64::from(input.u8() % 6) << input.choose([12, 12, 21, 30]);
    input
        .choose([0_u64, 0, 0, 1 << 47, 1 << 56])
        .wrapping_neg()
        .wrapping_add(page)
}

fn translation(input: &mut Input<'_>) -> Translation {
    let size = input.choose([PageSize::Size4K, PageSize::Size2M, PageSize::Size1G]);
    let tag = input.choose([Tag::Pcid(PCID), Tag::Pcid(0), Tag::Pcid(6), Tag::Global]);
    Translation::new(address(input), 7 << 30, size, tag)
}

/// Returns eight words as they are, or an entry that is nearly legal.
fn entry(input: &mut Input<'_>) -> [u64; 8] {
    let how = input.u8();
    if how & 0x80 != 0 {
        return [(); 8].map(|()| input.u64());
    }
    let kind = u64::from(how & 7);
    let subtype = u64::from(how >> 3 & 3);
    let size = input.choose([0, 0, 1, 2]);
    let count = u64::from(input.u8() & 0x3f);
    let pcid = input.choose([u64::from(PCID), 0, 6]);
    let operand = match (kind, subtype) {
        (0, _) => input.choose([CR3, CR3, CR3 ^ 1, CR3 ^ 1 << 12, CR3 | 1 << 52]),
        (2, 0 | 1) => pcid,
        _ => 0,
    };
    let (size, count, address) = match subtype {
        0 => (size, count, address(input)),
        _ => (0, 0, 0),
    };
    let control = kind << 8 | subtype << 32 | size << 35 | count << 37;
    let spoilt = match input.u8() {
        bit @ 0xc0.. => 1 << (bit & 0x3f),
        _ => 0,
    };
    [control ^ spoilt, 0, operand, address, 0, 0, 0, 0]
}

fn by_unit(entries: &[Entry], filled: &[Translation]) -> After {
    let cells: Vec<AtomicU8> = (0..0x1040).map(|_| AtomicU8::new(0)).collect();
    let memory = SharedBytes::new(TABLE, &cells);
    for ((words, byte), index) in entries.iter().zip(0..) {
        for (word, place) in words.iter().zip(0..) {
            memory.store_u64(TABLE + index * 64 + place * 8, *word);
        }
        memory.store_u8(VECTOR + index, *byte);
    }
    let mut tlb = TlbModel::<PLACES>::new(CR3, Pcids::Enabled);
    for translation in filled {
        let _replaced = tlb.fill(*translation);
    }
    let unit = RarUnit::new(UNIT);
    for (msr, value) in [(0xee, VECTOR), (0xef, TABLE), (0xed, 0b11 << 30)] {
        let written = unit.write_msr(msr, value);
        assert!(written.is_ok(), "{msr:#x}");
    }
    unit.signal();
    let _served = unit.service(InterruptFlag::Clear, &memory, &mut tlb);
    After {
        bytes: (0..64)
            .map(|index| memory.load_u8(VECTOR + index))
            .collect(),
        cached: tlb.iter().collect(),
    }
}

fn by_software(entries: &[Entry], filled: &[Translation]) -> After {
    let domain = Domain::new();
    let config = MachineConfig {
        backend: Answering::Software,
        invlpg: Invlpg::MaySpareGlobals,
        ..MachineConfig::new(1)
    };
    let machine = Machine::<PLACES>::new(&Unwatched, config);
    let registered = machine.register_cpus(&domain).is_ok();
    machine.load_cr3(0, CR3);
    let online = machine.join(0, None);
    assert!(registered && online.is_ok());
    let (memory, cpu) = (machine.driver(), machine.cpu(0));
    for ((words, byte), index) in entries.iter().zip(0..) {
        let Some(slot) = SlotIndex::new(index) else {
            break;
        };
        #[expect(unsafe_code, reason = "any 64 bytes go into a table")]
        // SAFETY: 1. No flush is made in this domain. 2. Only the responder executes the entry, and
        // it writes no MSR.
        unsafe {
            domain
                .table()
                .store_payload(slot, &Payload::from_words(*words));
        }
        if let Some(place) = memory.byte(CpuId::new(0), slot) {
            place.store(*byte, Ordering::Release);
        }
    }
    for translation in filled {
        let _replaced = cpu.with_tlb(|tlb| tlb.fill(*translation));
    }
    let served = domain.answer(&pinned(0), &machine);
    assert!(!served.generation);
    assert_eq!(memory.strays(), 0);
    After {
        bytes: memory.actions(0).to_vec(),
        cached: cpu.with_tlb(|tlb| tlb.iter().collect()),
    }
}
