//! Units that serve other entries than the PENDING ones.

use rar_model::{
    Defect, INFO, InterruptFlag, Knobs, PENDING, PhysicalMemory, RecordingTlb, SUCCESS, Serviced,
    SharedBytes, Tag,
};

use super::observes;
use crate::rig::{EVERYTHING, HERE, Rig, VECTOR, invpcid_pages};
use crate::scan::Meddler;

/// Arms entries and returns which are still PENDING after the first signal and after the second.
fn pending(knobs: Knobs, armed: &[u8]) -> [Vec<u8>; 2] {
    let mut rig = Rig::enabled(knobs);
    for &index in armed {
        rig.arm(index, EVERYTHING);
    }
    [(); 2].map(|()| {
        rig.pass();
        (0..64)
            .filter(|&index| rig.byte(index) == PENDING)
            .collect()
    })
}

const ARMED: [u8; 4] = [0, 1, 9, 40];

fn serves(defect: Defect, wrong: [&[u8]; 2]) {
    let observe = |knobs| pending(knobs, &ARMED);
    observes(defect, observe, [[vec![], vec![]], wrong.map(Vec::from)]);
}

pub(super) fn first_entry_only(defect: Defect) {
    serves(defect, [&[1, 9, 40], &[9, 40]]);
}

pub(super) fn highest_entry_only(defect: Defect) {
    serves(defect, [&[0, 1, 9], &[0, 1]]);
}

pub(super) fn scan_stops_at_gap(defect: Defect) {
    serves(defect, [&[9, 40], &[9, 40]]);
}

pub(super) fn never_answers(defect: Defect) {
    serves(defect, [&ARMED, &ARMED]);
}

pub(super) fn half_table(defect: Defect) {
    let observe = |knobs| pending(knobs, &[0, 31, 32, 63]);
    let wrong = [vec![32, 63], vec![32, 63]];
    observes(defect, observe, [[vec![], vec![]], wrong]);
    let rig = Rig::enabled(super::broken(defect));
    assert_eq!(rig.unit.read_msr(INFO), Ok(63 << 32 | 0b111));
}

/// Entry i flushes page i; byte 8 alone is armed. Returns the bytes that are PENDING after a
/// signal, and the pages that are gone.
fn flushed_by_byte_8(knobs: Knobs) -> (Vec<u8>, Vec<u64>) {
    let mut rig = Rig::enabled(knobs);
    let pages = [7, 8, 9];
    rig.fill(Tag::Pcid(HERE), pages.map(|page| page << 12));
    for (index, page) in (7..).zip(pages) {
        rig.arm(index, invpcid_pages(page << 12, 1));
        rig.set_byte(index, SUCCESS);
    }
    rig.set_byte(8, PENDING);
    rig.pass();
    let pending = (0..64).filter(|&i| rig.byte(i) == PENDING).collect();
    let cached = rig.cached();
    let is_gone = |page: &u64| !cached.contains(&(page << 12, Tag::Pcid(HERE)));
    (pending, pages.into_iter().filter(is_gone).collect())
}

pub(super) fn payload_index_off(defect: Defect) {
    let outcomes = [8, 9].map(|page| (vec![], vec![page]));
    observes(defect, flushed_by_byte_8, outcomes);
}

pub(super) fn vector_base_off(defect: Defect) {
    let outcomes = [8, 7].map(|page| (vec![], vec![page]));
    observes(defect, flushed_by_byte_8, outcomes);
    let observe = |knobs| pending(knobs, &[0]);
    observes(defect, observe, [[vec![], vec![]], [vec![0], vec![0]]]);
}

/// The service of entry 10 arms entry 20 and signals. Returns its byte, and whether its signal is
/// still there.
fn armed_during_scan(knobs: Knobs) -> (u8, bool) {
    let rig = Rig::enabled(knobs);
    rig.arm(20, EVERYTHING);
    rig.set_byte(20, SUCCESS);
    rig.arm(10, EVERYTHING);
    let memory = Meddler::new(rig.memory(), |memory: &SharedBytes<'_>, address, _| {
        if address == VECTOR + 10 {
            memory.store_u8(VECTOR + 20, PENDING);
            rig.unit.signal();
        }
    });
    let mut tlb = RecordingTlb::<0>::new(0);
    rig.unit.signal();
    let served = rig.unit.service(InterruptFlag::Set, &memory, &mut tlb);
    assert!(matches!(served, Serviced::Scanned(_)));
    (rig.byte(20), rig.unit.pending())
}

pub(super) fn latched_scan(defect: Defect) {
    observes(
        defect,
        armed_during_scan,
        [(SUCCESS, true), (PENDING, false)],
    );
}
