//! Units that answer wrongly, early or late.

use std::cell::RefCell;

use rar_model::{
    ACKED, Defect, FAILURE, InterruptFlag, Invalidation, Knobs, PhysicalMemory, Refused, SUCCESS,
    Serviced, SharedBytes, Tag, Tlb,
};

use super::observes;
use crate::rig::{EVERYTHING, HERE, Rig};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Flush,
    Drain,
    Store(u8),
}

/// Memory and TLB of one CPU, with the order in which the unit uses them.
struct Witness<'a> {
    memory: SharedBytes<'a>,
    events: &'a RefCell<Vec<Event>>,
}

impl PhysicalMemory for Witness<'_> {
    fn load_u8(&self, address: u64) -> u8 {
        self.memory.load_u8(address)
    }

    fn store_u8(&self, address: u64, value: u8) {
        self.events.borrow_mut().push(Event::Store(value));
        self.memory.store_u8(address, value);
    }

    fn load_u64(&self, address: u64) -> u64 {
        self.memory.load_u64(address)
    }
}

impl Tlb for Witness<'_> {
    fn cr3(&self) -> u64 {
        0
    }

    fn invalidate(&mut self, _: Invalidation) -> Result<(), Refused> {
        self.events.borrow_mut().push(Event::Flush);
        Ok(())
    }

    fn drain_stores(&mut self) {
        self.events.borrow_mut().push(Event::Drain);
    }
}

fn events(knobs: Knobs) -> Vec<Event> {
    let rig = Rig::enabled(knobs);
    rig.arm(7, EVERYTHING);
    rig.unit.signal();
    let events = RefCell::default();
    let [memory, mut tlb] = [(); 2].map(|()| Witness {
        memory: rig.memory(),
        events: &events,
    });
    let served = rig.unit.service(InterruptFlag::Clear, &memory, &mut tlb);
    assert!(matches!(served, Serviced::Scanned(pass) if pass.succeeded == 1));
    events.take()
}

const RIGHT_ORDER: [Event; 3] = [Event::Flush, Event::Drain, Event::Store(SUCCESS)];

pub(super) fn status_before_flush(defect: Defect) {
    let early = [&[Event::Store(SUCCESS)], &RIGHT_ORDER[..]].concat();
    observes(defect, events, [RIGHT_ORDER.into(), early]);
}

pub(super) fn stores_not_drained(defect: Defect) {
    let undrained = vec![Event::Flush, Event::Store(SUCCESS)];
    observes(defect, events, [RIGHT_ORDER.into(), undrained]);
}

/// Runs seven flushes and returns for each its byte and whether the page is gone.
fn seven(knobs: Knobs) -> [(u8, bool); 7] {
    let mut rig = Rig::enabled(knobs);
    [(); 7].map(|()| {
        rig.fill(Tag::Pcid(HERE), [0x1000]);
        let (byte, _) = rig.run(EVERYTHING);
        (byte, rig.cached().is_empty())
    })
}

const DONE: (u8, bool) = (SUCCESS, true);
const FAILED: (u8, bool) = (FAILURE, false);

pub(super) fn failure_always(defect: Defect) {
    observes(defect, seven, [[DONE; 7], [FAILED; 7]]);
}

pub(super) fn failure_sometimes(defect: Defect) {
    let every_third = [DONE, DONE, FAILED, DONE, DONE, FAILED, DONE];
    observes(defect, seven, [[DONE; 7], every_third]);
}

/// Returns the byte of an entry after each of 18 calls of the handler, and how many of them
/// flushed.
fn byte_by_byte(knobs: Knobs) -> ([u8; 50], usize) {
    let mut rig = Rig::enabled(knobs);
    rig.arm(7, EVERYTHING);
    rig.unit.signal();
    let bytes = [(); 50].map(|()| {
        let _ = rig.service(InterruptFlag::Clear);
        rig.byte(7)
    });
    (bytes, rig.seen.len())
}

pub(super) fn acked_lingers(defect: Defect) {
    let mut lingering = [SUCCESS; 50];
    lingering[..48].fill(ACKED);
    observes(defect, byte_by_byte, [([SUCCESS; 50], 1), (lingering, 1)]);
}
