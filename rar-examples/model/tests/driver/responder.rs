//! The software responder against the unit: the same entries, the same vector, the same TLB.

use proptest::prelude::*;
use rar_model::{
    Acked, FAILURE, Knobs, PageSize, PhysicalMemory, SUCCESS, Scan, ScanOrder, Serviced, Tag,
    Translation, ZeroPages,
};
use rar_payload::Payload;
use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, CpuId, Domain, PayloadTable, PerCpu, SlotIndex, SoftwareCpu};
use rar_regs::{Detection, InterruptPolicy};

use crate::decode::{WIDE, legal, nearly_legal};
use crate::driver_machine::{Board, Config, PCID, PER_CPU, bring_up};

const ENTRIES: usize = 32;

type Case = Vec<([u64; 8], u8)>;

/// A vector byte: mostly armed, sometimes in a state that nobody may touch.
fn entry() -> impl Strategy<Value = ([u64; 8], u8)> {
    let byte =
        prop_oneof![6 => Just(1), 1 => Just(0), 1 => Just(0x02), 1 => Just(0x80), 1 => any::<u8>()];
    // Bits 63:52 of a CR3 to match are the known difference between the two readings.
    let words = prop_oneof![nearly_legal(), legal()].prop_map(|mut words| {
        if words[0] >> 8 & 0xff == 0 {
            words[2] &= (1 << 52) - 1;
        }
        words
    });
    (words, byte)
}

/// Some translations near where the entries point.
fn cached() -> impl Strategy<Value = Vec<Translation>> {
    let tag = prop::sample::select(vec![
        Tag::Pcid(PCID),
        Tag::Pcid(0),
        Tag::Pcid(6),
        Tag::Global,
    ]);
    let size = prop::sample::select(vec![PageSize::Size4K, PageSize::Size2M, PageSize::Size1G]);
    let one = (tag, size, 0..40u64)
        .prop_map(|(tag, size, page)| Translation::new(page * size.bytes(), page << 30, size, tag));
    prop::collection::vec(one, 0..ENTRIES)
}

struct After {
    bytes: Vec<u8>,
    cached: Vec<Translation>,
    answered: usize,
}

/// Puts entries, bytes and translations on a CPU, has it answer, and looks.
fn answer(
    knobs: Knobs,
    entries: &Case,
    filled: &[Translation],
    by: impl for<'b> FnOnce(&'b Board<'b, ENTRIES>, &dyn Fn()) -> usize,
) -> After {
    let (table, cpus) = (PayloadTable::new(), [const { PerCpu::new() }; 1]);
    let domain = Domain::new(&table, &cpus);
    let board = Board::<ENTRIES>::new(&domain, &Config::new(knobs), &[knobs]);
    let arrange = || {
        for ((words, byte), index) in entries.iter().zip(0..) {
            let (slot, payload) = (SlotIndex::new(index).unwrap(), Payload::from_words(*words));
            #[expect(unsafe_code, reason = "any 64 bytes go into a table")]
            // SAFETY: 1. Nothing but a model executes the entry, and it writes no MSR.
            unsafe {
                table.store_payload(slot, &payload);
            }
            board.memory.store_u8(PER_CPU + u64::from(index), *byte);
        }
        let mut tlb = board.tlbs.of(0).lock().unwrap();
        for translation in filled {
            tlb.fill(*translation);
        }
    };
    let answered = by(&board, &arrange);
    assert_eq!(board.memory.strays(), 0);
    After {
        bytes: (0..64)
            .map(|index| board.memory.load_u8(PER_CPU + index))
            .collect(),
        cached: board.tlbs.contents(0),
        answered,
    }
}

fn by_unit<'b>(board: &'b Board<'b, ENTRIES>, arrange: &dyn Fn()) -> usize {
    let support = Detection::new().detect(&board.registers(0)).unwrap();
    let _unit = bring_up(board, support, 0, InterruptPolicy::IgnoreIf).unwrap();
    arrange();
    board.processors[0].unit.read().unwrap().signal();
    match board.step(0) {
        Serviced::Scanned(pass) => (pass.succeeded + pass.failed) as usize,
        other => unreachable!("not scanned: {other:?}"),
    }
}

fn by_software<'b>(board: &'b Board<'b, ENTRIES>, arrange: &dyn Fn()) -> usize {
    board
        .domain
        .register(CpuId::new(0), ApicId::new(0))
        .unwrap();
    let _online = SoftwareCpu::join(board.domain, &pinned(0), &board.tlbs).unwrap();
    arrange();
    let served = board.domain.serve(&pinned(0), &board.tlbs);
    usize::from(served.succeeded) + usize::from(served.failed)
}

/// The honest units as far as they judge entries like the driver: strict, 57 bits.
fn strict_units() -> impl Strategy<Value = Knobs> {
    let sparing = Knobs {
        linear: WIDE.linear,
        // A range of no pages is refused by the driver; the sparing unit would answer SUCCESS and do nothing.
        zero_pages: ZeroPages::Fail,
        // A CR3 to match has 52 bits, and so has that of the machine.
        cr3_mask: WIDE.cr3_mask,
        ..Knobs::SPARING
    };
    let order = prop_oneof![
        Just(ScanOrder::Ascending),
        Just(ScanOrder::Descending),
        (0..64u8).prop_map(ScanOrder::From)
    ];
    let scan = prop::sample::select(vec![Scan::Live, Scan::Snapshot, Scan::Twice]);
    let acked = prop::sample::select(vec![Acked::Never, Acked::WhileExecuting]);
    (
        prop::sample::select(vec![WIDE, sparing]),
        order,
        scan,
        acked,
    )
        .prop_map(|(base, order, scan, acked)| Knobs {
            order,
            scan,
            acked,
            ..base
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_answer_alike_and_software_flushes_no_less(
        entries in prop::collection::vec(entry(), 0..=64),
        filled in cached(),
        knobs in strict_units(),
    ) {
        let unit = answer(knobs, &entries, &filled, by_unit);
        let software = answer(knobs, &entries, &filled, by_software);
        prop_assert_eq!(&unit.bytes, &software.bytes);
        let armed = entries.iter().filter(|(_, byte)| *byte == 1).count();
        prop_assert_eq!((unit.answered, software.answered), (armed, armed));
        for ((_, before), after) in entries.iter().zip(&unit.bytes) {
            let expected = match before {
                1 => [SUCCESS, FAILURE].contains(after),
                _ => after == before,
            };
            prop_assert!(expected, "{before:#x} became {after:#x}");
        }
        for held in &software.cached {
            prop_assert!(unit.cached.contains(held), "software left {held:?}, the unit did not");
        }
    }

    /// INVPCID has an exact counterpart, so that on a unit that reaches as far as the instruction nothing differs.
    #[test]
    fn both_leave_the_same_of_an_invpcid(
        words in legal().prop_filter("type 2", |words| words[0] >> 8 & 0xff == 2),
        filled in cached(),
    ) {
        let entries = vec![(words, 1)];
        let unit = answer(WIDE, &entries, &filled, by_unit);
        let software = answer(WIDE, &entries, &filled, by_software);
        prop_assert_eq!(unit.bytes[0], SUCCESS);
        prop_assert_eq!(software.bytes[0], SUCCESS);
        prop_assert_eq!(unit.cached, software.cached);
    }
}
