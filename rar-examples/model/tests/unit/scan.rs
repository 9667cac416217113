use std::cell::RefCell;

use rar_model::{
    ACKED, Acked, FAILURE, InterruptFlag, Knobs, LatchClear, PENDING, PhysicalMemory, RecordingTlb,
    SUCCESS, Scan, ScanOrder, Serviced, SharedBytes, Signalled, TableSize,
};

use crate::rig::{EVERYTHING, Rig, VECTOR};

fn order_of(rig: &Rig) -> Vec<u8> {
    rig.seen.iter().map(|execution| execution.index).collect()
}

#[test]
fn one_signal_serves_entries_armed_by_anyone() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    for index in [0, 1, 31, 63] {
        rig.arm(index, EVERYTHING);
    }
    assert_eq!(rig.pass().succeeded, 4);
    assert_eq!(order_of(&rig), [0, 1, 31, 63]);
    assert!((0..64).all(|index| rig.byte(index) == SUCCESS));
}

#[test]
fn a_scan_without_entries_is_no_error() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    let pass = rig.pass();
    assert_eq!((pass.succeeded, pass.failed, pass.unanswered), (0, 0, 0));
}

#[test]
fn only_pending_is_served() {
    for value in (0..=u8::MAX).filter(|&value| value != PENDING) {
        let mut rig = Rig::enabled(Knobs::DEFAULT);
        rig.arm(4, EVERYTHING);
        rig.set_byte(4, value);
        rig.pass();
        assert_eq!((rig.byte(4), rig.seen.len()), (value, 0));
    }
}

#[test]
fn the_record_comes_before_the_final_byte() {
    for words in [EVERYTHING, [9 << 8, 0, 0, 0]] {
        let mut rig = Rig::enabled(Knobs::DEFAULT);
        rig.arm(4, words);
        rig.unit.signal();
        let during = rig.bytes_during_record(4);
        assert_eq!(during, [PENDING]);
        assert_ne!(rig.byte(4), PENDING);
    }
}

#[test]
fn entries_beyond_the_table_are_left_alone() {
    let mut rig = Rig::enabled(Knobs {
        table: TableSize::new(8).unwrap(),
        ..Knobs::DEFAULT
    });
    rig.arm(7, EVERYTHING);
    rig.arm(8, EVERYTHING);
    assert_eq!(rig.pass().succeeded, 1);
    assert_eq!((rig.byte(7), rig.byte(8)), (SUCCESS, PENDING));
}

#[test]
fn knob_order() {
    for (order, expected) in [
        (ScanOrder::Ascending, [2, 9, 40]),
        (ScanOrder::Descending, [40, 9, 2]),
        (ScanOrder::From(9), [9, 40, 2]),
        (ScanOrder::From(64 + 10), [40, 2, 9]),
        (ScanOrder::From(u8::MAX), [2, 9, 40]),
    ] {
        let mut rig = Rig::enabled(Knobs {
            order,
            ..Knobs::DEFAULT
        });
        for index in [2, 9, 40] {
            rig.arm(index, EVERYTHING);
        }
        rig.pass();
        assert_eq!(order_of(&rig), expected, "{order:?}");
    }
}

/// Calls a hook after each store and logs it: software that runs in the middle of a scan.
pub(crate) struct Meddler<'a, F> {
    memory: SharedBytes<'a>,
    stores: RefCell<Vec<(u64, u8)>>,
    hook: F,
}

impl<'a, F: Fn(&SharedBytes<'a>, u64, u8)> Meddler<'a, F> {
    pub(crate) fn new(memory: SharedBytes<'a>, hook: F) -> Self {
        Self {
            memory,
            stores: RefCell::default(),
            hook,
        }
    }
}

