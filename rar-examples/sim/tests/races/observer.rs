//! The shared state, read from outside before every step, and its invariants.

use rar_percpu::{ActionByte, CpuId, Domain, PerCpu, SlotIndex};
use rar_sim::history::{SimShootdown, TLB};
use rar_sim::machine::{Cpu, Machine};

/// CPUs of a race.
pub(crate) const CPUS: usize = 8;
/// Slots of a race: all.
pub(crate) const SLOTS: usize = SlotIndex::COUNT;

/// A byte that the software responder is serving.
pub(crate) const TAKEN: ActionByte = ActionByte(0x40);

type Words = [u64; 4];

/// One reading of the shared state.
#[derive(Clone)]
pub(crate) struct Shared {
    bytes: [[u8; SLOTS]; CPUS],
    /// What a unit reads of each entry.
    payloads: [Words; SLOTS],
}

impl Shared {
    /// Returns a CPU's byte of a slot.
    pub(crate) fn byte(&self, cpu: usize, slot: usize) -> ActionByte {
        ActionByte(self.bytes[cpu][slot])
    }

    /// Returns what a unit reads of a slot's entry.
    pub(crate) fn payload(&self, slot: usize) -> Words {
        self.payloads[slot]
    }

    /// Returns the slots in which a CPU has a byte that is not final.
    pub(crate) fn open(&self, cpu: usize) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(move |slot| self.is_open(cpu, *slot))
    }

    /// Whether a CPU's byte of a slot is not final.
    pub(crate) fn is_open(&self, cpu: usize, slot: usize) -> bool {
        !self.byte(cpu, slot).is_final()
    }

    /// Whether any CPU's byte of a slot is not final.
    pub(crate) fn is_open_anywhere(&self, slot: usize) -> bool {
        (0..CPUS).any(|cpu| self.is_open(cpu, slot))
    }
}

/// Two readings, one step apart.
pub(crate) struct Sight<'l> {
    /// Before the step.
    pub(crate) before: &'l Shared,
    /// After it.
    pub(crate) now: &'l Shared,
    machine: [&'l Cpu<TLB>; CPUS],
    domain: &'l Domain,
    memory: &'l [PerCpu],
}

impl Sight<'_> {
    /// Returns a CPU of the machine.
    pub(crate) fn cpu(&self, cpu: usize) -> &Cpu<TLB> {
        self.machine[cpu]
    }

    /// Returns a CPU's shared state.
    pub(crate) fn state(&self, cpu: usize) -> &PerCpu {
        &self.memory[cpu]
    }

    /// Whether a CPU is a member.
    pub(crate) fn is_online(&self, cpu: usize) -> bool {
        self.domain.is_online(CpuId::new(cpu as u32))
    }

    /// Returns how many slots are in quarantine.
    pub(crate) fn quarantined(&self) -> usize {
        self.domain.free_and_quarantined_slots().1
    }

    /// Whether flushes that were started on a CPU hold slots.
    pub(crate) fn holds_slots(&self, cpu: usize) -> bool {
        self.domain.holds_slots(CpuId::new(cpu as u32))
    }

    /// Whether flushes hold every slot.
    pub(crate) fn all_slots_are_held(&self) -> bool {
        self.domain.free_and_quarantined_slots() == (0, 0)
    }

    /// Returns each byte that was armed in this step, by CPU and slot.
    pub(crate) fn armed(&self) -> impl Iterator<Item = (usize, usize)> {
        became(self.before, self.now)
    }

    /// Returns each byte that became final in this step, by CPU and slot.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (usize, usize)> {
        became(self.now, self.before)
    }
}

/// Returns the bytes that are final in `final_` and open in `open`.
fn became(final_: &Shared, open: &Shared) -> impl Iterator<Item = (usize, usize)> {
    let changed = |cpu: &usize| final_.bytes[*cpu] != open.bytes[*cpu];
    let slots = move |cpu| {
        let slots = open
            .open(cpu)
            .filter(move |slot| !final_.is_open(cpu, *slot));
        slots.map(move |slot| (cpu, slot))
    };
    (0..CPUS).filter(changed).flat_map(slots)
}

/// Reads the shared state before every step.
pub(crate) struct Observer {
    before: Shared,
    now: Shared,
}

impl Observer {
    /// Returns an observer of a machine after power-on.
    pub(crate) fn new() -> Self {
        let nothing = Shared {
            bytes: [[0; SLOTS]; CPUS],
            payloads: [[0; 4]; SLOTS],
        };
        Self {
            before: nothing.clone(),
            now: nothing,
        }
    }

    /// Returns the change, or the violated rule.
    pub(crate) fn look<'l>(
        &'l mut self,
        machine: &'l Machine<'_, TLB>,
        shootdown: &'l SimShootdown<'_>,
    ) -> Result<Sight<'l>, String> {
        std::mem::swap(&mut self.before, &mut self.now);
        for (cpu, bytes) in self.now.bytes.iter_mut().enumerate() {
            *bytes = machine.driver().actions(cpu);
        }
        for (slot, words) in self.now.payloads.iter_mut().enumerate() {
            *words = machine.driver().payload(slot);
        }
        check(&self.before, &self.now)?;
        Ok(Sight {
            before: &self.before,
            now: &self.now,
            machine: std::array::from_fn(|cpu| machine.cpu(cpu as u32)),
            domain: shootdown.domain(),
            memory: machine.driver().cpus(),
        })
    }
}

/// The invariants of every step.
fn check(before: &Shared, now: &Shared) -> Result<(), String> {
    for slot in (0..SLOTS).filter(|slot| before.payload(*slot) != now.payload(*slot)) {
        let open = |cpu: &usize| before.is_open(*cpu, slot) && now.is_open(*cpu, slot);
        if let Some(cpu) = (0..CPUS).find(open) {
            return Err(format!(
                "the payload of slot {slot} changed while CPU {cpu} had not ended its entry"
            ));
        }
    }
    match became(before, now).find(|(cpu, slot)| now.byte(*cpu, *slot) == TAKEN) {
        None => Ok(()),
        Some((cpu, slot)) => Err(format!(
            "CPU {cpu} took the entry of slot {slot}, which was not pending"
        )),
    }
}
