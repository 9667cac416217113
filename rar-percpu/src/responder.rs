//! What a CPU does in software for those who flush it.

use rar_payload::Operation;

use crate::action::{ActionByte, ActionState};
use crate::cpu_id::{NmiCpu, PinnedCpu};
use crate::domain::Domain;
use crate::local_tlb::LocalTlb;
use crate::missed::Missed;
use crate::per_cpu::{PerCpu, Responder};
use crate::slot_index::{SlotIndex, slots_of};
use crate::sync::{Ordering, fence};
use crate::together::Together;
use crate::vector_scan::{holds_anything, slots_in_use};

/// What one call of [`Domain::answer`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Served {
    /// Entries of this CPU's action vector that were carried out.
    pub succeeded: u8,
    /// Entries that were refused with [`ActionState::Failure`].
    pub failed: u8,
    /// Whether a flush generation was served.
    pub generation: bool,
    /// Whether the CPU was found to be answered by its unit again, after a demotion.
    pub promoted: bool,
}

/// That a CPU is asked for something, until it has answered.
///
/// [`Domain::asked`] makes it. Who has more to do after an answer takes the two steps apart: what
/// spins mostly finds nothing, and then calls nothing.
#[derive(Debug)]
#[must_use = "the CPU is waited for"]
pub struct Asked<'d, 'c, 'p, const WORDS: usize> {
    domain: &'d Domain<WORDS>,
    cpu: &'c PinnedCpu<'p>,
    state: &'static PerCpu,
}

impl<const WORDS: usize> Asked<'_, '_, '_, WORDS> {
    /// Answers, as [`Domain::answer`] does.
    pub fn answer(self, tlb: &(impl LocalTlb + ?Sized)) -> Served {
        self.domain.serve_what_is_asked(self.cpu, self.state, tlb)
    }
}

/// Returns whether there is anything to do for a CPU. What is asked during the look comes with a
/// signal of its own.
#[inline]
fn is_asked(state: &PerCpu) -> bool {
    state.responder() == Responder::Software && holds_anything(state.vector())
        || state.generation().is_asked()
}

