//! The machine boundary of the test suite, on this kernel.

mod membership;
mod space;
mod transcript;
mod units;
mod warm_up;

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_payload::Pcid;
use rar_percpu::{CpuId, Domain, PayloadTable, PinnedCpu};
use rar_regs::RarSupport;
use rar_shootdown::{Machine, Policy, Shootdown, Ticks};
use rar_suite::{
    Frame, Hearing, Lab, Mapping, Offences, Page, PageFault, Space, StoreKind, Suite, Units,
};
use rar_vrar::{Cpu, Record};

use self::space::{TestFrames, TestSpace, address, span};
use self::warm_up::WarmUp;
use super::exit::{ExitCode, exit};
use super::paging::MapError;
use super::{
    KernelMachine, Once, apic, clock, irq, kernel, percpu, probe, set_interrupt_handler, smp, unit,
    vector,
};
use crate::println;

const CPUS: usize = rar_suite::MAX_CPUS;
/// All entries of the table, where no hardware limits them.
const ENTRIES: usize = 64;
/// How long [`Lab::interrupt_self`] waits for its handler, in milliseconds.
const OWN_INTERRUPT_MILLISECONDS: u64 = 10_000;

static TABLE: PayloadTable = PayloadTable::new();
static STATES: [rar_percpu::PerCpu; CPUS] = [const { rar_percpu::PerCpu::new() }; CPUS];
static DOMAIN: Domain<'static> = Domain::new(&TABLE, &STATES);
static MACHINE: Once<KernelMachine> = Once::new();
static LAB: Once<KernelLab> = Once::new();

/// The laboratory: two address spaces, frames, and the shootdown under test.
#[derive(Debug)]
pub struct KernelLab {
    suite: &'static Suite,
    shootdown: Shootdown<'static, KernelMachine>,
    first: TestSpace,
    second: TestSpace,
    frames: TestFrames,
    warm_up: WarmUp,
    /// For each CPU: which of the interrupts it pretends not to hear.
    hearing: [AtomicU8; CPUS],
    /// For each CPU: how often its self-interrupt was handled.
    own: [AtomicU64; CPUS],
    /// For each CPU: how many entries its unit had executed when it flushed everything last.
    executed: [AtomicU64; CPUS],
}

const HEARS_SIGNAL: u8 = 1;
const HEARS_FALLBACK: u8 = 2;

/// Makes the laboratory and sets the interrupt handlers. Called by CPU 0, once.
///
/// `deadline` is how many milliseconds a target may take to answer the signal; the fallback gets twice that.
///
/// With `support` CPUs answer by their RAR units, otherwise in software.
///
/// # Errors
///
/// [`MapError`] when memory is exhausted.
pub fn start(
    suite: &'static Suite,
    deadline: u64,
    support: Option<RarSupport>,
) -> Result<&'static KernelLab, MapError> {
    let machine = MACHINE
        .set(KernelMachine::new(support))
        .ok_or(MapError::TooEarly)?;
    let deadline = deadline.saturating_mul(clock::ticks_per_millisecond());
    // A virtual CPU may not run for a while: what is a bound against hanging on a machine would show as a fallback here.
    let policy = Policy {
        answer: deadline,
        fallback: deadline.saturating_mul(2),
        slot: deadline,
        ..Policy::for_clock(clock::ticks_per_millisecond())
    };
    let entries = support.map_or(ENTRIES, |support| usize::from(support.entries()));
    // Before the spaces, which share what the kernel's space has by then.
    let frames = TestFrames::take()?;
    let warm_up = WarmUp::new(smp::cpus().map_or(1, smp::Cpus::online))?;
    let lab = KernelLab {
        suite,
        shootdown: Shootdown::new(machine, &DOMAIN, entries, policy),
        first: TestSpace::new(pcid(1))?,
        second: TestSpace::new(pcid(2))?,
        frames,
        warm_up,
        hearing: [const { AtomicU8::new(HEARS_SIGNAL | HEARS_FALLBACK) }; CPUS],
        own: [const { AtomicU64::new(0) }; CPUS],
        executed: [const { AtomicU64::new(0) }; CPUS],
    };
    let lab = LAB.set(lab).ok_or(MapError::TooEarly)?;
    set_interrupt_handler(vector::SOFTWARE_SIGNAL, |_| on_signal());
    set_interrupt_handler(vector::FALLBACK, |_| on_fallback());
    set_interrupt_handler(vector::OWN, |_| on_own_interrupt());
    Ok(lab)
}

