//! The machine: processors, TLBs, page tables, memory, and what the driver asks of an operating system.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rar_model::{InterruptFlag, Knobs, RarUnit, Serviced, Signalled, Translation};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuSet, Domain, PinnedCpu};
use rar_shootdown::{Instant, Machine, Message, NotSent, Shootdown};

use super::memory::DriverMemory;
use super::page_tables::PageTables;
use super::processor::{Processor, Registers};
use super::tlbs::{Tlbs, UnitTlb};
use super::{APIC_IDS, Addressing, Config, PCID};

const MOST_RECORDS: usize = 4096;

/// When a unit gets to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Within the signal.
    Prompt,
    /// Whenever somebody spins: one chance for each CPU a round.
    Polled,
    /// When the test calls [`Board::step`].
    Manual,
    /// On a thread of its own per CPU; the clock is real.
    Threads,
}

/// The driver that the machine runs.
#[derive(Debug)]
struct Driver<'m> {
    domain: &'m Domain<1>,
    memory: DriverMemory<'m>,
}

/// The driver of a board.
pub(crate) type BoardShootdown<'m, const TLB: usize> = Shootdown<&'m Board<'m, TLB>, 1>;

/// A machine whose CPUs have RAR.
#[derive(Debug)]
pub(crate) struct Board<'m, const TLB: usize> {
    driver: OnceLock<Driver<'m>>,
    pub(crate) processors: Vec<Processor>,
    pub(crate) tlbs: Tlbs<TLB>,
    pub(crate) tables: PageTables,
    pub(crate) addressing: Addressing,
    /// Calls of the driver that ask for ordinary interrupts.
    pub(crate) interrupts: AtomicU64,
    /// Interrupt commands written.
    pub(crate) commands: AtomicU64,
    /// Signals that some unit lost.
    pub(crate) dropped: AtomicU64,
    /// Signals that met an earlier one.
    pub(crate) merged: AtomicU64,
    service: Service,
    clock: AtomicU64,
    started: std::time::Instant,
    stop: AtomicBool,
}

impl<'m, const TLB: usize> Board<'m, TLB> {
    /// A machine with one CPU for each member of `knobs`, all off.
    pub(crate) fn new(config: &Config, knobs: &[Knobs]) -> Self {
        Self {
            driver: OnceLock::new(),
            processors: knobs
                .iter()
                .zip(APIC_IDS)
                .map(|(knobs, id)| Processor::new(*knobs, id))
                .collect(),
            tlbs: Tlbs::new(knobs.len(), PCID),
            tables: PageTables::default(),
            addressing: config.addressing,
            interrupts: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            service: config.service,
            clock: AtomicU64::new(0),
            started: std::time::Instant::now(),
            stop: AtomicBool::new(false),
        }
    }

    /// Runs the driver of this domain from now on.
    pub(crate) fn attach(&self, domain: &'m Domain<1>) {
        let memory = DriverMemory::new(domain, self.processors.len());
        self.driver.set(Driver { domain, memory }).unwrap();
    }

