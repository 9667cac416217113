//! The machine boundary of the test suite, on this kernel.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use rar_kernel::machine::send_fixed;
use rar_kernel::{
    Kernel, NMI_VECTOR, apic, clock, forget_sent_nmis, irq, kernel, percpu, probe, send_nmi, smp,
    strays, vector as kernel_vector,
};
use rar_payload::Pcid;
use rar_percpu::{CpuId, CpuSet, PinnedCpu};
use rar_shootdown::{Instant, Shootdown};
use rar_suite::{
    Asked, Backend, Crash, DeafTo, Disturbances, Frame, Guest, Mapping, Page, PageFault, Platform,
    ProtocolViolations, RarUnits, Register, Space, StoreKind, UseBit, UserMode, Witness,
};

use super::abort::{self, Cause};
use super::lab::KernelLab;
use super::lab_machine::LabMachine;
use super::shim::record;
use super::test_space::{address, span};
use super::{
    crash, deaf, fault_injection, instructions, membership, shim, transcript, vector, vmx, watchdog,
};

/// All entries of the table, where no hardware limits them.
const ENTRIES: usize = 64;
/// How long [`Platform::interrupt_self`] waits for its handler, in milliseconds.
const OWN_INTERRUPT_MILLISECONDS: u64 = 10_000;

impl Platform for KernelLab {
    type Machine = LabMachine;

    fn shootdown(&self) -> &Shootdown<LabMachine> {
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
        info.map_or(ENTRIES, |info| (info >> 32 & 0x3f) as usize + 1)
    }

    fn cpus(&self) -> u32 {
        smp::cpus().map_or(1, smp::Cpus::online)
    }

    fn backend(&self) -> Backend {
        match self.shootdown.machine().support() {
            None => Backend::Software,
            Some(_) if shim::is_shim() => Backend::Vrar,
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

    fn timeout_seconds(&self) -> u64 {
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

    fn set_pcid(&self, space: Space, pcid: Pcid) {
        self.space(space).set_pcid(pcid);
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

    fn split_large(&self, space: Space) {
        self.space(space).split_large();
    }

    fn clear_use(&self, space: Space, page: u16, bit: UseBit) {
        self.space(space)
            .entry(Page::Small(page))
            .fetch_and(!bit.mask(), Ordering::SeqCst);
    }

    fn is_used(&self, space: Space, page: u16, bit: UseBit) -> bool {
        let entry = self.space(space).entry(Page::Small(page));
        entry.load(Ordering::SeqCst) & bit.mask() != 0
    }

    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        fault_injection::stop_if_wanted();
        // SAFETY: an aligned address of the test region; frames are plain memory.
        unsafe { probe::load(address(page) + 8 * u64::from(word)) }.map_err(|_| PageFault)
    }

    /// The entry is read from memory, not from a cache.
    fn load_by_walk(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        instructions::evict(self.first.entry(page));
        self.invlpg(page);
        self.load(page, word)
    }

    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault> {
        let address = address(page) + 8 * u64::from(word);
        match kind {
            // SAFETY: an aligned address of the test region, which leads only to frames that tests
            // own.
            StoreKind::Plain => unsafe { probe::store(address, value) },
            // SAFETY: as above.
            StoreKind::NonTemporal => unsafe { probe::store_non_temporal(address, value) },
        }
        .map_err(|_| PageFault)
    }

    fn enter(&self, space: Space) {
        self.space(space).enter();
    }

    fn enter_keeping(&self, space: Space) {
        self.space(space).enter_keeping();
    }

    fn flush_own_tlb(&self) {
        self.warm_up.empty(instructions::flush_everything);
        if let Some(record) = record() {
            let executed = &self.notes(percpu::this().id()).executed;
            executed.store(record.total(), Ordering::Relaxed);
        }
    }

    fn invlpg(&self, page: Page) {
        instructions::invlpg(address(page));
    }

    /// Under the shim every service empties QEMU's TLB, and so does every signal on the CPU that
    /// sends it.
    fn asked_to_flush(&self, page: Page) -> Option<Asked> {
        self.shootdown.machine().support()?;
        // A single CPU sends no signal. Where nested tables have large pages, INVLPG flushes more
        // than the page.
        let alone = self.cpus() == 1 && matches!(apic::get(), Some(apic::LocalApic::X2apic));
        let record = record().filter(|_| !alone)?;
        let since = self
            .notes(percpu::this().id())
            .executed
            .load(Ordering::Relaxed);
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

    fn keeps_translations(&self) -> bool {
        // Our own shim has a record where it matters.
        self.keeps_translations || (shim::is_shim() && self.units().is_some())
    }

    fn protocol_violations(&self) -> ProtocolViolations {
        shim::offences()
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
            smp::apic_id(cpu.get()).map(|id| apic::send_fixed(id, kernel_vector::WAKE))
        {
            self.give_up(format_args!("CPU {cpu} cannot be woken: {error}"));
        }
    }

    fn has_nmi(&self) -> bool {
        self.shootdown.machine().support().is_none() && self.shootdown.machine().has_nmi()
    }

    fn send_nmi(&self, cpu: CpuId) {
        // One that is not sent shows as one that is not answered.
        let _ = smp::cpu(cpu.get()).map(send_nmi);
    }

    fn disturbances(&self) -> Disturbances {
        let (all, nmis) = (strays().all(), strays().of(NMI_VECTOR));
        Disturbances {
            nmis,
            strays: all.saturating_sub(nmis),
            ..Disturbances::NONE
        }
    }

    fn detours(&self) -> u64 {
        percpu::this().detours()
    }

    fn forget_sent_nmis(&self) {
        forget_sent_nmis();
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
        let handled = &self.notes(me.id()).own;
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

    fn set_deaf_to(&self, deaf_to: DeafTo) {
        self.notes(percpu::this().id()).set_deaf_to(deaf_to);
        match shim::of(percpu::this().apic_id().get()) {
            Some(unit) => unit.set_deaf(deaf_to != DeafTo::Nothing),
            None if self.units().is_some() => deaf::set(self, deaf_to),
            None => {}
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

    fn switch_to_software(&self) {
        membership::switch_to_software(self);
    }

    fn user_mode(&self) -> Option<&dyn UserMode> {
        Some(self)
    }

    fn guest(&self) -> Result<&dyn Guest, &'static str> {
        vmx::obstacle().map_or(Ok(self), Err)
    }

    fn crash(&self) -> Result<&dyn Crash, &'static str> {
        crash::obstacle().map_or(Ok(self), Err)
    }

    fn units(&self) -> Option<&dyn RarUnits> {
        self.shootdown
            .machine()
            .support()
            .map(|_| self as &dyn RarUnits)
    }

    fn emit(&self, record: &rar_suite::Record<'_>) {
        transcript::emit(record);
    }

    fn give_up(&self, why: fmt::Arguments<'_>) -> ! {
        abort::give_up(Cause::Hung, why)
    }
}
