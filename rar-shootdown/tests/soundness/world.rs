//! A machine of memory whose RAR units, interrupts, TLBs and clock a test controls.

#[path = "world/setup.rs"]
mod setup;

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Duration;

use rar_payload::{Operation, PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{
    ActionByte, ApicId, CpuId, CpuSet, Domain, Enabled, LocalTlb, PerCpu, PinnedCpu, RarCpu,
    Responder, SlotIndex, SoftwareCpu, Unsupported,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy};
use rar_shootdown::{Event, Instant, Machine, Message, NotSent, Policy, Shootdown};

pub(crate) use setup::*;

/// How many CPUs a world has room for.
pub(crate) const CPUS: usize = 24;

pub(crate) type Flusher = Shootdown<World, 1>;

/// What a CPU's RAR unit does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Carries out what is pending and answers SUCCESS, within the call that sends the signal.
    Answers = 0,
    /// Nothing.
    Deaf = 1,
    /// Answers FAILURE and does nothing.
    Refuses = 2,
    /// Answers when the test runs it, by [`World::run_unit`].
    Later = 3,
}

/// Which messages a CPU's handlers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Takes {
    Nothing = 0,
    /// Interrupts are disabled.
    Nmis = 1,
    Interrupts = 2,
}

/// Who answers for a CPU of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Microcode,
    Software,
}

/// What a CPU did to its TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    Operation(Operation),
    Everything,
}

#[derive(Debug, Default)]
pub(crate) struct Tlb {
    log: Mutex<Vec<(u32, Flushed)>>,
    /// How many operations from now on the next refused one is; zero refuses no operation.
    refuse_in: AtomicU32,
}

// SAFETY: 1., 2., 3. hold since there is no translation to keep; 4. a call takes a lock for a push,
// and no handler of a test interrupts it there.
unsafe impl LocalTlb for Tlb {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let refused = self
            .refuse_in
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if refused == Ok(1) {
            return Err(Unsupported);
        }
        self.push(cpu, Flushed::Operation(*operation));
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.push(cpu, Flushed::Everything);
    }
}

impl Tlb {
    fn push(&self, cpu: &PinnedCpu<'_>, flushed: Flushed) {
        self.log.lock().unwrap().push((cpu.id().get(), flushed));
    }

    /// Refuses the operation of that number from now on, 1 being the next.
    pub(crate) fn refuse(&self, number: u32) {
        self.refuse_in.store(number, Ordering::Release);
    }

    /// Forgets what was flushed so far.
    pub(crate) fn clear(&self) {
        self.log.lock().unwrap().clear();
    }

    /// Returns what a CPU flushed, in order.
    pub(crate) fn of(&self, cpu: u32) -> Vec<Flushed> {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|(number, _)| *number == cpu)
            .map(|(_, flushed)| *flushed)
            .collect()
    }

    pub(crate) fn full_flushes(&self, cpu: u32) -> usize {
        let everything = |flushed: &&Flushed| **flushed == Flushed::Everything;
        self.of(cpu).iter().filter(everything).count()
    }

    pub(crate) fn operations(&self, cpu: u32) -> usize {
        self.of(cpu).len() - self.full_flushes(cpu)
    }
}

#[derive(Debug)]
struct Cpu {
    unit: AtomicU8,
    takes: AtomicU8,
    /// How many signals get lost before one is heard.
    loses: AtomicU32,
}

type Hook = Box<dyn FnOnce(&Domain<1>) + Send>;
type Time = Box<dyn FnMut(u64) -> u64 + Send>;