/// The PCID with this number where PCIDs are on, else 0.
fn pcid(number: u16) -> Pcid {
    let on = kernel().is_some_and(super::Kernel::has_pcid);
    Pcid::new(number).ok().filter(|_| on).unwrap_or(Pcid::ZERO)
}

/// What the shim's unit of this CPU has executed, where there is a shim.
fn record() -> Option<&'static Record> {
    unit::of(percpu::this().apic_id().get()).map(Cpu::record)
}

fn on_signal() {
    let cpu = percpu::pin();
    if let Some(lab) = LAB.get()
        && lab.hears(&cpu, HEARS_SIGNAL)
    {
        let _served = lab.shootdown.serve(&cpu);
    }
}

/// The fallback serves everything, but on a CPU that pretends not to hear the signal: there the action vector stays as it is.
fn on_fallback() {
    let cpu = percpu::pin();
    let Some(lab) = LAB.get() else { return };
    if lab.hears(&cpu, HEARS_SIGNAL) {
        let _served = lab.shootdown.serve(&cpu);
    } else if lab.hears(&cpu, HEARS_FALLBACK) {
        DOMAIN.serve_generation(&cpu, lab.shootdown.machine().tlb());
    }
}

fn on_own_interrupt() {
    if let Some(lab) = LAB.get() {
        lab.suite.on_interrupt(lab);
        lab.own(percpu::this().id()).fetch_add(1, Ordering::Release);
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
)]
impl KernelLab {
    fn hearing(&self, cpu: CpuId) -> &AtomicU8 {
        &self.hearing[cpu.index()]
    }

    fn own(&self, cpu: CpuId) -> &AtomicU64 {
        &self.own[cpu.index()]
    }

    fn executed(&self, cpu: CpuId) -> &AtomicU64 {
        &self.executed[cpu.index()]
    }
}

impl KernelLab {
    fn hears(&self, cpu: &PinnedCpu<'_>, kind: u8) -> bool {
        self.hearing(cpu.id()).load(Ordering::Acquire) & kind != 0
    }

    /// Registers this CPU in the domain and brings it online. Every CPU calls it once, before it runs the suite.
    pub fn join(&self) {
        let cpu = percpu::this();
        if let Err(error) = DOMAIN.register(cpu.id(), cpu.apic_id()) {
            self.give_up(format_args!("{error}"));
        }
        self.come_online();
    }

    fn space(&self, space: Space) -> &TestSpace {
        match space {
            Space::First => &self.first,
            Space::Second => &self.second,
        }
    }
}

impl Lab for KernelLab {
    type Machine = KernelMachine;

