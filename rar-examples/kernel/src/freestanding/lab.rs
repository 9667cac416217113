//! The machine boundary of the test suite, on this kernel.

mod instructions;
mod membership;
mod neighbours;
mod space;
mod transcript;
mod units;
mod user;
mod waiting;
mod warm_up;

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use core::time::Duration;

use rar_payload::{CostModel, Pcid};
use rar_percpu::{CpuId, CpuSet, Domain, PerCpu, PinnedCpu};
use rar_regs::RarSupport;
use rar_shootdown::{Instant, LazySkip, Policy, Shootdown};
use rar_suite::{
    Asked, Backend, Counts, Frame, Guest, Hearing, Lab, Mapping, Offences, Options, Page,
    PageFault, Register, Space, StoreKind, Suite, Units, UserMode, Witness,
};
use rar_vrar::{Cpu, Record};

use self::membership::Members;
use self::space::{TestFrames, TestSpace, address, span};
pub use self::transcript::listen;
use self::user::UserPages;
use self::warm_up::WarmUp;
use super::frames;
use super::frames::Place;
use super::machine::send_fixed;
use super::paging::{self, MapError};
use super::{
    Kernel, KernelMachine, Once, apic, clock, irq, kernel, lost, percpu, probe,
    set_interrupt_handler, smp, unit, vector, vmx, watchdog,
};

const CPUS: usize = rar_suite::MAX_CPUS;
/// All entries of the table, where no hardware limits them.
const ENTRIES: usize = 64;
/// How long [`Lab::interrupt_self`] waits for its handler, in milliseconds.
const OWN_INTERRUPT_MILLISECONDS: u64 = 10_000;

/// What tests of every backend share.
static FRAMES: Once<TestFrames> = Once::new();
static USER: Once<UserPages> = Once::new();
static WARM_UP: Once<WarmUp> = Once::new();
/// The laboratory whose turn it is: interrupts are for it.
static CURRENT: AtomicPtr<KernelLab> = AtomicPtr::new(core::ptr::null_mut());

/// The laboratory of one backend: two address spaces, frames, and the shootdown under test.
#[derive(Debug)]
pub struct KernelLab {
    suite: &'static Suite,
    summary: Once<Counts>,
    shootdown: &'static Shootdown<KernelMachine>,
    /// The memory that the CPUs register with.
    states: &'static [PerCpu],
    members: Members,
    first: TestSpace,
    second: TestSpace,
    frames: &'static TestFrames,
    user: &'static UserPages,
    /// See [`Lab::spares_neighbours`].
    spares_neighbours: bool,
    warm_up: &'static WarmUp,
    cpus: &'static [CpuNotes],
}

/// What the laboratory knows of one CPU: on a line of its own, since others wait for what stands here.
#[derive(Debug)]
#[repr(align(64))]
struct CpuNotes {
    /// Which of the interrupts it pretends not to hear.
    hearing: AtomicU8,
    /// How often its self-interrupt was handled.
    own: AtomicU64,
    /// How many entries its unit had executed when it flushed everything last.
    executed: AtomicU64,
    /// How many interrupts it has handled that ask for nothing.
    bare_ipis: AtomicU64,
}

impl CpuNotes {
    const fn new() -> Self {
        Self {
            hearing: AtomicU8::new(HEARS_SIGNAL | HEARS_FALLBACK),
            own: AtomicU64::new(0),
            executed: AtomicU64::new(0),
            bare_ipis: AtomicU64::new(0),
        }
    }
}

const HEARS_SIGNAL: u8 = 1;
const HEARS_FALLBACK: u8 = 2;

/// Bounds against hanging, for virtual CPUs: one may not run for a while, which would show as a fallback here.
///
/// No second signal is sent: it would make up for a lost one, and a lost signal is what tests must find. Lazy CPUs are skipped for all of the
/// lower half: of what this kernel maps there, only the pages under test ever change. Ranges take the entries that they need: tests
/// look at what was not asked for.
fn policy(deadline: Duration) -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = deadline;
    policy.fallback_timeout = deadline.saturating_mul(2);
    policy.slot_timeout = deadline;
    policy.resignal_after = None;
    policy.lazy = LazySkip::LOWER_HALF;
    policy.costs = CostModel::EXACT;
    policy
}

