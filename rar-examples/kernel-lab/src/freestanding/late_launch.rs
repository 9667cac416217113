//! The late launch: CPUs that have long been running become guests of the shim, all of them
//! together.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::apic::{self, LocalApic};
use rar_kernel::irq::Disabled;
use rar_kernel::paging::MapError;
use rar_kernel::{ApicMode, Kernel, LOCAL_APIC_DEFAULT, Once, clock, frames, kernel, percpu, smp};
use rar_percpu::CpuId;
use rar_vrar::{ApicPage, CpuMemory, LaunchError};

use super::shim::{self, Units};

/// How long CPUs wait for each other between two steps.
const MILLISECONDS: u64 = 10_000;

/// Why CPUs are no guests of the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LateLaunchError {
    /// The shim's memory, or the APIC, is not mapped.
    Memory(MapError),
    /// A CPU cannot be launched, and so none was: all go on as they were.
    Refused {
        /// The CPU.
        cpu: CpuId,
        /// Why.
        why: LaunchError,
    },
    /// A CPU was not launched when others were: the kernel cannot go on.
    Half {
        /// The CPU.
        cpu: CpuId,
        /// Why.
        why: LaunchError,
    },
    /// A CPU did not take part in time: the kernel cannot go on.
    Absent {
        /// How many CPUs took part.
        present: u32,
    },
}

impl fmt::Display for LateLaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::Refused { cpu, why } => write!(f, "CPU {cpu} cannot be its guest: {why}"),
            Self::Half { cpu, why } => {
                write!(f, "CPU {cpu} is not its guest, though others are: {why}")
            }
            Self::Absent { present } => write!(f, "only {present} CPUs came to the launch"),
        }
    }
}

impl core::error::Error for LateLaunchError {}

/// What the CPUs share during the launch.
struct Launch {
    memory: &'static [CpuMemory],
    /// The kernel goes to x2APIC mode once all CPUs are guests.
    switch: bool,
    arrived: AtomicU32,
    refused: Once<(CpuId, LaunchError)>,
    left_behind: Once<(CpuId, LaunchError)>,
}

static LAUNCH: Once<Launch> = Once::new();

/// Makes every CPU a guest of the shim; where they are already, nothing happens. Called by CPU 0
/// while the others have no work and are offline in every domain. `units` may break every
/// unit, so that tests of tests have something to find.
///
/// # Errors
///
/// [`LateLaunchError`]. After [`LateLaunchError::Refused`] and [`LateLaunchError::Memory`] all CPUs
/// go on as they were.
pub fn launch_everywhere(wanted: ApicMode, units: Units) -> Result<(), LateLaunchError> {
    if shim::is_shim() {
        return Ok(());
    }
    let native = matches!(apic::get(), Some(LocalApic::X2apic));
    let trapped = !native && wanted == ApicMode::Xapic;
    let page = if trapped {
        ApicPage::Trapped
    } else {
        ApicPage::Open
    };
    let address = kernel().map_or(LOCAL_APIC_DEFAULT, Kernel::local_apic);
    shim::make(address, page, units).map_err(LateLaunchError::Memory)?;
    let count = smp::cpus().map_or(1, smp::Cpus::online);
    let memory = frames::alloc_static_each(smp::all().count(), CpuMemory::new)
        .ok_or(LateLaunchError::Memory(MapError::OutOfFrames))?;
    let launch = LAUNCH.set(Launch {
        memory,
        switch: !native && !trapped,
        arrived: AtomicU32::new(0),
        refused: Once::new(),
        left_behind: Once::new(),
    });
    let Some(launch) = launch else {
        return Err(LateLaunchError::Memory(MapError::TooEarly));
    };
    smp::run_on_all(take_part);
    clock::wait_until(MILLISECONDS, smp::everyone_done);
    if let Some(&(cpu, why)) = launch.refused.get() {
        return Err(LateLaunchError::Refused { cpu, why });
    }
    if let Some(&(cpu, why)) = launch.left_behind.get() {
        return Err(LateLaunchError::Half { cpu, why });
    }
    let present = launch.arrived.load(Ordering::Acquire) / STEPS;
    if present < count {
        return Err(LateLaunchError::Absent { present });
    }
    Ok(())
}

/// How often each CPU arrives.
const STEPS: u32 = 3;

impl Launch {
    /// Waits until every CPU has come here for the time of this number; returns whether all have.
    fn meet(&self, step: u32) -> bool {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = smp::cpus().map_or(1, smp::Cpus::online) * step;
        clock::wait_until(MILLISECONDS, || self.arrived.load(Ordering::Acquire) >= all)
    }
}

fn take_part(cpu: CpuId) {
    let (Some(launch), Some(shim)) = (LAUNCH.get(), shim::shim()) else {
        return;
    };
    // SAFETY: ring 0.
    if let Err(why) = unsafe { shim.check() } {
        let _first = launch.refused.set((cpu, why));
    }
    if !launch.meet(1) || launch.refused.get().is_some() {
        return;
    }
    // Until all CPUs drive their APICs in the new way, no CPU takes an interrupt, and so none sends
    // or acknowledges one.
    let _disabled = Disabled::new();
    let launched = match launch.memory.get(cpu.index()) {
        // SAFETY: 1. ring 0 with SSE enabled. 2. As promised in `shim::make`: this CPU is in the
        // kernel's space, as it is whenever it waits for work. 3. No device of this kernel has a
        // vector at all.
        Some(memory) => unsafe { shim.launch(memory) },
        None => Err(LaunchError::MemoryTaken),
    };
    if let Err(why) = launched {
        let _first = launch.left_behind.set((cpu, why));
    }
    if !launch.meet(2) || launch.left_behind.get().is_some() {
        return;
    }
    if launch.switch && percpu::this().number() == 0 {
        apic::go_to_x2apic();
    }
    if !launch.meet(3) || !launch.switch {
        return;
    }
    if let Some(apic) = apic::get() {
        apic.start();
    }
}
