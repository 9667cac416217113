//! The simulated kernel: the driver's machine boundary, and how CPUs come online and go offline.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rar_model::Activity;
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, Enabled, LifeCycleError, PinnedCpu, RarCpu, RegisterError,
    SoftwareCpu,
};
use rar_regs::{Detection, RarSupport, SupportError};
use rar_shootdown::{Instant, Message, NotSent};

use super::hardware::Driver;
use super::{Answering, Clock, DriverMemory, Machine, Registers, STEP, Vector};
use crate::schedule::step;

/// A CPU that is online.
#[derive(Debug)]
pub enum Member<'c, const TLB: usize> {
    /// By its RAR unit.
    Microcode(RarCpu<'c, Registers<'c, TLB>, Enabled>),
    /// By an interrupt handler.
    Software(SoftwareCpu<'c>),
}

impl<'m, const TLB: usize> Machine<'m, TLB> {
    /// Lets the machine run the driver of this domain: registers every CPU's APIC id and memory, as
    /// a kernel does at boot. Only the first call sets the driver.
    ///
    /// # Errors
    ///
    /// As `Domain::register`.
    pub fn register_cpus(&self, domain: &'m Domain) -> Result<(), RegisterError> {
        self.driver.get_or_init(|| Driver {
            domain,
            memory: DriverMemory::new(domain, self.cpus()),
        });
        (0..self.cpus()).try_for_each(|cpu| self.register(cpu))
    }

    /// Registers a CPU's APIC id and memory.
    ///
    /// # Errors
    ///
    /// As `Domain::register`.
    #[expect(clippy::indexing_slicing, reason = "one for each CPU of the machine")]
    pub fn register(&self, cpu: u32) -> Result<(), RegisterError> {
        let apic_id = ApicId::new(self.cpu(cpu).apic_id);
        let memory = &self.driver().cpus()[cpu as usize];
        self.domain().register(CpuId::new(cpu), apic_id, memory)
    }

    /// Detects RAR on CPU 0; `None` for the software backend.
    ///
    /// # Errors
    ///
    /// As `Detection::detect`.
    pub fn detect(&self) -> Result<Option<RarSupport>, SupportError> {
        match self.config.backend {
            Answering::Software => Ok(None),
            Answering::Units => Detection::new().detect(&self.registers(0)).map(Some),
        }
    }