pub(crate) struct World {
    pub(crate) tlb: Tlb,
    cpus: [Cpu; CPUS],
    pub(crate) messages: Mutex<Vec<(Message, CpuSet<1>)>>,
    pub(crate) events: Mutex<Vec<Event>>,
    not_sent: Mutex<[Option<NotSent>; 4]>,
    /// Runs once, when the targets of an interrupt have served it.
    after_interrupt: Mutex<Option<Hook>>,
    looks: AtomicU64,
    /// The time at each look; by default a look is a nanosecond.
    clock: Mutex<Option<Time>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            tlb: Tlb::default(),
            cpus: [const {
                Cpu {
                    unit: AtomicU8::new(0),
                    takes: AtomicU8::new(2),
                    loses: AtomicU32::new(0),
                }
            }; CPUS],
            messages: Mutex::default(),
            events: Mutex::default(),
            not_sent: Mutex::default(),
            after_interrupt: Mutex::default(),
            looks: AtomicU64::new(0),
            clock: Mutex::default(),
        }
    }

    pub(crate) fn set_unit(&self, cpu: u32, unit: Unit) {
        self.cpus[cpu as usize]
            .unit
            .store(unit as u8, Ordering::Release);
    }

    pub(crate) fn set_takes(&self, cpu: u32, takes: Takes) {
        self.cpus[cpu as usize]
            .takes
            .store(takes as u8, Ordering::Release);
    }

    pub(crate) fn lose_signals(&self, cpu: u32, count: u32) {
        self.cpus[cpu as usize]
            .loses
            .store(count, Ordering::Release);
    }

    pub(crate) fn set_not_sent(&self, message: Message, cause: Option<NotSent>) {
        self.not_sent.lock().unwrap()[message as usize] = cause;
    }

    pub(crate) fn after_interrupt(&self, hook: impl FnOnce(&Domain<1>) + Send + 'static) {
        *self.after_interrupt.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn set_clock(&self, time: impl FnMut(u64) -> u64 + Send + 'static) {
        *self.clock.lock().unwrap() = Some(Box::new(time));
    }

    /// Returns how often the clock was read.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Acquire)
    }

    /// Returns how often each message was sent.
    pub(crate) fn sent(&self) -> [usize; 4] {
        let messages = self.messages.lock().unwrap();
        [
            Message::Signal,
            Message::SecondSignal,
            Message::Interrupt,
            Message::Nmi,
        ]
        .map(|kind| {
            messages
                .iter()
                .filter(|(message, _)| *message == kind)
                .count()
        })
    }

    pub(crate) fn count_events(&self, is_this: impl Fn(&Event) -> bool) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| is_this(event)).count()
    }

    /// Has a CPU's unit carry out what is pending in its vector, in ascending order.
    pub(crate) fn run_unit(&self, domain: &Domain<1>, cpu: CpuId, refuses: bool) {
        let Some(state) = domain.cpu(cpu) else {
            return;
        };
        for slot in SlotIndex::all() {
            if state.vector().load(slot) != ActionByte(1) {
                continue;
            }
            let outcome = if refuses {
                0x80
            } else {
                let operation = Operation::decode(&domain.table().load(slot)).unwrap();
                // A unit is not the CPU's software: it refuses nothing that a TLB of a test
                // refuses.
                self.tlb
                    .push(&pinned(cpu.get()), Flushed::Operation(operation));
                0
            };
            write_byte(state, slot, outcome);
        }
    }

    fn signal(&self, domain: &Domain<1>, cpu: CpuId) {
        let this = &self.cpus[cpu.index()];
        let lost = this
            .loses
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if lost.is_ok() {
            return;
        }
        let by_microcode = domain
            .cpu(cpu)
            .is_some_and(|state| state.responder() == Responder::Microcode);
        if !by_microcode {
            self.interrupt(domain, cpu, Takes::Interrupts);
            return;
        }
        let unit = this.unit.load(Ordering::Acquire);
        if unit == Unit::Answers as u8 || unit == Unit::Refuses as u8 {
            self.run_unit(domain, cpu, unit == Unit::Refuses as u8);
        }
    }

    fn interrupt(&self, domain: &Domain<1>, cpu: CpuId, needs: Takes) {
        if self.cpus[cpu.index()].takes.load(Ordering::Acquire) >= needs as u8 {
            domain.answer(&pinned(cpu.get()), &self.tlb);
        }
    }
}

/// Writes a byte of a vector as microcode does.
pub(crate) fn write_byte(cpu: &PerCpu, slot: SlotIndex, byte: u8) {
    let first = core::ptr::from_ref(cpu.vector()).cast::<AtomicU8>();
    // SAFETY: the vector is 64 atomic bytes, and a slot is below 64.
    let place = unsafe { first.add(slot.get()) };
    // SAFETY: as above; the memory lives forever.
    unsafe { &*place }.store(byte, Ordering::Release);
}

impl Machine<1> for World {
    type Tlb = Tlb;

    fn tlb(&self) -> &Tlb {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        self.messages.lock().unwrap().push((message, *targets));
        if let Some(cause) = self.not_sent.lock().unwrap()[message as usize] {
            return Err(cause);
        }
        for cpu in targets.iter() {
            match message {
                Message::Nmi => self.interrupt(domain, cpu, Takes::Nmis),
                Message::Interrupt => self.interrupt(domain, cpu, Takes::Interrupts),
                _ => self.signal(domain, cpu),
            }
        }
        if message == Message::Interrupt {
            let hook = self.after_interrupt.lock().unwrap().take();
            if let Some(hook) = hook {
                hook(domain);
            }
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        let look = self.looks.fetch_add(1, Ordering::AcqRel);
        let mut clock = self.clock.lock().unwrap();
        Instant::from_nanos(clock.as_mut().map_or(look, |time| time(look)))
    }

    fn report(&self, event: &Event) {
        self.events.lock().unwrap().push(*event);
    }
}
