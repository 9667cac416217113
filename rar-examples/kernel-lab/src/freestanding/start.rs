//! Making a laboratory.

use core::fmt;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use rar_kernel::frames::{self, Place};
use rar_kernel::paging::MapError;
use rar_kernel::{Kernel, Once, kernel, smp};
use rar_payload::{CostModel, Pcid};
use rar_percpu::{CpuId, PerCpu};
use rar_regs::RarSupport;
use rar_shootdown::{LazySkip, Policy, Shootdown};
use rar_suite::{MAX_CPUS, Space, Suite, Witness};

use super::cpu_notes::CpuNotes;
use super::lab::{KernelLab, current};
use super::lab_machine::LabMachine;
use super::members::Members;
use super::test_frames::TestFrames;
use super::test_space::TestSpace;
use super::user_pages::UserPages;
use super::warm_up::WarmUp;
use super::{handlers, neighbours};

/// What tests of every backend share.
static FRAMES: Once<TestFrames> = Once::new();
static USER: Once<UserPages> = Once::new();
static WARM_UP: Once<WarmUp> = Once::new();
/// Bounds against hanging, for virtual CPUs: one may not run for a while, which would show as a
/// fallback here.
///
/// No second signal is sent: it would make up for a lost one, and a lost signal is what tests must
/// find. Lazy CPUs are skipped for all of the lower half: of what this kernel maps there, only the
/// pages under test ever change. Ranges take the entries that they need: tests look at what was not
/// asked for.
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

/// Makes a laboratory with table, vectors and suite of its own, and turns the interrupt handlers to
/// it. Called by CPU 0, when every CPU has
/// [left](KernelLab::leave) the one before.
///
/// `deadline` is how many milliseconds a target may take to answer the signal; the fallback gets
/// twice that.
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
    let states = frames::alloc_static_each_in(Place::Aside, MAX_CPUS, PerCpu::new);
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
        joined: AtomicU32::new(0),
        executed_before: Once::new(),
        spares_neighbours: neighbours::spared(&first, frames),
        keeps_translations: neighbours::kept(&first, frames),
        first,
        second: TestSpace::new(pcid(2))?,
        further: [const { Once::new() }; Space::COUNT - 2],
        frames,
        user,
        warm_up,
        cpus: frames::alloc_static_each_in(Place::Aside, MAX_CPUS, CpuNotes::new)
            .ok_or(MapError::OutOfFrames)?,
    };
    let lab = frames::alloc_static_in(Place::Aside, lab).ok_or(MapError::OutOfFrames)?;
    if current().is_none() {
        handlers::add_to_nmi();
    }
    lab.make_current();
    handlers::set();
    Ok(lab)
}

/// A function of its own, so that what it moves over the stack is gone when it returns: 90 KiB of
/// the 128.
#[inline(never)]
fn new_suite() -> Option<&'static Suite> {
    frames::alloc_static_in(Place::Aside, Suite::new())
}

/// A function of its own for the same reason.
#[inline(never)]
fn new_shootdown(
    deadline: u64,
    support: Option<RarSupport>,
) -> Option<&'static Shootdown<LabMachine>> {
    let witness = frames::alloc_static_in(Place::Aside, Witness::new())?;
    let machine = LabMachine::new(support, witness);
    let policy = policy(Duration::from_millis(deadline));
    frames::alloc_static_in(Place::Aside, Shootdown::new(machine, policy))
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
    let on = kernel().is_some_and(Kernel::has_pcid);
    Pcid::new(number).ok().filter(|_| on).unwrap_or(Pcid::ZERO)
}