    fn shootdown(&self) -> &Shootdown<'_, KernelMachine> {
        &self.shootdown
    }

    fn cpus(&self) -> u32 {
        smp::cpus().map_or(1, smp::Cpus::online)
    }

    fn backend(&self) -> &'static str {
        match self.shootdown.machine().support() {
            None => "software",
            Some(_) if unit::is_shim() => "vrar",
            Some(_) => "hardware",
        }
    }

    fn pin(&self) -> PinnedCpu<'_> {
        percpu::pin()
    }

    fn now(&self) -> Ticks {
        self.shootdown.machine().now()
    }

    fn ticks_per_millisecond(&self) -> u64 {
        clock::ticks_per_millisecond()
    }

    fn relax(&self) {
        core::hint::spin_loop();
    }

    fn address(&self, page: Page) -> u64 {
        address(page)
    }

    fn pcid(&self, space: Space) -> Pcid {
        self.space(space).pcid()
    }

    fn store_frame(&self, frame: Frame, word: u16, value: u64) {
        self.frames.word(frame, word).store(value, Ordering::SeqCst);
    }

    fn load_frame(&self, frame: Frame, word: u16) -> u64 {
        self.frames.word(frame, word).load(Ordering::SeqCst)
    }

    fn map(&self, space: Space, page: Page, mapping: Option<Mapping>) {
        self.space(space)
            .entry(page)
            .store(self.frames.leaf(mapping), Ordering::Release);
    }

    fn map_in_spare(&self, space: Space, page: u16, mapping: Option<Mapping>) {
        self.space(space)
            .spare_entry(page)
            .store(self.frames.leaf(mapping), Ordering::Release);
    }

    fn swap_tables(&self, space: Space) {
        self.space(space).swap();
    }

    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        // SAFETY: an aligned address of the test region; frames are plain memory.
        unsafe { probe::load(address(page) + 8 * u64::from(word)) }.map_err(|_| PageFault)
    }

    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault> {
        let address = address(page) + 8 * u64::from(word);
        match kind {
            // SAFETY: an aligned address of the test region, which leads only to frames that tests own.
            StoreKind::Plain => unsafe { probe::store(address, value) },
            // SAFETY: as above.
            StoreKind::NonTemporal => unsafe { probe::store_non_temporal(address, value) },
        }
        .map_err(|_| PageFault)
    }

    fn enter(&self, space: Space) {
        self.space(space).enter();
    }

    fn flush_own_tlb(&self) {
        use rar_percpu::LocalTlb as _;
        self.warm_up.keep_large(|| {
            self.shootdown
                .machine()
                .tlb()
                .flush_everything(&percpu::pin())
        });
        self.shootdown
            .machine()
            .tlb()
            .flush_everything(&percpu::pin());
        if let Some(record) = record() {
            self.executed(percpu::this().id())
                .store(record.total(), Ordering::Relaxed);
        }
    }

    /// Under the shim every service empties QEMU's TLB, and so does every signal on the CPU that sends it.
    fn asked_to_flush(&self, page: Page) -> Option<bool> {
        self.shootdown.machine().support()?;
        // A CPU alone signals nobody; but beside the large pages of nested tables INVLPG takes too much.
        let alone = self.cpus() == 1 && matches!(apic::get(), Some(apic::LocalApic::X2apic));
        let record = record().filter(|_| !alone)?;
        let since = self.executed(percpu::this().id()).load(Ordering::Relaxed);
        let (span, global) = (span(page), self.first.is_global(page));
        Some(record.since(since).any(|entry| entry.drops(&span, global)))
    }

    fn offences(&self) -> Offences {
        unit::offences()
    }

    fn disable_interrupts(&self) {
        irq::disable();
    }

    fn enable_interrupts(&self) {
        irq::enable();
    }

    fn halt(&self) {
        irq::enable_and_halt();
    }

    fn wake(&self, cpu: CpuId) {
        if let Some(Err(error)) =
            smp::apic_id(cpu.get()).map(|id| apic::send_fixed(id, vector::WAKE))
        {
            self.give_up(format_args!("CPU {cpu} cannot be woken: {error}"));
        }
    }

    fn interrupt_self(&self) {
        let me = percpu::this();
        let handled = self.own(me.id());
        let before = handled.load(Ordering::Acquire);
        if let Err(error) = apic::send_fixed(me.apic_id(), vector::OWN) {
            self.give_up(format_args!("the self-interrupt cannot be sent: {error}"));
        }
        if !clock::wait_until(OWN_INTERRUPT_MILLISECONDS, || {
            handled.load(Ordering::Acquire) != before
        }) {
            self.give_up(format_args!(
                "CPU {} does not take its own interrupt",
                me.number()
            ));
        }
    }

    fn set_hearing(&self, hearing: Hearing) {
        let kinds = match hearing {
            Hearing::Both => HEARS_SIGNAL | HEARS_FALLBACK,
            Hearing::FallbackOnly => HEARS_FALLBACK,
            Hearing::None => 0,
        };
        self.hearing(percpu::this().id())
            .store(kinds, Ordering::Release);
        if let Some(unit) = unit::of(percpu::this().apic_id().get()) {
            unit.set_deaf(kinds & HEARS_SIGNAL == 0);
        }
    }

    fn go_offline(&self) {
        membership::leave(self);
    }

    fn come_online(&self) {
        membership::join(self);
    }

    fn units(&self) -> Option<&dyn Units> {
        self.shootdown
            .machine()
            .support()
            .map(|_| self as &dyn Units)
    }

    fn emit(&self, record: &rar_suite::Record<'_>) {
        transcript::emit(record);
    }

    fn give_up(&self, why: fmt::Arguments<'_>) -> ! {
        println!("GIVING UP on CPU {}: {why}", percpu::this().number());
        exit(ExitCode::Failure)
    }
}
