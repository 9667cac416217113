//! What an outsider sees of the driver in the simulator: each change of shared memory, each flush.

use std::sync::{Mutex, OnceLock};

use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, HomeSlot};
use rar_shootdown::Shootdown;
use rar_sim::machine::{Machine, Watch};

use crate::replay::{Event, Seen, Shown, Visible, Who};
use crate::state::{Byte, INITIATORS, Responder, SLOTS, TARGETS};

/// How many translations a CPU caches; none is ever needed.
pub(crate) const TLB: usize = 8;
/// Writes down what an outsider sees.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) machine: OnceLock<(&'static Machine<'static, TLB>, &'static Driver)>,
    record: Mutex<Record>,
    /// What was seen since the last access of memory.
    since: Mutex<Vec<Event>>,
}

/// The driver in the simulator.
pub(crate) type Driver = Shootdown<&'static Machine<'static, TLB>>;

#[derive(Default)]
struct Record {
    is_on: bool,
    /// How the memory looked; nothing before the first look.
    last: Option<Visible>,
    /// Who accessed the memory last.
    cpu: u32,
    events: Vec<Event>,
}

impl Watch for Recorder {
    fn accesses(&self, cpu: u32) {
        self.look(cpu);
    }

    fn invalidates(&self, cpu: u32) {
        self.label(cpu, Seen::Flush);
    }

    fn flushes(&self, cpu: u32) {
        self.label(cpu, Seen::Flush);
    }
}

impl Recorder {
    /// Writes down what the last access has changed, and what was seen since; `cpu` is about to
    /// make the next access.
    fn look(&self, cpu: u32) {
        // Taken already: a look at the memory is itself an access.
        let Ok(mut record) = self.record.try_lock() else {
            return;
        };
        let Some((machine, driver)) = self.machine.get().filter(|_| record.is_on) else {
            return;
        };
        let now = look(machine, driver);
        if record.last.replace(now).is_some_and(|last| last != now) {
            let who = who(record.cpu);
            record.events.push(Event {
                who,
                seen: Seen::Memory(now),
            });
        }
        if let Ok(mut since) = self.since.lock() {
            record.events.append(&mut since);
        }
        record.cpu = cpu;
    }

    /// Writes down what is seen on a CPU, in front of the next access.
    pub(crate) fn label(&self, cpu: u32, seen: Seen) {
        let is_on = self.record.lock().is_ok_and(|record| record.is_on);
        if let Ok(mut since) = self.since.lock()
            && is_on
        {
            since.push(Event {
                who: who(cpu),
                seen,
            });
        }
    }

    pub(crate) fn start(&self) {
        if let Ok(mut record) = self.record.lock() {
            record.is_on = true;
        }
    }

    /// Ends the record and returns it. No CPU runs any more.
    pub(crate) fn end(&self) -> Vec<Event> {
        self.look(0);
        let record = self.record.lock();
        record
            .map(|mut record| std::mem::take(&mut record.events))
            .unwrap_or_default()
    }
}

fn who(cpu: u32) -> Who {
    let number = cpu as usize;
    match number.checked_sub(INITIATORS) {
        None => Who::Initiator(number as u8),
        Some(target) => Who::Target(target as u8),
    }
}

/// The address of the page of a flush.
pub(crate) fn page(flush: usize) -> u64 {
    0x10_0000 + 0x1000 * flush as u64
}

/// Looks at the shared memory.
fn look(machine: &Machine<'_, TLB>, driver: &Driver) -> Visible {
    let domain = driver.domain();
    let mut visible = Visible::default();
    for slot in 0..SLOTS {
        // A CPU's home is the slot of its number.
        visible.slots[slot] = match domain.home_slot(&pinned(slot as u32)) {
            HomeSlot::Free => Shown::Free,
            HomeSlot::InFlight => Shown::InFlight,
            _ => Shown::Quarantined,
        };
        let [.., address] = machine.driver().payload(slot);
        let flush = (0..crate::state::FLUSHES_EACH * INITIATORS).find(|one| page(*one) == address);
        visible.payload[slot] = flush.map_or(0, |flush| flush as u8 + 1);
    }
    for t in 0..TARGETS {
        let cpu = CpuId::new((INITIATORS + t) as u32);
        let bytes = machine.driver().actions(cpu.index());
        for slot in 0..SLOTS {
            visible.bytes[t][slot] = match bytes[slot] {
                0 => Byte::Success,
                1 => Byte::Pending,
                0x80 => Byte::Failure,
                _ => Byte::Taken,
            };
        }
        visible.online[t] = domain.is_online(cpu);
        let Some(state) = domain.cpu(cpu) else {
            continue;
        };
        let generation = state.generation();
        visible.asked[t] = !generation.is_completed(generation.newest());
        visible.demoted[t] = generation.is_demoted();
        visible.responders[t] = match state.responder() {
            rar_percpu::Responder::Microcode => Responder::Microcode,
            rar_percpu::Responder::Software => Responder::Software,
            _ => Responder::None,
        };
    }
    visible
}
