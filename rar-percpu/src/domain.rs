//! The CPUs that share one payload table, and who of them is online.

use rar_payload::Operation;
use rar_regs::ApicId;

use crate::action::ActionState;
use crate::const_unless_loom;
use crate::cpu_id::{CpuId, PinnedCpu};
use crate::cpu_set::{AtomicCpuSet, CpuSet, DEFAULT_WORDS};
use crate::local_tlb::LocalTlb;
use crate::memory::PayloadTable;
use crate::per_cpu::{NO_APIC_ID, PerCpu, Responder};
use crate::register_error::RegisterError;
use crate::slot_index::SlotIndex;
use crate::sync::{AtomicU64, Ordering, fence};

/// The CPUs that share one payload table: the memory, the set of those online, and the count of joins.
///
/// A CPU passes through a domain in this order: [`register`](Self::register) once, then online through
/// [`RarCpu`](crate::RarCpu) or [`SoftwareCpu`](crate::SoftwareCpu), and offline through the same value.
///
/// # The order that keeps it right
///
/// An initiator stores to the page table, executes a full fence, and *then* reads which CPUs are online and in the space.
/// A CPU that joins publishes itself, executes a full fence, and *then* flushes. Whichever comes first, either the
/// initiator sees the CPU, or the CPU's flush comes after the store.
#[derive(Debug)]
pub struct Domain<'m, const WORDS: usize = DEFAULT_WORDS> {
    table: &'m PayloadTable,
    cpus: &'m [PerCpu],
    online: AtomicCpuSet<WORDS>,
    joins: AtomicU64,
}

/// A moment in the life of a [`Domain`]: joins before it and joins after it can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Epoch(u64);

/// What one call of [`Domain::serve`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Served {
    /// Entries of this CPU's action vector that were carried out.
    pub succeeded: u8,
    /// Entries that were refused with [`ActionState::Failure`].
    pub failed: u8,
    /// Whether a flush generation was served.
    pub generation: bool,
}

impl<'m, const WORDS: usize> Domain<'m, WORDS> {
    const_unless_loom! {
        /// Returns a domain with nobody online. `cpus` is indexed by [`CpuId`].
        pub fn new(table: &'m PayloadTable, cpus: &'m [PerCpu]) -> Self {
            Self { table, cpus, online: AtomicCpuSet::new(), joins: AtomicU64::new(0) }
        }
    }