/// Why there is no laboratory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Something was not mapped, mostly since memory is exhausted.
    Memory(MapError),
    /// This CPU has not left the laboratory before.
    StillOnline {
        /// The CPU.
        cpu: CpuId,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::StillOnline { cpu } => {
                write!(f, "CPU {cpu} has not left the laboratory before this one")
            }
        }
    }
}

impl core::error::Error for StartError {}

impl From<MapError> for StartError {
    fn from(error: MapError) -> Self {
        Self::Memory(error)
    }
}

/// Returns the laboratory that was started last.
#[must_use]
pub fn current() -> Option<&'static KernelLab> {
    // SAFETY: null, or stored by `start` from a 'static reference.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Makes a laboratory with table, vectors and suite of its own, and turns the interrupt handlers to it. Called by CPU 0, when every CPU has
/// [left](KernelLab::leave) the one before.
///
/// `deadline` is how many milliseconds a target may take to answer the signal; the fallback gets twice that.
///
/// With `support` CPUs answer by their RAR units, otherwise in software.
///
/// # Errors
///
/// [`StartError`] when memory is exhausted or a CPU has stayed behind.
pub fn start(deadline: u64, support: Option<RarSupport>) -> Result<&'static KernelLab, StartError> {
    let behind = current().and_then(|lab| lab.domain().online().iter().next());
    if let Some(cpu) = behind {
        return Err(StartError::StillOnline { cpu });
    }
    let shootdown = new_shootdown(deadline, support).ok_or(MapError::OutOfFrames)?;
    let states = frames::place_each_in(Place::Aside, CPUS, PerCpu::new);
    // Before the spaces, which share what the kernel's space has by then.
    let frames = shared(&FRAMES, TestFrames::take)?;
    let user = shared(&USER, UserPages::new)?;
    let warm_up = shared(&WARM_UP, || {
        WarmUp::new(smp::cpus().map_or(1, smp::Cpus::online))
    })?;
    let first = TestSpace::new(pcid(1))?;
    let lab = KernelLab {
        suite: new_suite().ok_or(MapError::OutOfFrames)?,
        summary: Once::new(),
        shootdown,
        states: states.ok_or(MapError::OutOfFrames)?,
        members: Members::new()?,
        spares_neighbours: neighbours::spared(&first, frames),
        first,
        second: TestSpace::new(pcid(2))?,
        frames,
        user,
        warm_up,
        cpus: frames::place_each_in(Place::Aside, CPUS, CpuNotes::new)
            .ok_or(MapError::OutOfFrames)?,
    };
    let lab = frames::place_in(Place::Aside, lab).ok_or(MapError::OutOfFrames)?;
    CURRENT.store(core::ptr::from_ref(lab).cast_mut(), Ordering::Release);
    set_interrupt_handler(vector::SOFTWARE_SIGNAL, |_| on_signal());
    set_interrupt_handler(vector::FALLBACK, |_| on_fallback());
    set_interrupt_handler(vector::OWN, |_| on_own_interrupt());
    set_interrupt_handler(vector::BARE, |_| on_bare_ipi());
    Ok(lab)
}

/// A function of its own, so that what it moves over the stack is gone when it returns: 90 KiB of the 128.
#[inline(never)]
fn new_suite() -> Option<&'static Suite> {
    frames::place_in(Place::Aside, Suite::new())
}

/// A function of its own for the same reason.
#[inline(never)]
fn new_shootdown(
    deadline: u64,
    support: Option<RarSupport>,
) -> Option<&'static Shootdown<KernelMachine>> {
    let witness = frames::place_in(Place::Aside, Witness::new())?;
    let machine = KernelMachine::new(support, witness);
    let policy = policy(Duration::from_millis(deadline));
    frames::place_in(Place::Aside, Shootdown::new(machine, policy))
}

