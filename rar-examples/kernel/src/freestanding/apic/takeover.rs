//! What firmware left in a local APIC: what could interrupt is masked, and what is in service is
//! ended.

use core::sync::atomic::{AtomicU32, Ordering};

use super::local_apic::{LVT_MASKED, LocalApic, offset};
use crate::VectorSet;
use crate::freestanding::notes::note;
use crate::freestanding::percpu;

/// Ends of interrupts that are sent at most: one for each vector.
const MOST_ENDS: u32 = 256;
/// CPUs whose state is noted: on a large machine all are alike, and others need room, too.
const MOST_NOTED: u32 = 8;

/// In an entry of the local vector table: how it interrupts.
const DELIVERY: u32 = 0b111 << 8;
/// Firmware itself is called, and the kernel sees nothing of it.
const TO_FIRMWARE: u32 = 0b010 << 8;

/// The optional entries of the local vector table, each with the number of the last entry that an
/// APIC with it has at least (SDM vol. 3, "Local APIC Version Register").
const OPTIONAL: [(u32, u32, &str); 3] = [
    (offset::LVT_PERFORMANCE, 4, "performance"),
    (offset::LVT_THERMAL, 5, "thermal"),
    (offset::LVT_CORRECTED, 6, "corrected errors"),
];

static NOTED: AtomicU32 = AtomicU32::new(0);

impl LocalApic {
    /// Masks every entry of the local vector table. Those that call firmware stay as they are, and
    /// are noted: firmware may cool the machine by them.
    pub(super) fn mask_local_vectors(&self) {
        for entry in [
            offset::LVT_TIMER,
            offset::LVT_LINT0,
            offset::LVT_LINT1,
            offset::LVT_ERROR,
        ] {
            self.write(entry, LVT_MASKED);
        }
        let last = self.read(offset::VERSION) >> 16 & 0xff;
        for (entry, number, name) in OPTIONAL {
            let value = (last >= number).then(|| self.read_if_there(entry));
            let Some(value) = value.flatten().filter(|value| value & LVT_MASKED == 0) else {
                continue;
            };
            if value & DELIVERY == TO_FIRMWARE {
                note(format_args!(
                    "local APIC: firmware is called by the entry for {name}; it is left as it is"
                ));
            } else {
                self.write(entry, LVT_MASKED);
            }
        }
    }

    /// Ends what is in service on this CPU, and notes what was and what is requested. A vector that
    /// stays in service blocks all others of its class and below.
    pub(super) fn end_all(&self) {
        let requested = self.vectors(offset::REQUESTED);
        let mut ended = VectorSet::default();
        let mut in_service = self.vectors(offset::IN_SERVICE);
        for _ in 0..MOST_ENDS {
            if in_service.is_empty() {
                break;
            }
            ended.add(&in_service);
            self.write(offset::END_OF_INTERRUPT, 0);
            in_service = self.vectors(offset::IN_SERVICE);
        }
        if ended.is_empty() && requested.is_empty() {
            return;
        }
        if NOTED.fetch_add(1, Ordering::Relaxed) >= MOST_NOTED {
            note(format_args!(
                "firmware left interrupts more than {MOST_NOTED} times; all are ended"
            ));
            return;
        }
        let cpu = percpu::this().number();
        if !ended.is_empty() {
            note(format_args!(
                "CPU {cpu}: firmware left interrupts in service, which are ended: {ended}"
            ));
        }
        if !in_service.is_empty() {
            note(format_args!(
                "CPU {cpu}: interrupts stay in service after {MOST_ENDS} ends: {in_service}"
            ));
        }
        if !requested.is_empty() {
            note(format_args!(
                "CPU {cpu}: firmware left interrupts requested: {requested}"
            ));
        }
    }

    /// Returns whether a vector is in service on this CPU.
    pub(super) fn is_in_service(&self, vector: u8) -> bool {
        let register = offset::IN_SERVICE + u32::from(vector / 32) * offset::NEXT;
        self.read(register) >> (vector % 32) & 1 != 0
    }

    fn vectors(&self, first: u32) -> VectorSet {
        let mut register = first;
        VectorSet::new(core::array::from_fn(|_| {
            let word = self.read(register);
            register += offset::NEXT;
            word
        }))
    }
}
