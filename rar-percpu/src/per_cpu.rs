//! Everything that belongs to one CPU.

use rar_regs::ApicId;

use crate::counters::CpuCounters;
use crate::cpu_id::CpuId;
use crate::generation::FlushGeneration;
use crate::memory::ActionVector;
use crate::sync::{AtomicU32, AtomicU64, Ordering, const_unless_loom};

/// Of the life word: the CPU has no responder, and a value drives it on its way up or down.
const CLAIMED: u32 = 3;
/// The part of the life word that says who responds. The number of lives stands above it.
const RESPONDER: u32 = 3;
const ONE_LIFE: u32 = 4;

/// Who makes the action bytes of a CPU final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Responder {
    /// No responder: the CPU is offline.
    None,
    /// The CPU's microcode: RAR is enabled.
    Microcode,
    /// The handler of an ordinary interrupt: the CPU runs without RAR.
    Software,
}

/// One CPU's part of a [`Domain`](crate::Domain): its action vector and its state, a cache line
/// each, and its counts, which only the CPU itself writes.
///
/// The kernel owns the memory, for example in its own per-CPU block, and gives it to
/// [`Domain::register`](crate::Domain::register). All bytes zero is a CPU that was never seen, so
/// the memory can lie in `.bss` or in a zeroed page.
///
/// The memory is 512 bytes, aligned to 128: an adjacent-line prefetcher fetches lines in pairs, and
/// no pair is another CPU's. Vector and state are one pair, the counts are three.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct PerCpu {
    vector: ActionVector,
    state: State,
    counters: CpuCounters,
}

#[repr(C, align(64))]
#[derive(Debug)]
struct State {
    generation: FlushGeneration,
    joined: AtomicU64,
    life: AtomicU32,
    /// The APIC id plus one, so that zero means no id.
    apic_id: AtomicU32,
    /// The domain and the CPU that the memory belongs to, forever; zero means no owner.
    owner: AtomicU64,
    /// Whether a CPU is registered with the memory.
    in_use: AtomicU32,
    /// Whether the CPU may own slots that are not near it, for that CPU and its handlers alone.
    far_slots: AtomicU32,
}

/// No slot that is not near.
const NO_FAR_SLOTS: u32 = 0;
/// There may be some.
const FAR_SLOTS: u32 = 1;
/// There may be some, and a look at all slots has begun since.
const BEING_LOOKED_FOR: u32 = 2;

/// Which of the lives of a CPU's number a value belongs to: a CPU that was declared dead begins
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(u32);

impl PerCpu {
    const_unless_loom! {
        /// Returns the state of a CPU that was never seen: all bytes zero.
        pub fn new() -> Self {
            Self {
                vector: ActionVector::new(),
                state: State {
                    generation: FlushGeneration::new(),
                    joined: AtomicU64::new(0),
                    life: AtomicU32::new(0),
                    apic_id: AtomicU32::new(0),
                    owner: AtomicU64::new(0),
                    in_use: AtomicU32::new(0),
                    far_slots: AtomicU32::new(0),
                },
                counters: CpuCounters::new(),
            }
        }
    }

    /// Returns the CPU's action vector.
    #[must_use]
    #[inline]
    pub fn vector(&self) -> &ActionVector {
        &self.vector
    }

