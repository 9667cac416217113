//! What the simulated kernel gives the driver: its machine boundary, and its CPUs' way online and offline.

use std::sync::atomic::Ordering;

use rar_model::Activity;
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, CpuSet, Enabled, LifeCycleError, PinnedCpu, RarCpu, RegisterError, SoftwareCpu,
};
use rar_regs::{Detection, RarSupport, SupportError};
use rar_shootdown::Ticks;

use super::{Machine, Registers, Vector};
use crate::schedule::step;

/// Who answers signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A RAR unit per CPU.
    Hardware,
    /// The handler of an ordinary interrupt.
    Software,
}

/// What the machine's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Steps of the scheduler, shared out among the CPUs.
    Steps,
    /// Microseconds, for CPUs that are threads.
    Time,
}

/// A CPU that is online.
#[derive(Debug)]
pub enum Member<'c, const TLB: usize> {
    /// By its RAR unit.
    Microcode(RarCpu<'c, Registers<'c, TLB>, Enabled>),
    /// By an interrupt handler.
    Software(SoftwareCpu<'c>),
}

impl<'m, const TLB: usize> Machine<'m, TLB> {
    /// Ties every CPU's number to its APIC id, as a kernel does at boot.
    ///
    /// # Errors
    ///
    /// As `Domain::register`.
    pub fn register_cpus(&self) -> Result<(), RegisterError> {
        (0..self.cpus()).try_for_each(|cpu| {
            let apic_id = ApicId::new(self.cpu(cpu).apic_id);
            self.domain.register(CpuId::new(cpu), apic_id)
        })
    }

    /// Detects RAR on CPU 0; `None` for the software backend.
    ///
    /// # Errors
    ///
    /// As `Detection::detect`.
    pub fn detect(&self) -> Result<Option<RarSupport>, SupportError> {
        match self.config.backend {
            Backend::Software => Ok(None),
            Backend::Hardware => Detection::new().detect(&Registers(self.cpu(0))).map(Some),
        }
    }

    /// Brings a CPU online.
    ///
    /// # Errors
    ///
    /// As the steps of `RarCpu`, or as `SoftwareCpu::join`.
    pub fn join<'c>(
        &'c self,
        cpu: u32,
        support: Option<RarSupport>,
    ) -> Result<Member<'c, TLB>, LifeCycleError> {
        let me = pinned(cpu);
        let Some(support) = support else {
            return SoftwareCpu::join(self.domain, &me, self).map(Member::Software);
        };
        let detected = RarCpu::detect(self.domain, &me, support, Registers(self.cpu(cpu)))?;
        let configured = detected.configure(&me, &self.driver)?;
        #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::enable")]
        // SAFETY: 1. Nothing happens between `configure` and here. 2. The units reach table and vectors by borrowing them.
        // 3. Nothing on a simulated machine relies on IF to keep a translation.
        let enabled = unsafe { configured.enable(&me, self.config.interrupts, self) }?;
        Ok(Member::Microcode(enabled))
    }

    /// Takes a CPU offline.
    ///
    /// # Errors
    ///
    /// As `RarCpu::disable`, or as `SoftwareCpu::leave`.
    pub fn leave(&self, cpu: u32, member: Member<'_, TLB>) -> Result<(), LifeCycleError> {
        let me = pinned(cpu);
        match member {
            Member::Microcode(unit) => match unit.disable(&me, self) {
                Ok(_detected) => Ok(()),
                Err(stays) => Err(stays.error),
            },
            Member::Software(cpu) => match cpu.leave(&me, self) {
                Ok(()) => Ok(()),
                Err(stays) => Err(stays.error),
            },
        }
    }

    /// Halts with interrupts enabled until one waits, and takes it.
    pub fn halt(&self, cpu: u32) {
        self.sleep_while(cpu, Activity::Halted, || true);
    }

    /// Sleeps with interrupts enabled until one waits, and takes it.
    pub fn sleep_in(&self, cpu: u32, activity: Activity) {
        self.sleep_while(cpu, activity, || true);
    }

    /// Halts with interrupts enabled until one waits or so many moments have passed.
    pub fn halt_for(&self, cpu: u32, moments: u8) {
        let mut left = moments;
        self.sleep_while(cpu, Activity::Halted, || {
            left = left.saturating_sub(1);
            left > 0
        });
    }

    fn sleep_while(&self, cpu: u32, activity: Activity, mut goes_on: impl FnMut() -> bool) {
        let me = self.cpu(cpu);
        me.set_activity(activity);
        me.set_interrupts(true);
        let is_asleep = || me.with_unit(|unit| unit.activity()) == activity;
        while !me.interrupt_waits() && is_asleep() && goes_on() {
            self.sleep(cpu);
        }
        me.set_activity(Activity::Running);
        step();
    }

    /// Sends an ordinary interrupt.
    pub fn send(&self, target: u32, vector: Vector) {
        step();
        self.cpu(target).interrupt(vector);
    }

    /// Has the kernel of a CPU ignore an interrupt from now on; a RAR unit whose signal is ignored holds it.
    pub fn set_deaf_to(&self, cpu: u32, vectors: &[Vector]) {
        let me = self.cpu(cpu);
        let bits = vectors.iter().fold(0, |bits, vector| bits | *vector as u8);
        me.deaf_to.store(bits, Ordering::Release);
        if self.config.backend == Backend::Hardware {
            me.set_activity(if self.is_deaf_to(cpu, Vector::Signal) {
                Activity::Inhibited
            } else {
                Activity::Running
            });
        }
    }

    pub(super) fn is_deaf_to(&self, cpu: u32, vector: Vector) -> bool {
        self.cpu(cpu).deaf_to.load(Ordering::Acquire) & vector as u8 != 0
    }
}

impl<const TLB: usize> rar_shootdown::Machine for Machine<'_, TLB> {
    type Tlb = Self;

    fn tlb(&self) -> &Self {
        self
    }

    fn signal<const WORDS: usize>(&self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        self.witness.signals();
        match self.config.backend {
            Backend::Hardware => {
                self.send_rar(cpu.id().get(), targets, self.config.addressing);
            }
            Backend::Software => targets
                .iter()
                .for_each(|target| self.send(target.get(), Vector::Signal)),
        }
    }

    fn interrupt<const WORDS: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        self.witness.interrupts();
        targets
            .iter()
            .for_each(|target| self.send(target.get(), Vector::Fallback));
    }

    fn now(&self) -> Ticks {
        step();
        Ticks(match self.config.clock {
            Clock::Steps => self.steps.load(Ordering::Relaxed) / u64::from(self.cpus()),
            Clock::Time => u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    fn relax(&self) {
        step();
    }
}