    pub(crate) fn domain(&self) -> &'m Domain<1> {
        self.driver.get().unwrap().domain
    }

    pub(crate) fn memory(&self) -> &DriverMemory<'m> {
        &self.driver.get().unwrap().memory
    }

    pub(crate) fn registers(&self, cpu: usize) -> Registers<'_> {
        Registers(&self.processors[cpu])
    }

    /// Lets a CPU reach the end of an instruction: microcode serves the unit, then a fallback interrupt is taken if IF allows.
    pub(crate) fn step(&self, cpu: usize) -> Serviced {
        let processor = &self.processors[cpu];
        let flag = processor.interrupt_flag();
        let mut tlb = UnitTlb {
            tlb: self.tlbs.of(cpu),
            stall: &processor.stall,
        };
        let instruction = processor.instruction.lock().unwrap();
        let unit = processor.unit.read().unwrap();
        let served = unit.service_recorded(flag, self.memory(), &mut tlb, &mut |execution| {
            let mut record = processor.record.lock().unwrap();
            if record.len() < MOST_RECORDS {
                record.push(execution);
            }
        });
        drop(unit);
        drop(instruction);
        if flag == InterruptFlag::Set && processor.interrupt.swap(false, Ordering::AcqRel) {
            // The handler of a kernel.
            let _served = self
                .domain()
                .serve(&pinned(u32::try_from(cpu).unwrap()), &self.tlbs);
        }
        served
    }

    /// Sets or clears RFLAGS.IF of a CPU; what was held is served when it is set.
    pub(crate) fn set_interrupts(&self, cpu: usize, flag: InterruptFlag) {
        let on = flag == InterruptFlag::Set;
        self.processors[cpu]
            .interrupts_on
            .store(on, Ordering::Release);
        if on {
            let _served = self.step(cpu);
        }
    }

    /// Replaces the decisions of a CPU's unit, in the middle of things.
    pub(crate) fn set_knobs(&self, cpu: usize, knobs: Knobs) {
        self.processors[cpu].unit.write().unwrap().set_knobs(knobs);
    }

    /// Takes a CPU's power away and gives it back: its unit forgets everything.
    pub(crate) fn power_cycle(&self, cpu: usize) {
        let mut unit = self.processors[cpu].unit.write().unwrap();
        *unit = RarUnit::new(*unit.knobs());
    }

    /// Has every CPU cache every page of every space, as if each had run them all with no flush in between.
    pub(crate) fn warm(&self) {
        for cpu in 0..self.processors.len() {
            let mut tlb = self.tlbs.of(cpu).lock().unwrap();
            for translation in self.tables.leaves() {
                tlb.fill(translation);
            }
            assert_eq!(tlb.iter().count(), self.tables.leaves().len());
        }
    }

    /// Accesses memory on a CPU, under its current PCID, and returns the translation that was used.
    pub(crate) fn access(&self, cpu: usize, address: u64) -> Option<Translation> {
        let mut tlb = self.tlbs.of(cpu).lock().unwrap();
        let cached = tlb.lookup(address);
        cached.or_else(|| {
            let walked = self.tables.walk(tlb.pcid(), address)?;
            tlb.fill(walked);
            Some(walked)
        })
    }

    /// The oracle: what a CPU caches although the page tables give something else.
    pub(crate) fn stale(&self, cpu: usize) -> Vec<Translation> {
        let mut cached = self.tlbs.contents(cpu);
        cached.retain(|held| !self.tables.agree_with(held));
        cached
    }

    /// Gives a CPU the attention that the way of service asks for, after something was sent to it.
    pub(crate) fn attend(&self, cpu: usize) {
        match self.service {
            Service::Prompt => {
                let _served = self.step(cpu);
            }
            Service::Threads => {
                if let Some(thread) = self.processors[cpu].thread.get() {
                    thread.unpark();
                }
            }
            Service::Polled | Service::Manual => {}
        }
    }

    pub(crate) fn count(&self, signalled: Signalled) {
        let counter = match signalled {
            Signalled::Latched => return,
            Signalled::Merged => &self.merged,
            Signalled::Dropped => &self.dropped,
        };
        counter.fetch_add(1, Ordering::AcqRel);
    }

    /// Runs `body` with a thread for the microcode of each CPU if the service asks for it.
    pub(crate) fn with_threads<R>(&self, body: impl FnOnce() -> R) -> R {
        if self.service != Service::Threads {
            return body();
        }
        let _stop = StopOnDrop(self);
        std::thread::scope(|scope| {
            for cpu in 0..self.processors.len() {
                let thread = scope.spawn(move || {
                    while !self.stop.load(Ordering::Acquire) {
                        let _served = self.step(cpu);
                        std::thread::park_timeout(Duration::from_millis(20));
                    }
                });
                let named = self.processors[cpu].thread.set(thread.thread().clone());
                assert!(named.is_ok());
            }
            let _stop = StopOnDrop(self);
            body()
        })
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        for processor in &self.processors {
            processor.stall.store(0, Ordering::Release);
            processor
                .thread
                .get()
                .into_iter()
                .for_each(|thread| thread.unpark());
        }
    }
}

/// Ends the microcode threads, also when a test fails.
struct StopOnDrop<'b, 'm, const TLB: usize>(&'b Board<'m, TLB>);

impl<const TLB: usize> Drop for StopOnDrop<'_, '_, TLB> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<const TLB: usize> Machine<1> for Board<'_, TLB> {
    type Tlb = Tlbs<TLB>;

    fn tlb(&self) -> &Tlbs<TLB> {
        &self.tlbs
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Signal | Message::SecondSignal => self.signal(targets),
            Message::Interrupt => {
                self.interrupts.fetch_add(1, Ordering::AcqRel);
                for target in targets.iter() {
                    let processor = &self.processors[target.index()];
                    processor.interrupt.store(true, Ordering::Release);
                    self.attend(target.index());
                }
            }
            _ => return Err(NotSent::Unsupported),
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(match self.service {
            Service::Threads => u64::try_from(self.started.elapsed().as_nanos()).unwrap(),
            Service::Prompt | Service::Polled | Service::Manual => {
                self.clock.fetch_add(1, Ordering::Relaxed)
            }
        })
    }

    fn relax(&self) {
        for (cpu, processor) in self.processors.iter().enumerate() {
            if self.service == Service::Polled {
                let _served = self.step(cpu);
            }
            let _ended = processor
                .stall
                .try_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                });
        }
        std::thread::yield_now();
    }
}