/// Returns the value, which the first call makes.
fn shared<T>(
    cell: &'static Once<T>,
    make: impl FnOnce() -> Result<T, MapError>,
) -> Result<&'static T, MapError> {
    match cell.get() {
        Some(value) => Ok(value),
        None => cell.set(make()?).ok_or(MapError::TooEarly),
    }
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

/// Where units answer, a CPU without one gets the signal in vain: every test is to tell.
fn on_signal() {
    let cpu = percpu::pin();
    if let Some(lab) = current()
        && lab.hears(&cpu, HEARS_SIGNAL)
        && lab.shootdown.machine().support().is_none()
    {
        let _served = lab.shootdown.serve(&cpu);
    }
}

fn on_fallback() {
    if let Some(lab) = current() {
        lab.serve_as_heard();
    }
}

/// The last resort, and what one measurement sends; it may have interrupted anything, and what it calls may be nested in itself.
pub(super) fn on_nmi() {
    if let Some(lab) = current() {
        lab.serve_as_heard();
    }
}

fn on_own_interrupt() {
    if let Some(lab) = current() {
        lab.suite.on_interrupt(lab);
        lab.own(percpu::this().id()).fetch_add(1, Ordering::Release);
    }
}

fn on_bare_ipi() {
    if let Some(lab) = current() {
        let count = &lab.notes(percpu::this().id()).bare_ipis;
        count.fetch_add(1, Ordering::Release);
    }
}

impl KernelLab {
    fn notes(&self, cpu: CpuId) -> &CpuNotes {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.cpus[cpu.index()]
    }

    fn hearing(&self, cpu: CpuId) -> &AtomicU8 {
        &self.notes(cpu).hearing
    }

    fn own(&self, cpu: CpuId) -> &AtomicU64 {
        &self.notes(cpu).own
    }

    fn executed(&self, cpu: CpuId) -> &AtomicU64 {
        &self.notes(cpu).executed
    }
}

impl KernelLab {
    fn hears(&self, cpu: &PinnedCpu<'_>, kind: u8) -> bool {
        self.hearing(cpu.id()).load(Ordering::Acquire) & kind != 0
    }