    /// Returns the payload table.
    #[must_use]
    pub fn table(&self) -> &'m PayloadTable {
        self.table
    }

    /// Returns the state of every CPU, indexed by [`CpuId`].
    #[must_use]
    pub fn cpus(&self) -> &'m [PerCpu] {
        self.cpus
    }

    /// Returns one CPU's state, or `None` if the domain has no such CPU.
    #[must_use]
    pub fn cpu(&self, cpu: CpuId) -> Option<&'m PerCpu> {
        self.cpus.get(cpu.index())
    }

    /// Returns the CPUs that take part in flushes at this moment.
    #[must_use]
    pub fn online(&self) -> CpuSet<WORDS> {
        self.online.snapshot()
    }

    /// Returns whether a CPU takes part in flushes at this moment.
    #[must_use]
    pub fn is_online(&self, cpu: CpuId) -> bool {
        self.online.contains(cpu)
    }

    /// From now on this CPU uses no translation of user spaces: flushes of them leave it alone, and [`resume`](Self::resume) makes up
    /// for that. For an idle loop, a kernel thread, a guest.
    ///
    /// The CPU must still answer interrupts and signals: flushes of kernel memory and of freed page tables spare nobody.
    #[doc(alias = "lazy TLB")]
    pub fn defer(&self, cpu: &PinnedCpu<'_>) {
        if let Some(state) = self.cpu(cpu.id()) {
            state.generation().defer();
        }
    }

    /// Ends [`defer`](Self::defer): flushes if this CPU was left alone meanwhile, and returns whether it flushed. Before the CPU
    /// uses a translation of a user space again.
    pub fn resume(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        self.cpu(cpu.id())
            .is_some_and(|state| state.generation().resume(cpu, tlb))
    }

    /// Ties a CPU's number to its APIC id, once and for all; the same pair again is fine (a CPU that comes back).
    ///
    /// Runs inside the kernel's critical section, so that two CPUs that come up at once cannot take one identity. It is not
    /// on the flush path, and no CPU that is online calls it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when the APIC id is the broadcast, when the number is beyond the per-CPU memory or the sets, when it already has another APIC id, or
    /// when another CPU has this one.
    pub fn register(&self, cpu: CpuId, apic_id: ApicId) -> Result<(), RegisterError> {
        if apic_id.get() == NO_APIC_ID {
            return Err(RegisterError::Broadcast { cpu, apic_id });
        }
        let capacity = self.cpus.len().min(WORDS * 64);
        let Some(mine) = self.cpu(cpu).filter(|_| cpu.index() < capacity) else {
            return Err(RegisterError::NoRoom { cpu, capacity });
        };
        critical_section::with(|_| {
            if let Some(registered) = mine.apic_id().filter(|id| *id != apic_id) {
                return Err(RegisterError::OtherApicId {
                    cpu,
                    registered,
                    requested: apic_id,
                });
            }
            let twin = (0..)
                .map(CpuId::new)
                .zip(self.cpus)
                .find(|(other, state)| *other != cpu && state.apic_id() == Some(apic_id));
            if let Some((other, _)) = twin {
                return Err(RegisterError::ApicIdTaken {
                    cpu,
                    other,
                    apic_id,
                });
            }
            mine.set_apic_id(apic_id);
            Ok(())
        })
    }

    /// Returns this moment. Read it after the page-table store and a full fence.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.joins.load(Ordering::Acquire))
    }

    /// Returns whether a CPU needs no answer any more: it has gone offline and flushed, or it has come back since, with a full flush that
    /// began after `since`.
    #[must_use]
    pub fn has_left(&self, cpu: CpuId, since: Epoch) -> bool {
        let Some(state) = self.cpu(cpu) else {
            return true;
        };
        // A CPU that is leaving counts only when its responder has ended, which is after its flush.
        let gone = || !self.is_online(cpu) && state.responder() == Responder::Nobody;
        // Acquire: the full flush is before the number. Partner: the Release in `publish_online`.
        gone() || state.joined().load(Ordering::Acquire) > since.0
    }

    /// Carries out in software what this CPU was asked for: its flush generation on every CPU, its action vector only where
    /// [`Responder::Software`] runs.
    ///
    /// The handler of the RAR software interrupt and of the fallback interrupt calls it, and so does everything that spins.
    /// It may be nested: an entry is taken by compare-exchange before its payload is read, so no entry is carried out
    /// twice or reported by someone who does not own it.
    pub fn serve(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> Served {
        let mut served = Served::default();
        let Some(state) = self.cpu(cpu.id()) else {
            return served;
        };
        if state.responder() == Responder::Software {
            for slot in SlotIndex::first(SlotIndex::COUNT) {
                if state.vector().take(slot) {
                    let result = Operation::decode(&self.table.load(slot))
                        .map(|operation| tlb.flush(cpu, &operation));
                    let outcome = if matches!(result, Ok(Ok(()))) {
                        ActionState::Success
                    } else {
                        ActionState::Failure
                    };
                    state.vector().finish(slot, outcome);
                    match outcome {
                        ActionState::Success => served.succeeded += 1,
                        _ => served.failed += 1,
                    }
                }
            }
        }
        served.generation = state.generation().serve(cpu, tlb);
        served
    }

    /// Serves this CPU's flush generation alone, and leaves its action vector; returns whether it flushed.
    pub fn serve_generation(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        self.cpu(cpu.id())
            .is_some_and(|state| state.generation().serve(cpu, tlb))
    }

    /// Ends every entry that is open in this CPU's vector. Only while RAR is disabled on it and nobody responds for it, and
    /// only if a full flush follows before the CPU uses a translation, or has just been made.
    pub(crate) fn clear_vector(&self, state: &PerCpu) {
        for slot in SlotIndex::first(SlotIndex::COUNT) {
            if !state.vector().load(slot).is_final() {
                state
                    .vector()
                    .finish(slot, self.answer_of_a_full_flush(slot));
            }
        }
    }

    /// What a full flush is worth to an entry: success to those that ask for a flush of this kind, failure to any other.
    fn answer_of_a_full_flush(&self, slot: SlotIndex) -> ActionState {
        match Operation::decode(&self.table.load(slot)) {
            Ok(Operation::Invpg { .. } | Operation::Invpcid(_)) => ActionState::Success,
            _ => ActionState::Failure,
        }
    }

    /// Flushes, publishes the CPU as online, and flushes again.
    ///
    /// The first flush drops what the CPU had before, so that it may be targeted. What it caches between that flush and the
    /// publication nobody would flush, hence the second: publish, fence, then flush.
    pub(crate) fn publish_online(
        &self,
        cpu: &PinnedCpu<'_>,
        state: &PerCpu,
        responder: Responder,
        tlb: &impl LocalTlb,
    ) {
        tlb.flush_everything(cpu);
        // Whoever left this CPU alone while it was deferred, before it went: the flush below makes up for it.
        state.generation().clear_marks();
        state.set_responder(responder);
        fence(Ordering::SeqCst);
        // A CPU beyond the set cannot have registered.
        let _registered = self.online.insert(cpu.id());
        let join = self.joins.fetch_add(1, Ordering::AcqRel) + 1;
        fence(Ordering::SeqCst);
        tlb.flush_everything(cpu);
        state.joined().store(join, Ordering::Release);
    }

    /// Takes the CPU out of the online set. Its responder goes on until [`Self::retire`].
    pub(crate) fn publish_offline(&self, cpu: &PinnedCpu<'_>) {
        self.online.remove(cpu.id());
        fence(Ordering::SeqCst);
    }

    /// Ends the CPU's part: what is still open in its vector is answered by one full flush. Only with RAR disabled here.
    ///
    /// An entry that is armed after the scan stays pending until the CPU comes back and clears its vector.
    pub(crate) fn retire(&self, cpu: &PinnedCpu<'_>, state: &PerCpu, tlb: &impl LocalTlb) {
        let microcode = state.responder() == Responder::Microcode;
        let mut open = 0_u64;
        for slot in SlotIndex::first(SlotIndex::COUNT) {
            // A byte that a unit was working on when it was disabled will not become final by itself; one that an interrupted
            // software responder has taken will.
            let left_behind = || microcode && !state.vector().load(slot).is_final();
            open |= u64::from(state.vector().take(slot) || left_behind()) << slot.get();
        }
        fence(Ordering::SeqCst);
        tlb.flush_everything(cpu);
        state.generation().serve(cpu, tlb);
        for slot in SlotIndex::first(SlotIndex::COUNT).filter(|slot| open & 1 << slot.get() != 0) {
            state
                .vector()
                .finish(slot, self.answer_of_a_full_flush(slot));
        }
        // Release: the flush. Partner: `has_left`.
        state.set_claimed();
    }
}