    /// Brings a CPU online.
    ///
    /// # Errors
    ///
    /// As the steps of `RarCpu`, or as `SoftwareCpu::bring_online`.
    pub fn join<'c>(
        &'c self,
        cpu: u32,
        support: Option<RarSupport>,
    ) -> Result<Member<'c, TLB>, LifeCycleError> {
        let me = pinned(cpu);
        self.cpu(cpu).set_answered_in_software(support.is_none());
        let Some(support) = support else {
            return SoftwareCpu::bring_online(self.domain(), &me, self).map(Member::Software);
        };
        let detected = RarCpu::detect(self.domain(), &me, support, self.registers(cpu))?;
        let configured = detected.configure(&me, self.driver())?;
        #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::bring_online")]
        // SAFETY: 1. Nothing happens between `configure` and here. 2. The units reach table and
        // vectors by borrowing them.
        // 3. Nothing on a simulated machine relies on IF to keep a translation.
        let enabled = unsafe { configured.bring_online(&me, self.config.interrupts, self) }?;
        Ok(Member::Microcode(enabled))
    }

    /// Has the handler of an interrupt answer for a CPU from now on, while the CPU stays online.
    ///
    /// # Errors
    ///
    /// As `RarCpu::switch_to_software`.
    pub fn switch_to_software<'c>(
        &self,
        cpu: u32,
        member: Member<'c, TLB>,
    ) -> Result<Member<'c, TLB>, LifeCycleError> {
        let Member::Microcode(unit) = member else {
            return Ok(member);
        };
        let switched = unit.switch_to_software(&pinned(cpu), self);
        let handler = switched.map_err(|stays| stays.cause)?;
        self.cpu(cpu).set_answered_in_software(true);
        Ok(Member::Software(handler))
    }

    /// Takes a CPU offline.
    ///
    /// # Errors
    ///
    /// As `RarCpu::take_offline`, or as `SoftwareCpu::take_offline`.
    pub fn leave(&self, cpu: u32, member: Member<'_, TLB>) -> Result<(), LifeCycleError> {
        let me = pinned(cpu);
        match member {
            #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::take_offline")]
            // SAFETY: 1. and 2. are broken where a test says so: no memory of the host depends on a
            // simulated translation.
            Member::Microcode(unit) => match unsafe { unit.take_offline(&me, self) } {
                Ok(_detected) => Ok(()),
                Err(stays) => Err(stays.cause),
            },
            #[expect(
                unsafe_code,
                reason = "the kernel's promise of SoftwareCpu::take_offline"
            )]
            // SAFETY: as for a unit.
            Member::Software(cpu) => match unsafe { cpu.take_offline(&me, self) } {
                Ok(()) => Ok(()),
                Err(stays) => Err(stays.cause),
            },
        }
    }

    /// Dies: the CPU stops, with its RAR unit off, for `moments` moments.
    pub fn die_for(&self, cpu: u32, moments: u8) {
        let me = self.cpu(cpu);
        self.drain_stores(cpu);
        me.set_dead(true);
        me.power_cycle();
        (0..moments).for_each(|_| step());
        me.take_interrupts();
    }

    /// Drops the interrupts that wait for a CPU, as INIT does.
    pub fn forget_interrupts(&self, cpu: u32) {
        self.cpu(cpu).take_interrupts();
    }

    /// Halts with interrupts enabled until an interrupt waits, and takes it.
    pub fn halt(&self, cpu: u32) {
        self.sleep_while(cpu, Activity::Halted, || true);
    }

    /// Sleeps with interrupts enabled until an interrupt waits, and takes it.
    pub fn sleep_in(&self, cpu: u32, activity: Activity) {
        self.sleep_while(cpu, activity, || true);
    }

    /// Halts with interrupts enabled until an interrupt waits or `moments` moments have passed.
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
    pub fn interrupt(&self, target: u32, vector: Vector) {
        step();
        self.cpu(target).interrupt(vector);
        self.reaches(target);
    }

    /// Lets the kernel of a CPU ignore these interrupts. A RAR unit whose signal is ignored holds
    /// it.
    pub fn set_deaf_to(&self, cpu: u32, vectors: &[Vector]) {
        let me = self.cpu(cpu);
        let bits = vectors.iter().fold(0, |bits, vector| bits | *vector as u8);
        me.deaf_to.store(bits, Ordering::Release);
        if self.config.backend == Answering::Units {
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

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        _: &Domain,
        targets: &CpuSet,
    ) -> Result<(), NotSent> {
        let vector = match message {
            Message::Signal | Message::SecondSignal => match self.config.backend {
                Answering::Units => {
                    self.witness.signals();
                    let mut units = *targets;
                    units.retain(|target| !self.cpu(target.get()).is_answered_in_software());
                    self.send_rar(cpu.id().get(), &units, self.config.addressing);
                    for handler in targets.iter().filter(|target| !units.contains(*target)) {
                        self.interrupt(handler.get(), Vector::Signal);
                    }
                    return Ok(());
                }
                Answering::Software => {
                    self.witness.signals();
                    Vector::Signal
                }
            },
            Message::Interrupt => {
                self.witness.interrupts();
                Vector::Fallback
            }
            Message::Nmi if self.config.nmi => Vector::Nmi,
            _ => return Err(NotSent::Unsupported),
        };
        for target in targets.iter() {
            self.interrupt(target.get(), vector);
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        step();
        let now = match self.config.clock {
            Clock::Steps => {
                let steps = self.steps.load(Ordering::Relaxed) / u64::from(self.cpus());
                STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
            }
            Clock::Time => self.started.elapsed(),
            Clock::Readings => Duration::from_nanos(self.steps.fetch_add(1, Ordering::Relaxed)),
        };
        Instant::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
    }

    fn relax(&self) {
        step();
        self.serve_polled();
        self.watch.spins();
    }
}