impl<const WORDS: usize> Domain<WORDS> {
    /// Carries out in software what this CPU was asked for: its flush generation on every CPU, its
    /// action vector only where [`Responder::Software`] runs.
    ///
    /// The handler of the RAR software interrupt and of the fallback interrupt calls it, and so
    /// does everything that spins. It may be nested: an entry is taken by compare-exchange before
    /// its payload is read, and ended by compare-exchange, so no entry is carried out twice or
    /// reported by someone who does not own it.
    ///
    /// What is pending is taken first, then carried out. Many entries that cost more one by one
    /// than one flush of their address space, or of all of them, are answered by that flush
    /// together: in a storm of flushes a CPU is not held by each of 64.
    #[inline]
    pub fn answer(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> Served {
        self.asked(cpu)
            .map_or_else(Served::default, |asked| asked.answer(tlb))
    }

    /// Returns what this CPU has to answer, if it is asked for anything.
    #[inline]
    pub fn asked<'d, 'c, 'p>(&'d self, cpu: &'c PinnedCpu<'p>) -> Option<Asked<'d, 'c, 'p, WORDS>> {
        let state = self.cpu(cpu.id()).filter(|state| is_asked(state))?;
        Some(Asked {
            domain: self,
            cpu,
            state,
        })
    }

    /// As [`answer`](Self::answer), in the handler of NMIs: it may cut into any step of a flush, of
    /// a wait, or of another handler on its CPU.
    pub fn answer_in_nmi(&self, cpu: &NmiCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> Served {
        self.answer(cpu.pinned(), tlb)
    }

    #[inline(never)]
    fn serve_what_is_asked(
        &self,
        cpu: &PinnedCpu<'_>,
        state: &PerCpu,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Served {
        let mut served = Served::default();
        if state.responder() == Responder::Software {
            self.serve_entries(cpu, state, tlb, &mut served);
        }
        served.generation = state.generation().complete(cpu, tlb);
        // The unit has answered all that it was asked, late as it was.
        if state.generation().is_trusted_when_quiet() && state.vector().is_quiet() {
            served.promoted = self.promote(state);
        }
        served
    }

    /// Serves this CPU's flush generation alone, and leaves its action vector; returns whether it
    /// flushed.
    pub fn complete_generation(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> bool {
        self.cpu(cpu.id())
            .is_some_and(|state| state.generation().complete(cpu, tlb))
    }

    /// Takes what is pending, then carries it out: each entry by itself, or many of them by one
    /// flush if that is cheaper. All were taken before that flush begins, so that it sees the page
    /// tables of each: one that is armed later waits for the next call.
    fn serve_entries(
        &self,
        cpu: &PinnedCpu<'_>,
        state: &PerCpu,
        tlb: &(impl LocalTlb + ?Sized),
        served: &mut Served,
    ) {
        let mut taken = 0_u64;
        for slot in slots_of(slots_in_use(state.vector())) {
            taken |= u64::from(state.vector().take(slot)) << slot.get();
        }
        let mut flushed = 0;
        if let Some((needed, slots)) = self.cheaper(taken) {
            needed.flush(cpu, tlb);
            flushed = slots;
        }
        for slot in slots_of(taken) {
            let is_flushed = flushed & 1 << slot.get() != 0;
            let outcome = match Operation::decode(&self.table().load_for_unit(slot)) {
                Ok(operation) if is_flushed || tlb.flush(cpu, &operation).is_ok() => {
                    served.succeeded += 1;
                    ActionState::Success
                }
                _ => {
                    served.failed += 1;
                    ActionState::Failure
                }
            };
            let taken = ActionByte(ActionByte::TAKEN);
            state.vector().finish(slot, taken, outcome);
        }
    }

    /// Returns the one flush that is cheaper than the entries one by one, if there is one, and the
    /// slots that it answers.
    fn cheaper(&self, taken: u64) -> Option<(Missed, u64)> {
        if !Together::may_be_cheaper(taken) {
            return None;
        }
        let mut together = Together::default();
        for slot in slots_of(taken) {
            together.add(slot, &self.table().load_for_unit(slot));
        }
        together.cheaper()
    }

    /// Ends every entry that is open in a CPU's vector. Only while no unit and no handler responds
    /// for the CPU, and only if it flushes everything before it uses a translation, or has just
    /// done so.
    pub(crate) fn end_open_entries(&self, state: &PerCpu) {
        for slot in SlotIndex::all() {
            self.end_entry(state, slot);
        }
    }

    /// Answers one entry, if it is open, by what a full flush is worth to it.
    fn end_entry(&self, state: &PerCpu, slot: SlotIndex) {
        let byte = state.vector().load(slot);
        if !byte.is_final() {
            let answer = self.answer_of_a_full_flush(slot);
            state.vector().finish(slot, byte, answer);
        }
    }

    /// What a full flush is worth to an entry: success to those that ask for a flush of this kind,
    /// failure to any other.
    fn answer_of_a_full_flush(&self, slot: SlotIndex) -> ActionState {
        match Operation::decode(&self.table().load_for_unit(slot)) {
            Ok(Operation::Invpg { .. } | Operation::Invpcid(_)) => ActionState::Success,
            _ => ActionState::Failure,
        }
    }

    /// Ends the CPU's part: what is open in its vector is answered by one full flush. Only with RAR
    /// disabled here.
    ///
    /// An entry that is armed after the scan stays pending until the CPU clears its vector on its
    /// way up.
    pub(crate) fn answer_by_one_flush(
        &self,
        cpu: &PinnedCpu<'_>,
        state: &PerCpu,
        tlb: &(impl LocalTlb + ?Sized),
    ) {
        let microcode = state.responder() == Responder::Microcode;
        let mut open = 0_u64;
        for slot in SlotIndex::all() {
            // A byte that a unit was working on when it was disabled will not become final by
            // itself; one that an interrupted software responder has taken will.
            let is_ours =
                state.vector().take(slot) || microcode && !state.vector().load(slot).is_final();
            open |= u64::from(is_ours) << slot.get();
        }
        fence(Ordering::SeqCst);
        tlb.flush_everything(cpu);
        state.generation().complete(cpu, tlb);
        for slot in slots_of(open) {
            self.end_entry(state, slot);
        }
    }
}
