//! The shim of this machine: made once, launched on every CPU.

use rar_kernel::paging::MapError;
use rar_kernel::{Arrival, clock, percpu, println};
pub use rar_launch::launch as try_launch;
pub(crate) use rar_launch::shim;
use rar_suite::ProtocolViolations;
use rar_vrar::{ApicPage, Cpu, Knobs, OddUnit, Offence, Record, Shim, TableSize, Trace};
pub use rar_vrar::{Defect, LaunchError, TraceLevel};

use crate::options::{OddTable, RunOptions};

/// Where a trace goes: a debug console of its own, since the first one has the log.
const TRACE_PORT: u16 = 0xea;

/// What each CPU does first in a kernel that may begin under the shim:
/// [`entry!`](rar_kernel::entry) names it.
///
/// The CPU becomes a guest of the shim if `vrar` is the first backend that the command line asks
/// for. With a backend that comes before, the kernel begins on the bare machine and [launches the
/// shim later](super::late_launch).
///
/// # Panics
///
/// Without memory for the shim.
pub fn arrive(arrival: Arrival<'_>) {
    match arrival {
        Arrival::Boot { .. } => {}
        Arrival::First {
            command_line,
            local_apic,
            x2apic_wanted,
        } => {
            let options = RunOptions::read(command_line);
            if options.begins_under_shim() {
                start(&options, local_apic, x2apic_wanted);
            }
        }
        Arrival::Later => launch(),
    }
}

/// Makes this CPU the first guest of the shim. A kernel that stays in xAPIC mode has its registers
/// trapped.
#[expect(clippy::panic, reason = "there is no backend to fall back to")]
fn start(options: &RunOptions<'_>, local_apic: u64, x2apic_wanted: bool) {
    let page = if x2apic_wanted {
        ApicPage::Open
    } else {
        ApicPage::Trapped
    };
    if let Err(error) = make(local_apic, page, Units::of(options)) {
        panic!("the shim cannot start: {error}");
    }
    launch();
}

/// What is asked of the units.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    /// What is broken in every unit.
    pub defect: Option<Defect>,
    /// Which one has another table.
    pub odd_table: Option<OddTable>,
    /// How much they write.
    pub trace: TraceLevel,
}

impl Units {
    /// Returns what the command line asks of the units. The main function reports a defect that
    /// does not exist.
    pub(crate) fn of(options: &RunOptions<'_>) -> Self {
        Self {
            defect: options.defect.and_then(Defect::by_name),
            odd_table: options.odd_table,
            trace: options.trace,
        }
    }
}

/// Makes the shim. `apic` is the physical address of the local APICs.
pub(crate) fn make(apic: u64, page: ApicPage, units: Units) -> Result<(), MapError> {
    rar_launch::make(apic, |config| {
        config.page = page;
        if let Some(defect) = units.defect {
            defect.apply(&mut config.knobs);
        }
        config.odd_unit = units.odd_table.and_then(|odd| {
            let table = TableSize::new(odd.entries)?;
            Some(OddUnit {
                apic_id: odd.apic_id,
                knobs: Knobs {
                    table,
                    ..config.knobs
                },
            })
        });
        config.trace = Trace {
            port: TRACE_PORT,
            ..Trace::new(units.trace, 1000 * clock::ticks_per_millisecond())
        };
    })
}

/// Launches the CPU that calls it, if there is a shim. Without it the CPU goes on as it is, and
/// detection reports it.
fn launch() {
    match try_launch() {
        None | Some(Ok(()) | Err(LaunchError::AlreadyLaunched)) => {}
        Some(Err(error)) => println!("no shim on CPU {}: {error}", percpu::this().number()),
    }
}

/// Returns the shim's CPU with this APIC id, where there is a shim.
#[must_use]
pub(crate) fn of(apic_id: u32) -> Option<&'static Cpu> {
    shim()?.cpu(apic_id)
}

/// Returns how many entries the units of all CPUs have executed.
pub(crate) fn executed() -> u64 {
    let cpus = shim().into_iter().flat_map(Shim::cpus);
    cpus.map(|(_, cpu)| cpu.record().total()).sum()
}

/// Returns what the shim's units had to see from the drivers of all CPUs.
#[must_use]
pub fn offences() -> ProtocolViolations {
    let cpus = || shim().into_iter().flat_map(Shim::cpus);
    let each = |kind| cpus().map(move |(_, cpu)| cpu.record().offences(kind));
    let gone = cpus().filter(|(_, cpu)| cpu.gone().is_some()).count() as u64;
    Offence::ALL
        .into_iter()
        .map(|kind| (each(kind).sum(), kind.text()))
        .chain([(gone, "a CPU is gone")])
        .fold(ProtocolViolations::default(), |all, (count, what)| {
            ProtocolViolations {
                count: all.count + count,
                what: if count > 0 { what } else { all.what },
            }
        })
}

core::arch::global_asm!(include_str!("registers.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_lab_registers_survive() -> u64;
}

/// Returns whether a register access that the shim answers leaves every other register as it was:
/// general, SSE, flags.
#[must_use]
pub fn registers_survive() -> bool {
    // SAFETY: ring 0 and register 0xcf exists under the shim; the assembly keeps to the calling
    // convention. Interrupts are enabled as they were: kernels call it with interrupts on.
    unsafe { rar_lab_registers_survive() == 0 }
}

/// Returns the exit code by which the shim lost a CPU, if it did.
#[must_use]
pub fn gone(apic_id: u32) -> Option<u64> {
    of(apic_id)?.gone()
}

/// Returns whether the shim holds this CPU back until a start-up message comes.
#[must_use]
pub fn waits_for_startup(apic_id: u32) -> bool {
    of(apic_id).is_some_and(Cpu::waits_for_startup)
}

/// Returns whether the units are the shim's.
#[must_use]
pub fn is_shim() -> bool {
    shim().is_some_and(|shim| shim.cpus().next().is_some())
}

/// What the shim's unit of this CPU has executed, where there is a shim.
pub(crate) fn record() -> Option<&'static Record> {
    of(percpu::this().apic_id().get()).map(Cpu::record)
}