    /// Returns the CPU's flush generation.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> &FlushGeneration {
        &self.state.generation
    }

    /// Returns the CPU's APIC id, or `None` while it is not registered.
    #[must_use]
    #[inline]
    pub fn apic_id(&self) -> Option<ApicId> {
        let kept = self.state.apic_id.load(Ordering::Acquire);
        kept.checked_sub(1).map(ApicId::new)
    }

    /// Returns who makes this CPU's action bytes final.
    #[must_use]
    #[inline]
    pub fn responder(&self) -> Responder {
        const MICROCODE: u32 = Responder::Microcode as u32;
        const SOFTWARE: u32 = Responder::Software as u32;
        match self.state.life.load(Ordering::Acquire) & RESPONDER {
            MICROCODE => Responder::Microcode,
            SOFTWARE => Responder::Software,
            _ => Responder::None,
        }
    }

    #[inline]
    pub(crate) fn counters(&self) -> &CpuCounters {
        &self.counters
    }

    pub(crate) fn set_apic_id(&self, id: ApicId) {
        self.state
            .apic_id
            .store(id.get().wrapping_add(1), Ordering::Release);
    }

    pub(crate) fn clear_apic_id(&self) {
        self.state.apic_id.store(0, Ordering::Release);
    }

    /// Takes the memory for a CPU of the domain; `false` if it is in use, or ever was another CPU's
    /// or another domain's.
    ///
    /// An initiator that saw the CPU before it went may be about to arm an entry here, and looks
    /// for it here by the CPU's number: under another number it would miss the entry, and give a
    /// slot back that a unit may still read.
    pub(crate) fn take_memory(&self, domain: u32, cpu: CpuId) -> bool {
        let mine = u64::from(domain) << 32 | u64::from(cpu.get());
        let owner = self
            .state
            .owner
            .compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire);
        let is_free = || {
            self.state
                .in_use
                .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        (owner.is_ok() || owner == Err(mine)) && is_free()
    }

    /// Gives the memory back, for the next life of the same CPU.
    pub(crate) fn give_memory_back(&self) {
        self.state.in_use.store(0, Ordering::Release);
    }

    /// Sets who responds. Only the value that drives the CPU calls it.
    pub(crate) fn set_responder(&self, life: Life, responder: Responder) {
        self.state
            .life
            .store(life.0 | responder as u32, Ordering::Release);
    }

    /// From now on the CPU has no responder, and the right to drive the CPU stays taken.
    pub(crate) fn set_claimed(&self, life: Life) {
        self.state.life.store(life.0 | CLAIMED, Ordering::Release);
    }

    /// Takes the right to drive this CPU; only one value has it at a time.
    pub(crate) fn claim(&self) -> Option<Life> {
        let word = self.state.life.load(Ordering::Acquire);
        let idle = word & !RESPONDER;
        (word == idle && self.exchange_life(idle, idle | CLAIMED)).then_some(Life(idle))
    }

    /// Gives the right back, unless the CPU is online or the life is over.
    pub(crate) fn give_back(&self, life: Life) {
        self.exchange_life(life.0 | CLAIMED, life.0);
    }

    /// Returns whether the life still is the CPU's.
    pub(crate) fn is_life(&self, life: Life) -> bool {
        self.state.life.load(Ordering::Acquire) & !RESPONDER == life.0
    }

    /// Ends the life, whatever drives the CPU: it has no responder, and former values drive nothing
    /// any more.
    pub(crate) fn end_life(&self) {
        let word = self.state.life.load(Ordering::Acquire);
        let next = (word & !RESPONDER).wrapping_add(ONE_LIFE);
        self.state.life.store(next, Ordering::Release);
    }

    /// Notes that the CPU may own slots that are not near it. Only that CPU calls it.
    pub(crate) fn note_far_slots(&self) {
        // AcqRel: not reordered with the claims behind it, since an interrupt handler on the same
        // CPU may come in between.
        self.state.far_slots.swap(FAR_SLOTS, Ordering::AcqRel);
    }

    /// Returns whether the CPU may own slots that are not near it. Only that CPU calls it, and then
    /// looks at all slots. Until [`forget_far_slots`](Self::forget_far_slots) a handler that cuts
    /// in gets the same answer.
    pub(crate) fn begin_look_for_far_slots(&self) -> bool {
        // AcqRel: not reordered with the look behind it, as above.
        let noted = &self.state.far_slots;
        noted.load(Ordering::Relaxed) != NO_FAR_SLOTS
            && noted.swap(BEING_LOOKED_FOR, Ordering::AcqRel) != NO_FAR_SLOTS
    }

    /// Forgets the note after a look that found no slot, unless a handler has noted others
    /// meanwhile.
    pub(crate) fn forget_far_slots(&self) {
        // AcqRel: not reordered with the look before it. A failure leaves what the handler wrote.
        let _unless_noted_anew = self.state.far_slots.compare_exchange(
            BEING_LOOKED_FOR,
            NO_FAR_SLOTS,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    fn exchange_life(&self, from: u32, to: u32) -> bool {
        self.state
            .life
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    #[inline]
    pub(crate) fn joined(&self) -> &AtomicU64 {
        &self.state.joined
    }
}

impl Default for PerCpu {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(rar_loom))]
mod layout {
    use core::mem::{align_of, offset_of, size_of};

    use super::PerCpu;

    // Two lines that different CPUs write at different times, and the counts, which only their own
    // CPU writes: no pair of lines is of two kinds, or of two CPUs.
    const _: () = assert!(size_of::<PerCpu>() == 512);
    const _: () = assert!(align_of::<PerCpu>() == 128);
    const _: () = assert!(offset_of!(PerCpu, vector) == 0);
    const _: () = assert!(offset_of!(PerCpu, state) == 64);
    const _: () = assert!(offset_of!(PerCpu, counters) == 128);
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_former_life_drives_nothing() {
        let cpu = PerCpu::new();
        let first = cpu.claim().unwrap();
        assert!(cpu.claim().is_none());
        cpu.end_life();
        assert!(!cpu.is_life(first));
        let second = cpu.claim().unwrap();
        cpu.give_back(first);
        assert!(
            cpu.claim().is_none(),
            "the dead CPU's value gave the right of its successor back"
        );
        cpu.give_back(second);
        assert_eq!(cpu.claim(), Some(second));
    }

    #[test]
    fn a_cpu_that_went_down_is_driven_by_the_same_value_until_it_is_given_back() {
        let cpu = PerCpu::new();
        cpu.end_life();
        let life = cpu.claim().unwrap();
        cpu.set_responder(life, Responder::Software);
        cpu.set_claimed(life);
        assert_eq!(cpu.responder(), Responder::None);
        assert!(cpu.is_life(life) && cpu.claim().is_none());
        cpu.give_back(life);
        assert_eq!(cpu.claim(), Some(life));
    }

    #[test]
    fn a_handler_that_cuts_into_a_look_for_far_slots_looks_itself() {
        let cpu = PerCpu::new();
        assert!(!cpu.begin_look_for_far_slots());
        cpu.note_far_slots();
        assert!(cpu.begin_look_for_far_slots());
        // In a handler, before the look has ended.
        assert!(cpu.begin_look_for_far_slots());
        cpu.note_far_slots();
        // The look that was cut found nothing; what the handler claimed stays noted.
        cpu.forget_far_slots();
        assert!(cpu.begin_look_for_far_slots());
        cpu.forget_far_slots();
        assert!(!cpu.begin_look_for_far_slots());
    }

    #[test]
    fn memory_serves_one_cpu_of_one_domain_for_ever() {
        let (memory, cpu) = (PerCpu::new(), CpuId::new(0));
        assert!(memory.take_memory(7, cpu));
        assert!(!memory.take_memory(7, cpu));
        memory.give_memory_back();
        assert!(!memory.take_memory(8, cpu));
        assert!(!memory.take_memory(7, CpuId::new(1)));
        assert!(memory.take_memory(7, cpu));
    }
}