    fn domain(&self) -> &'static Domain {
        self.shootdown.domain()
    }

    /// Serves everything, but on a CPU that pretends not to hear the signal: there the action vector stays as it is.
    fn serve_as_heard(&self) {
        let cpu = percpu::pin();
        if self.hears(&cpu, HEARS_SIGNAL) {
            let _served = self.shootdown.serve(&cpu);
        } else if self.hears(&cpu, HEARS_FALLBACK) {
            let tlb = self.shootdown.machine();
            self.domain().serve_generation(&cpu, tlb);
        }
    }

    /// Brings this CPU online, runs the suite, and leaves. Every CPU calls it once; all get the same summary.
    pub fn run(&self, options: &Options<'_>) -> Counts {
        self.join();
        let summary = self.suite.run(self, options);
        let _first = self.summary.set(summary);
        self.leave();
        summary
    }

    /// Returns how the suite ended, once it has.
    #[must_use]
    pub fn summary(&self) -> Option<Counts> {
        self.summary.get().copied()
    }

    /// Registers this CPU in the domain and brings it online. Every CPU calls it once, before it runs the suite.
    pub fn join(&self) {
        let cpu = percpu::this();
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        let memory = &self.states[cpu.id().index()];
        if let Err(error) = self.domain().register(cpu.id(), cpu.apic_id(), memory) {
            self.give_up(format_args!("{error}"));
        }
        self.come_online();
    }

    /// Takes this CPU offline for good: its unit is disabled, and it is back in the kernel's space.
    pub fn leave(&self) {
        self.set_hearing(Hearing::Both);
        membership::leave(self);
        if self.shootdown.machine().support().is_some() {
            // A test that failed may have left the unit enabled behind the driver's back.
            // SAFETY: a disabled unit touches no memory.
            let _refused = unsafe { probe::write_register(Register::Control as u32, 0) };
        }
        paging::enter_kernel_space();
        self.flush_own_tlb();
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

    fn shootdown(&self) -> &Shootdown<KernelMachine> {
        self.shootdown
    }

    fn witness(&self) -> &Witness {
        self.shootdown.machine().witness()
    }

    fn entries(&self) -> usize {
        if self.shootdown.machine().support().is_none() {
            return ENTRIES;
        }
        // SAFETY: reading a register of a unit changes nothing.
        let info = unsafe { probe::read_register(Register::Info as u32) };
        // 37:32 is the highest index.
        info.map_or(ENTRIES, |info| (info >> 32 & 0x3F) as usize + 1)
    }

    fn cpus(&self) -> u32 {
        smp::cpus().map_or(1, smp::Cpus::online)
    }

    fn backend(&self) -> Backend {
        match self.shootdown.machine().support() {
            None => Backend::Software,
            Some(_) if unit::is_shim() => Backend::Vrar,
            Some(_) => Backend::Hardware,
        }
    }

    fn pin(&self) -> PinnedCpu<'_> {
        percpu::pin()
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(clock::nanoseconds())
    }

    fn ticks(&self) -> u64 {
        clock::between()
    }

    fn ticks_per_millisecond(&self) -> u64 {
        clock::ticks_per_millisecond()
    }

    fn patience_seconds(&self) -> u64 {
        watchdog::patience_seconds()
    }

    fn relax(&self) {
        // A CPU that resets itself cannot start itself.
        smp::help();
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
        lost::stop_if_wanted();
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
        self.warm_up.empty(instructions::flush_everything);
        if let Some(record) = record() {
            self.executed(percpu::this().id())
                .store(record.total(), Ordering::Relaxed);
        }
    }

    fn invlpg(&self, page: Page) {
        instructions::invlpg(address(page));
    }

    /// Under the shim every service empties QEMU's TLB, and so does every signal on the CPU that sends it.
    fn asked_to_flush(&self, page: Page) -> Option<Asked> {
        self.shootdown.machine().support()?;
        // A CPU alone signals nobody; but beside the large pages of nested tables INVLPG takes too much.
        let alone = self.cpus() == 1 && matches!(apic::get(), Some(apic::LocalApic::X2apic));
        let record = record().filter(|_| !alone)?;
        let since = self.executed(percpu::this().id()).load(Ordering::Relaxed);
        let (span, global) = (span(page), self.first.is_global(page));
        Some(
            match record.since(since).any(|entry| entry.drops(&span, global)) {
                true => Asked::Yes,
                false if record.has_all_since(since) => Asked::No,
                false => Asked::Forgotten,
            },
        )
    }

    fn spares_neighbours(&self) -> bool {
        self.spares_neighbours
    }

    fn offences(&self) -> Offences {
        unit::offences()
    }

    fn has_global_pages(&self) -> bool {
        kernel().is_some_and(Kernel::has_global_pages)
    }

    fn has_interrupts(&self) -> bool {
        apic::get().is_some()
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

    fn has_nmi(&self) -> bool {
        self.shootdown.machine().support().is_none() && self.shootdown.machine().has_nmi()
    }

    fn send_nmi(&self, cpu: CpuId) {
        // One that is not sent shows as one that is not answered.
        let _ = smp::apic_id(cpu.get()).map(apic::send_nmi);
    }

    fn send_bare_ipi(&self, targets: &CpuSet) -> bool {
        send_fixed(self.domain(), targets, vector::BARE).is_ok()
    }

    fn bare_ipis(&self, cpu: CpuId) -> &AtomicU64 {
        &self.notes(cpu).bare_ipis
    }

    fn has_bare_exit(&self) -> bool {
        self.backend() == Backend::Vrar
    }

    fn bare_exit(&self) -> bool {
        instructions::call_the_shim();
        true
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

    fn verify_unit(&self) {
        membership::verify(self);
    }

    fn user_mode(&self) -> Option<&dyn UserMode> {
        Some(self)
    }

    fn guest(&self) -> Result<&dyn Guest, &'static str> {
        vmx::obstacle().map_or(Ok(self), Err)
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
        lost::give_up(lost::Cause::Hung, why)
    }
}
