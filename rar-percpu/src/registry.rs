//! Which CPU has which number, which APIC id, and which memory.

use rar_regs::ApicId;

use crate::cpu_id::CpuId;
use crate::cpu_set::CpuSet;
use crate::domain::Domain;
use crate::per_cpu::PerCpu;
use crate::register_error::RegisterError;
use crate::sync::{Ordering, fence};

/// The next number of a domain. Of `core` under loom too: no model depends on its value.
static NEXT_DOMAIN: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(1);

impl<const WORDS: usize> Domain<WORDS> {
    /// Gives a CPU its number, its APIC id and its memory; the same again is fine (a CPU that comes
    /// back).
    ///
    /// With the feature `critical-section` it runs inside the kernel's critical section: of two
    /// CPUs that ask for one APIC id at once exactly one gets it. Without, each publishes itself,
    /// executes a full fence, and then looks for the other: at most one gets it. It is not on the
    /// flush path, and no CPU that is online calls it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when the APIC id is the broadcast, when the number is beyond the sets,
    /// when the CPU or its number has another APIC id or other memory, when another CPU has this
    /// APIC id, or when the memory is in use or was ever registered with another number or another
    /// domain.
    pub fn register(
        &self,
        cpu: CpuId,
        apic_id: ApicId,
        memory: &'static PerCpu,
    ) -> Result<(), RegisterError> {
        if apic_id == ApicId::X2APIC_BROADCAST {
            return Err(RegisterError::Broadcast { cpu, apic_id });
        }
        let capacity = CpuSet::<WORDS>::CAPACITY;
        if cpu.index() >= capacity {
            return Err(RegisterError::NoRoom { cpu, capacity });
        }
        exclusively(|| self.register_alone(cpu, apic_id, memory))
    }

    fn register_alone(
        &self,
        cpu: CpuId,
        apic_id: ApicId,
        memory: &'static PerCpu,
    ) -> Result<(), RegisterError> {
        if let Some(mine) = self.cpu(cpu) {
            return match mine.apic_id() {
                _ if !core::ptr::eq(mine, memory) => Err(RegisterError::OtherMemory { cpu }),
                Some(registered) if registered != apic_id => Err(RegisterError::OtherApicId {
                    cpu,
                    registered,
                    requested: apic_id,
                }),
                _ => Ok(()),
            };
        }
        if !memory.take_memory(self.number(), cpu) {
            return Err(RegisterError::MemoryInUse { cpu });
        }
        // Until it is known that no other CPU has the APIC id, nothing brings this one up.
        let Some(life) = memory.claim() else {
            memory.give_memory_back();
            return Err(RegisterError::MemoryInUse { cpu });
        };
        if !self.cpus().set(cpu, memory) {
            memory.give_back(life);
            memory.give_memory_back();
            return Err(RegisterError::OtherMemory { cpu });
        }
        memory.set_apic_id(apic_id);
        self.clusters_known().note(cpu, apic_id);
        // The number was found to be below the capacity.
        let _fits = self.registered_set().insert(cpu);
        // Publish, full fence, then look.
        fence(Ordering::SeqCst);
        let twin = self.registered().iter().find(|other| {
            *other != cpu && self.cpu(*other).and_then(PerCpu::apic_id) == Some(apic_id)
        });
        if let Some(other) = twin {
            self.forget(cpu, memory);
            return Err(RegisterError::ApicIdTaken {
                cpu,
                other,
                apic_id,
            });
        }
        memory.give_back(life);
        Ok(())
    }

    /// Takes number and APIC id from a CPU that is offline, so that another can have them. The
    /// memory stays with the number.
    ///
    /// Its counts go to the sum of the domain. If the CPU calls the library meanwhile, some may be
    /// lost or stand there twice.
    ///
    /// # Errors
    ///
    /// [`RegisterError::NotRegistered`], or [`RegisterError::Driven`] while the CPU is online or a
    /// value drives it.
    pub fn unregister(&self, cpu: CpuId) -> Result<(), RegisterError> {
        let state = self.cpu(cpu).ok_or(RegisterError::NotRegistered { cpu })?;
        // One value at a time has the right to drive the CPU; the right ends with the life.
        let _life = state.claim().ok_or(RegisterError::Driven { cpu })?;
        self.forget(cpu, state);
        Ok(())
    }

    /// Ends the life of a CPU that is dead: every flush that waits for it ends as if it had
    /// flushed, and its number and its APIC id can be given to another. The memory stays with the
    /// number.
    ///
    /// The entries that it had not answered are settled. Values that drove it (`RarCpu`,
    /// `SoftwareCpu`) drive nothing any more. Flushes that it had started itself keep their slots
    /// until their targets have answered.
    ///
    /// # Safety
    ///
    /// Memory is freed that the CPU may have cached:
    ///
    /// 1. The CPU executes no instruction and uses no translation any more, until it has been
    ///    brought up again through [`RarCpu`](crate::RarCpu) or
    ///    [`SoftwareCpu`](crate::SoftwareCpu); both flush everything first. Its number is
    ///    registered again only after this call has returned, and so has every other call for it of
    ///    this function or of [`unregister`](Self::unregister): one that is late would take the
    ///    next CPU of that number out of the flushes.
    /// 2. Its RAR unit does nothing any more until then: the CPU was reset, switched off or
    ///    unplugged, or its RAR was disabled. A CPU that only halts can go on answering, and must
    ///    not be declared dead while its unit is enabled.
    #[expect(unsafe_code, reason = "memory is freed on the word of the caller")]
    pub unsafe fn declare_dead(&self, cpu: CpuId) {
        let Some(state) = self.cpu(cpu) else {
            return;
        };
        self.online_set().take_out(cpu);
        fence(Ordering::SeqCst);
        self.end_open_entries(state);
        state.generation().clear_modes();
        self.slots().abandon(cpu);
        self.forget(cpu, state);
    }

    fn forget(&self, cpu: CpuId, memory: &PerCpu) {
        self.registered_set().take_out(cpu);
        memory.clear_apic_id();
        // The CPU counts no more: it is offline, or dead.
        self.counters_of_others().take(memory.counters());
        // Release: the open entries are ended. Partner: `needs_no_answer`.
        self.cpus().clear(cpu);
        memory.end_life();
        // Partner: the fence between a demotion and its second look at the CPU.
        fence(Ordering::SeqCst);
        self.promote(memory);
        memory.give_memory_back();
    }

    /// This domain's number, which nothing but [`PerCpu`] keeps.
    fn number(&self) -> u32 {
        let fresh = NEXT_DOMAIN.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        match self
            .id()
            .compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => fresh,
            Err(number) => number,
        }
    }
}

/// Runs `body` inside the kernel's critical section, where the kernel has one.
#[cfg(all(feature = "critical-section", not(rar_loom)))]
fn exclusively<T>(body: impl FnOnce() -> T) -> T {
    critical_section::with(|_| body())
}

// Under loom never: what is to be shown is that it does without.
#[cfg(any(not(feature = "critical-section"), rar_loom))]
fn exclusively<T>(body: impl FnOnce() -> T) -> T {
    body()
}
