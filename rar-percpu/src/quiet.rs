//! The proof that nothing is pending: what another kernel wants before it takes the machine over.

use crate::action::ActionByte;
use crate::cpu_id::CpuId;
use crate::domain::Domain;
use crate::per_cpu::Responder;
use crate::slot_index::SlotIndex;

/// What is still pending in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotQuiet {
    /// The CPU is online, so that its RAR unit may be enabled.
    Online {
        /// The CPU.
        cpu: CpuId,
    },
    /// The CPU is offline, and has an entry that an initiator armed late.
    Open {
        /// The CPU.
        cpu: CpuId,
        /// The slot of the entry.
        slot: SlotIndex,
        /// Its action byte.
        byte: ActionByte,
    },
    /// A flush holds the slot: it has neither ended nor been dropped.
    InFlight {
        /// The slot.
        slot: SlotIndex,
    },
}

impl core::fmt::Display for NotQuiet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Online { cpu } => write!(
                f,
                "CPU {cpu}: online, so its RAR unit may be enabled; take it offline first"
            ),
            Self::Open { cpu, slot, byte } => write!(
                f,
                "CPU {cpu}: entry pending in slot {slot} (got action byte {:#04x}, expected a \
                 final one); end the flush, or bring the CPU online and offline again",
                byte.0
            ),
            Self::InFlight { slot } => write!(
                f,
                "slot {slot}: a flush has not ended; wait for it or drop it first"
            ),
        }
    }
}

impl core::error::Error for NotQuiet {}

impl<const WORDS: usize> Domain<WORDS> {
    /// Checks that nothing is pending: every CPU is offline with its RAR disabled, every action
    /// byte is final, and no flush holds a slot. For a kernel that hands the machine to another
    /// one (kexec, hibernation).
    ///
    /// From then on no unit reads or writes the memory of this domain, whatever signals come,
    /// until a CPU comes online again. Start no flush meanwhile. Call it on the last CPU, after
    /// that one went offline, too.
    /// It gives slots back that serve no flush any more, as [`reclaim_slots`](Self::reclaim_slots)
    /// does.
    ///
    /// # Errors
    ///
    /// [`NotQuiet`], which names the first CPU and slot that are not quiet.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_percpu::fake::{FakeTlb, pinned};
    /// use rar_percpu::{ApicId, CpuId, Domain, NotQuiet, PerCpu, SoftwareCpu};
    ///
    /// static DOMAIN: Domain = Domain::new();
    /// static MEMORY: PerCpu = PerCpu::new();
    /// let (cpu, tlb) = (pinned(0), FakeTlb::<1>::new());
    /// DOMAIN.register(cpu.id(), ApicId::new(0), &MEMORY)?;
    /// let online = SoftwareCpu::bring_online(&DOMAIN, &cpu, &tlb)?;
    /// assert_eq!(DOMAIN.check_quiet(), Err(NotQuiet::Online { cpu: CpuId::new(0) }));
    /// // SAFETY: a host; the CPU uses no translation.
    /// unsafe { online.take_offline(&cpu, &tlb) }?;
    /// assert_eq!(DOMAIN.check_quiet(), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_quiet(&self) -> Result<(), NotQuiet> {
        for cpu in self.registered().iter() {
            let Some(state) = self.cpu(cpu) else {
                continue;
            };
            if self.is_online(cpu) || state.responder() != Responder::None {
                return Err(NotQuiet::Online { cpu });
            }
            for slot in SlotIndex::all() {
                let byte = state.vector().load(slot);
                if !byte.is_final() {
                    return Err(NotQuiet::Open { cpu, slot, byte });
                }
            }
        }
        self.reclaim_slots();
        // No CPU has this number, and none waits for the slot that is claimed for a moment.
        let owner = CpuId::new(u32::MAX);
        for slot in SlotIndex::first(self.entries()) {
            let Some(claim) = self.slots().claim_at(slot, owner) else {
                return Err(NotQuiet::InFlight { slot });
            };
            self.slots().give_back(&claim);
        }
        Ok(())
    }
}
