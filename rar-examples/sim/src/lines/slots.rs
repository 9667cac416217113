//! The designs with slots besides the driver, each in our own code.
#![expect(
    unsafe_code,
    reason = "entries and bytes are written past the driver, which does not run beside"
)]

use std::sync::atomic::Ordering;

use rar_payload::Operation;
use rar_percpu::fake::pinned;
use rar_percpu::observed::{AtomicU64, fence};
use rar_percpu::{ActionByte, ActionState, CpuId, CpuSet, SlotIndex};
use rar_shootdown::{Machine as _, Message};

use super::ground::{Apart, Ground, SimMachine};
use crate::meter::{Kind, Meter};
use crate::schedule::step;

const SUCCESS: ActionByte = ActionByte(ActionState::Success as u8);

/// The owners of the slots.
#[derive(Debug)]
pub(super) enum Owners {
    /// A bit for each slot that is free.
    Bitmap(Apart<AtomicU64>),
    /// A word for each slot, 1 while it is taken.
    Locks(Vec<Apart<AtomicU64>>),
    /// The initiators, by number, permanently.
    Initiators,
}

impl Owners {
    pub(super) fn bitmap() -> Self {
        Self::Bitmap(Apart(AtomicU64::new(u64::MAX)))
    }

    pub(super) fn locks() -> Self {
        Self::Locks(SlotIndex::all().map(|_| Apart::default()).collect())
    }

    pub(super) fn name_in(&self, meter: &mut Meter) {
        match self {
            Self::Bitmap(bitmap) => meter.name_object(&bitmap.0, Kind::Slot),
            Self::Locks(locks) => meter.name_object(locks.as_slice(), Kind::Slot),
            Self::Initiators => {}
        }
    }

    fn claim(&self, initiator: CpuId) -> SlotIndex {
        match self {
            Self::Bitmap(bitmap) => claim_from(&bitmap.0),
            Self::Locks(locks) => {
                // CPUs start at different locks.
                let home = SlotIndex::all().cycle().skip(initiator.index() % 64);
                for slot in home {
                    let lock = locks.get(slot.get());
                    if lock.is_some_and(|lock| lock.0.swap(1, Ordering::Acquire) == 0) {
                        return slot;
                    }
                    step();
                }
                unreachable!("the slots are looked at in a circle")
            }
            Self::Initiators => own(initiator.index()),
        }
    }

    fn give_back(&self, slot: SlotIndex) {
        match self {
            Self::Bitmap(bitmap) => {
                bitmap.0.fetch_or(1 << slot.get(), Ordering::Release);
            }
            Self::Locks(locks) => {
                if let Some(lock) = locks.get(slot.get()) {
                    lock.0.store(0, Ordering::Release);
                }
            }
            Self::Initiators => {}
        }
    }
}

fn claim_from(bitmap: &AtomicU64) -> SlotIndex {
    loop {
        let free = bitmap.load(Ordering::Relaxed);
        if free == 0 {
            step();
            continue;
        }
        let bit = free & free.wrapping_neg();
        if bitmap.fetch_and(!bit, Ordering::Acquire) & bit != 0 {
            return own(bit.trailing_zeros() as usize);
        }
    }
}

fn own(number: usize) -> SlotIndex {
    match SlotIndex::all().nth(number % SlotIndex::COUNT) {
        Some(slot) => slot,
        None => unreachable!("below the number of slots"),
    }
}

/// Flushes by an entry: claim, write, arm, signal, poll each target until it has answered, give
/// back.
pub(super) fn flush(ground: &Ground<'_, '_>, owners: &Owners, me: u32, operation: &Operation) {
    let machine: &SimMachine<'_> = ground.machine;
    let (cpus, domain) = (machine.driver().cpus(), machine.domain());
    // After the caller's page-table stores.
    fence(Ordering::SeqCst);
    let mut targets: CpuSet = ground.space(me).targets.snapshot();
    domain.keep_online(&mut targets);
    targets.remove(CpuId::new(me));
    let slot = owners.claim(CpuId::new(me));
    // SAFETY: 1. the slot is this initiator's, by the rules of the design. 2. The entry invalidates
    // a page.
    unsafe { domain.table().store_payload(slot, &operation.encode()) };
    let vectors = || {
        let states = targets.iter().filter_map(|target| cpus.get(target.index()));
        states.map(rar_percpu::PerCpu::vector)
    };
    for vector in vectors() {
        // SAFETY: 1. As above, and the entry is written.
        unsafe { vector.arm_unowned(slot) };
    }
    let _sent = machine.send(Message::Signal, &pinned(me), domain, &targets);
    for vector in vectors() {
        while vector.load(slot) != SUCCESS {
            step();
        }
    }
    owners.give_back(slot);
}
