//! Everything that belongs to one CPU.

use rar_regs::ApicId;

use crate::const_unless_loom;
use crate::generation::FlushGeneration;
use crate::memory::ActionVector;
use crate::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// The x2APIC broadcast, which is no CPU's own.
pub(crate) const NO_APIC_ID: u32 = u32::MAX;
/// Of the responder: nobody responds, and a value drives the CPU on its way up or down.
const CLAIMED: u8 = 3;

/// Who makes the action bytes of a CPU final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Responder {
    /// Nobody: the CPU is offline.
    Nobody,
    /// The CPU's microcode: RAR is enabled.
    Microcode,
    /// The handler of an ordinary interrupt: the CPU runs without RAR.
    Software,
}

/// One CPU's part of a [`Domain`](crate::Domain): its action vector, flush generation and identity, a cache line each.
///
/// The kernel owns the memory: a slice of these, indexed by [`CpuId`](crate::CpuId), for example in a `static`.
#[repr(C)]
#[derive(Debug)]
pub struct PerCpu {
    vector: ActionVector,
    generation: FlushGeneration,
    identity: Identity,
}

#[repr(align(64))]
#[derive(Debug)]
struct Identity {
    apic_id: AtomicU32,
    responder: AtomicU8,
    slots_held: AtomicU8,
    joined: AtomicU64,
}

impl PerCpu {
    const_unless_loom! {
        /// Returns the state of a CPU that was never seen.
        pub fn new() -> Self {
            Self {
                vector: ActionVector::new(),
                generation: FlushGeneration::new(),
                identity: Identity {
                    apic_id: AtomicU32::new(NO_APIC_ID),
                    responder: AtomicU8::new(Responder::Nobody as u8),
                    slots_held: AtomicU8::new(0),
                    joined: AtomicU64::new(0),
                },
            }
        }
    }

    /// Returns the CPU's action vector.
    #[must_use]
    pub fn vector(&self) -> &ActionVector {
        &self.vector
    }

    /// Returns the CPU's flush generation.
    #[must_use]
    pub fn generation(&self) -> &FlushGeneration {
        &self.generation
    }

    /// Returns the CPU's APIC id, or `None` before it was registered.
    #[must_use]
    pub fn apic_id(&self) -> Option<ApicId> {
        match self.identity.apic_id.load(Ordering::Acquire) {
            NO_APIC_ID => None,
            id => Some(ApicId::new(id)),
        }
    }

    /// Returns who makes this CPU's action bytes final.
    #[must_use]
    pub fn responder(&self) -> Responder {
        const MICROCODE: u8 = Responder::Microcode as u8;
        const SOFTWARE: u8 = Responder::Software as u8;
        match self.identity.responder.load(Ordering::Acquire) {
            MICROCODE => Responder::Microcode,
            SOFTWARE => Responder::Software,
            _ => Responder::Nobody,
        }
    }

    /// Returns the count of slots that initiators on this CPU hold. Kept by the orchestrator, for this CPU's own use: who
    /// holds a slot must not wait for another.
    #[must_use]
    pub fn slots_held(&self) -> &AtomicU8 {
        &self.identity.slots_held
    }

    pub(crate) fn set_apic_id(&self, id: ApicId) {
        self.identity.apic_id.store(id.get(), Ordering::Release);
    }

    pub(crate) fn set_responder(&self, responder: Responder) {
        self.identity
            .responder
            .store(responder as u8, Ordering::Release);
    }

    /// Takes the right to drive this CPU; only one value has it at a time.
    pub(crate) fn claim(&self) -> bool {
        self.exchange_responder(Responder::Nobody as u8, CLAIMED)
    }

    /// Gives the right back, unless the CPU is online.
    pub(crate) fn give_back(&self) {
        self.exchange_responder(CLAIMED, Responder::Nobody as u8);
    }

    /// Nobody responds any more, and the right to drive the CPU stays taken.
    pub(crate) fn set_claimed(&self) {
        self.identity.responder.store(CLAIMED, Ordering::Release);
    }

    fn exchange_responder(&self, from: u8, to: u8) -> bool {
        let responder = &self.identity.responder;
        responder
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(crate) fn joined(&self) -> &AtomicU64 {
        &self.identity.joined
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

    // Three lines that different CPUs write at different times: none may share.
    const _: () = assert!(size_of::<PerCpu>() == 3 * 64);
    const _: () = assert!(align_of::<PerCpu>() == 64);
    const _: () = assert!(offset_of!(PerCpu, generation) == 64);
    const _: () = assert!(offset_of!(PerCpu, identity) == 128);
}
