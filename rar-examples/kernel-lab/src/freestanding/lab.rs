//! The laboratory of one backend.

use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use rar_kernel::paging::MapError;
use rar_kernel::{Once, clock, paging, percpu, probe, smp};
use rar_payload::Pcid;
use rar_percpu::{CpuId, Domain, PerCpu, PinnedCpu};
use rar_shootdown::Shootdown;
use rar_suite::{Counts, DeafTo, Options, Platform as _, Register, Space, Suite};

use super::abort::{self, Cause};
use super::cpu_notes::{CpuNotes, Heard};
use super::lab_machine::LabMachine;
use super::members::Members;
use super::test_frames::TestFrames;
use super::test_space::TestSpace;
use super::user_pages::UserPages;
use super::warm_up::WarmUp;
use super::{membership, shim, watchdog};

/// The laboratory whose turn it is: interrupts are for it.
static CURRENT: AtomicPtr<KernelLab> = AtomicPtr::new(core::ptr::null_mut());

/// The laboratory of one backend: address spaces, frames, and the shootdown under test.
#[derive(Debug)]
pub struct KernelLab {
    pub(crate) suite: &'static Suite,
    pub(crate) summary: Once<Counts>,
    pub(crate) shootdown: &'static Shootdown<LabMachine>,
    /// The memory that the CPUs register with.
    pub(crate) states: &'static [PerCpu],
    pub(crate) members: Members,
    /// How many CPUs have joined.
    pub(crate) joined: AtomicU32,
    /// How many entries the units of the shim had executed then.
    pub(crate) executed_before: Once<u64>,
    pub(crate) first: TestSpace,
    pub(crate) second: TestSpace,
    /// The others, of a soak.
    pub(crate) further: [Once<TestSpace>; Space::COUNT - 2],
    pub(crate) frames: &'static TestFrames,
    pub(crate) user: &'static UserPages,
    /// See [`Platform::spares_neighbours`].
    pub(crate) spares_neighbours: bool,
    /// See [`Platform::keeps_translations`].
    pub(crate) keeps_translations: bool,
    pub(crate) warm_up: &'static WarmUp,
    pub(crate) cpus: &'static [CpuNotes],
}

/// Returns the laboratory that was started last.
#[must_use]
pub fn current() -> Option<&'static KernelLab> {
    // SAFETY: null, or stored by `make_current` from a 'static reference.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Returns the CPU that has another RAR than the boot CPU, if units are refused for it.
#[must_use]
pub fn refused_by() -> Option<CpuId> {
    current()?.shootdown.machine().refused_by()
}

impl KernelLab {
    /// Makes this the laboratory that interrupts are for.
    pub(crate) fn make_current(&'static self) {
        CURRENT.store(core::ptr::from_ref(self).cast_mut(), Ordering::Release);
    }

    pub(crate) fn notes(&self, cpu: CpuId) -> &CpuNotes {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.cpus[cpu.index()]
    }

    pub(crate) fn domain(&self) -> &'static Domain {
        self.shootdown.domain()
    }

    /// Returns whether the handler of the signal answers for a CPU.
    pub(crate) fn answers_by_handler(&self, cpu: CpuId) -> bool {
        let has_units = self.shootdown.machine().support().is_some();
        !has_units || self.notes(cpu).has_switched_to_software()
    }

    /// Serves everything, except on a CPU that ignores the signal for a test: there the action
    /// vector stays as it is.
    pub(crate) fn serve_as_heard(&self) {
        let cpu = percpu::pin();
        if self.notes(cpu.id()).hears(Heard::Signal) {
            let _served = self.shootdown.serve(&cpu);
        } else {
            self.serve_the_fallback_as_heard(&cpu);
        }
    }

    /// As [`serve_as_heard`](Self::serve_as_heard), in the handler of NMIs.
    pub(crate) fn serve_in_nmi_as_heard(&self) {
        let cpu = percpu::pin_in_nmi();
        if self.notes(cpu.id()).hears(Heard::Signal) {
            let _served = self.shootdown.serve_in_nmi(&cpu);
        } else {
            // It sends nothing either.
            self.serve_the_fallback_as_heard(&percpu::pin());
        }
    }

    fn serve_the_fallback_as_heard(&self, cpu: &PinnedCpu<'_>) {
        if self.notes(cpu.id()).hears(Heard::Fallback) {
            let tlb = self.shootdown.machine();
            self.domain().complete_generation(cpu, tlb);
        }
    }

    /// Runs the suite, and leaves. Every CPU calls it once, when it has [joined](Self::join); all
    /// get the same summary.
    pub fn run(&self, options: &Options<'_>) -> Counts {
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

    /// Registers this CPU in the domain, brings it online, and waits until all others are there,
    /// too. Every CPU calls it once.
    ///
    /// If one of them has another RAR than the boot CPU, software answers for all when it returns.
    pub fn join(&self) {
        self.come_online();
        self.await_all();
    }

    /// The second part of [`join`](Self::join).
    pub(crate) fn await_all(&self) {
        self.joined.fetch_add(1, Ordering::AcqRel);
        let joined = || self.joined.load(Ordering::Acquire);
        let (all, domain) = (smp::cpus().map_or(1, smp::Cpus::online), self.domain());
        let units = || match domain.refuses_units() {
            true => domain.answered_by_units().len(),
            false => 0,
        };
        let milliseconds = 1_000 * watchdog::patience_seconds();
        if !clock::wait_until(milliseconds, || joined() >= all && units() == 0) {
            let (joined, units) = (joined(), units());
            let why = format_args!(
                "{joined} of {all} CPUs have joined, and {units} use units that are refused"
            );
            abort::give_up(Cause::Hung, why);
        }
        let _first = self.executed_before.set(shim::executed());
    }

    /// Returns how many entries the units of the shim have executed since all CPUs joined; `None`
    /// without a shim.
    pub(crate) fn executed(&self) -> Option<u64> {
        let before = self.executed_before.get().filter(|_| shim::is_shim())?;
        Some(shim::executed().saturating_sub(*before))
    }

    /// Gives this CPU its place in the domain; again after it was declared dead.
    pub(crate) fn register(&self) {
        let cpu = percpu::this();
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        let memory = &self.states[cpu.id().index()];
        if let Err(error) = self.domain().register(cpu.id(), cpu.apic_id(), memory) {
            abort::give_up(Cause::Hung, format_args!("{error}"));
        }
    }

    /// Takes this CPU offline for good: its unit is disabled, and it is back in the kernel's space.
    pub fn leave(&self) {
        self.set_deaf_to(DeafTo::Nothing);
        membership::leave(self);
        if self.shootdown.machine().support().is_some() {
            // A test that failed may have left the unit enabled behind the driver's back.
            // SAFETY: a disabled unit touches no memory.
            let _refused = unsafe { probe::write_register(Register::Control as u32, 0) };
        }
        paging::enter_kernel_space();
        self.flush_own_tlb();
    }

    /// Makes the spaces that only a soak uses.
    pub(crate) fn make_further_spaces(&self) -> Result<(), MapError> {
        for space in &self.further {
            let _first = space.set(TestSpace::new(Pcid::ZERO)?);
        }
        Ok(())
    }

    pub(crate) fn space(&self, space: Space) -> &TestSpace {
        match space {
            Space::First => &self.first,
            Space::Second => &self.second,
            // A laboratory without further spaces runs tests, which use two.
            Space::Further(number) => {
                let further = self.further.get(usize::from(number));
                further.and_then(Once::get).unwrap_or(&self.second)
            }
        }
    }
}