impl<'a, F: Fn(&SharedBytes<'a>, u64, u8)> PhysicalMemory for Meddler<'a, F> {
    fn load_u8(&self, address: u64) -> u8 {
        self.memory.load_u8(address)
    }

    fn store_u8(&self, address: u64, value: u8) {
        self.memory.store_u8(address, value);
        self.stores.borrow_mut().push((address - VECTOR, value));
        (self.hook)(&self.memory, address, value);
    }

    fn load_u64(&self, address: u64) -> u64 {
        self.memory.load_u64(address)
    }
}

/// Entry 10 is armed at the start; its service arms entries 5 and 20. Returns what is left of the
/// three after one signal.
fn late_arming(scan: Scan) -> [u8; 3] {
    let rig = Rig::enabled(Knobs {
        scan,
        ..Knobs::DEFAULT
    });
    for index in [5, 20] {
        rig.arm(index, EVERYTHING);
        rig.set_byte(index, SUCCESS);
    }
    rig.arm(10, EVERYTHING);
    let memory = Meddler::new(rig.memory(), |memory: &SharedBytes<'_>, address, _| {
        if address == VECTOR + 10 {
            memory.store_u8(VECTOR + 5, PENDING);
            memory.store_u8(VECTOR + 20, PENDING);
        }
    });
    let mut tlb = RecordingTlb::<4>::new(0);
    assert_eq!(rig.unit.signal(), Signalled::Latched);
    let served = rig.unit.service(InterruptFlag::Set, &memory, &mut tlb);
    assert!(matches!(served, Serviced::Scanned(_)));
    [5, 10, 20].map(|index| rig.byte(index))
}

#[test]
fn knob_scan() {
    assert_eq!(late_arming(Scan::Live), [PENDING, SUCCESS, SUCCESS]);
    assert_eq!(late_arming(Scan::Snapshot), [PENDING, SUCCESS, PENDING]);
    assert_eq!(late_arming(Scan::Twice), [SUCCESS, SUCCESS, SUCCESS]);
}

/// An initiator arms entry 5 and signals when the scan has passed it. Returns whether its signal is
/// still there.
fn signal_during_scan(latch_clear: LatchClear) -> bool {
    let rig = Rig::enabled(Knobs {
        latch_clear,
        ..Knobs::DEFAULT
    });
    rig.arm(10, EVERYTHING);
    let memory = Meddler::new(rig.memory(), |memory: &SharedBytes<'_>, _, _| {
        memory.store_u8(VECTOR + 5, PENDING);
        rig.unit.signal();
    });
    let mut tlb = RecordingTlb::<4>::new(0);
    rig.unit.signal();
    let served = rig.unit.service(InterruptFlag::Set, &memory, &mut tlb);
    assert!(matches!(served, Serviced::Scanned(_)));
    assert_eq!((rig.byte(5), rig.byte(10)), (PENDING, SUCCESS));
    rig.unit.pending()
}

#[test]
fn knob_latch_clear() {
    assert!(signal_during_scan(LatchClear::BeforeScan));
    assert!(!signal_during_scan(LatchClear::AfterScan));
}

#[test]
fn knob_acked() {
    for (acked, expected) in [
        (Acked::Never, vec![(1, SUCCESS), (2, FAILURE)]),
        (
            Acked::WhileExecuting,
            vec![(1, ACKED), (1, SUCCESS), (2, ACKED), (2, FAILURE)],
        ),
    ] {
        let rig = Rig::enabled(Knobs {
            acked,
            ..Knobs::DEFAULT
        });
        rig.arm(1, EVERYTHING);
        rig.arm(2, [u64::MAX; 4]);
        let memory = Meddler::new(rig.memory(), |_: &SharedBytes<'_>, _, _| ());
        let mut tlb = RecordingTlb::<4>::new(0);
        rig.unit.signal();
        let served = rig.unit.service(InterruptFlag::Set, &memory, &mut tlb);
        assert!(matches!(served, Serviced::Scanned(_)));
        assert_eq!(memory.stores.into_inner(), expected);
    }
}
