//! Where this machine's RAR units come from: the processor, the shim that stands in for it, or nowhere.

mod late;

use core::ptr::NonNull;

pub use late::{GuestApic, LaterError, launch_everywhere};
use rar_regs::{Detection, MsrFault, MsrOperation, NativeCpu, RarSupport};
pub use rar_regs::{ModelCheck, SupportError};
use rar_suite::Offences;
pub(crate) use rar_vrar::ApicPage;
use rar_vrar::{Config, Cpu, CpuMemory, Knobs, Offence, Shim};
pub use rar_vrar::{Defect, LaunchError};

use super::address::word;
use super::frames::{self, PAGE};
use super::paging::{self, MapError};
use super::{Once, percpu, probe};
use crate::{CommandLine, println};

static SHIM: Once<Shim> = Once::new();

/// Returns the defect that a command line asks for by `defect=NAME`; a name that is none is left to the kernel's main function.
#[must_use]
pub fn asked_defect(line: &CommandLine) -> Option<Defect> {
    line.get("defect").and_then(Defect::by_name)
}

/// Makes this CPU the first guest of the shim, which then launches every CPU that starts. `apic` is the physical address of the local APICs.
///
/// A kernel that stays in xAPIC mode has its registers trapped.
pub(crate) fn start_shim(
    apic: u64,
    page: ApicPage,
    defect: Option<Defect>,
) -> Result<(), MapError> {
    make_shim(apic, page, defect)?;
    launch();
    Ok(())
}

fn make_shim(apic: u64, page: ApicPage, defect: Option<Defect>) -> Result<(), MapError> {
    paging::map_device(apic, PAGE)?;
    let registers = NonNull::new(core::ptr::with_exposed_provenance_mut(word(apic)))
        .ok_or(MapError::OutOfReach { address: apic })?;
    let mut knobs = Knobs::DEFAULT;
    if let Some(defect) = defect {
        defect.apply(&mut knobs);
    }
    // SAFETY: RAM is mapped one to one by page tables that stay for ever, and so is the APIC since just now. Nothing in this kernel
    // writes to memory that is not its own.
    let shim = unsafe {
        Shim::new(Config {
            page,
            knobs,
            ..Config::new(0, registers)
        })
    };
    let _first = SHIM.set(shim);
    Ok(())
}

/// Launches the CPU that calls it, if there is a shim. Without it the CPU goes on as it is, and detection tells.
pub(crate) fn launch() {
    match try_launch() {
        None | Some(Ok(()) | Err(LaunchError::AlreadyLaunched)) => {}
        Some(Err(error)) => println!("no shim on CPU {}: {error}", percpu::this().number()),
    }
}

/// Launches the CPU that calls it and says what came of it; `None` without a shim, or without memory for it.
pub fn try_launch() -> Option<Result<(), LaunchError>> {
    let shim = SHIM.get()?;
    let memory = new_memory()?;
    // SAFETY: 1. ring 0 with SSE enabled, and the boot code's tables stay. 2. As promised in `make_shim`: CPUs start in the kernel's
    // space. 3. No device of this kernel has a vector at all.
    Some(unsafe { shim.launch(memory) })
}

/// Finds out whether this CPU has a RAR unit, if its model counts as one that may. Later CPUs are checked against the answer.
///
/// # Errors
///
/// [`SupportError`] says what is missing.
pub fn detect(models: ModelCheck) -> Result<RarSupport, SupportError> {
    // SAFETY: 1. All of this kernel runs in ring 0. 2. The proof is used on this machine only.
    let cpu = unsafe { NativeCpu::new() };
    match Detection::new().detect(&cpu) {
        Err(SupportError::UnlistedModel { .. }) if models == ModelCheck::Any => {}
        answer => return answer,
    }
    // The bit may mean something else there, and no detection survives the #GP.
    if enumerate().registers[3].is_none() {
        let fault = MsrFault {
            msr: 0xF0,
            access: MsrOperation::Read,
        };
        return Err(fault.into());
    }
    Detection::new().models(ModelCheck::Any).detect(&cpu)
}

/// Returns what the shim knows of a CPU, where there is a shim.
#[must_use]
pub(crate) fn of(apic_id: u32) -> Option<&'static Cpu> {
    SHIM.get()?.cpu(apic_id)
}

/// Returns what the shim's units had to see from the drivers of all CPUs.
#[must_use]
pub fn offences() -> Offences {
    let cpus = || SHIM.get().into_iter().flat_map(Shim::cpus);
    let each = |kind| cpus().map(move |(_, cpu)| cpu.record().offences(kind));
    let gone = cpus().filter(|(_, cpu)| cpu.gone().is_some()).count() as u64;
    Offence::ALL
        .into_iter()
        .map(|kind| (each(kind).sum(), kind.text()))
        .chain([(gone, "a CPU is gone")])
        .fold(Offences::default(), |all, (count, what)| Offences {
            count: all.count + count,
            what: if count > 0 { what } else { all.what },
        })
}

/// What this CPU says of RAR: each register, or `None` where reading it raises #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// EDX of CPUID leaf 7, where there is one.
    pub cpuid_7_edx: Option<u32>,
    /// IA32_CORE_CAPABILITIES.
    pub core_capabilities: Option<u64>,
    /// IA32_RAR_CTRL, IA32_RAR_ACT_VEC, IA32_RAR_PAYLOAD_BASE, IA32_RAR_INFO.
    pub registers: [Option<u64>; 4],
}

impl Enumeration {
    /// Returns whether the registers announce RAR: bit 30 of EDX, bit 1 of IA32_CORE_CAPABILITIES, and an IA32_RAR_INFO that can be read.
    #[must_use]
    pub fn announces_rar(&self) -> bool {
        let [.., info] = self.registers;
        let is_set = |word: Option<u64>, bit: u32| word.is_some_and(|word| word >> bit & 1 != 0);
        is_set(self.cpuid_7_edx.map(u64::from), 30)
            && is_set(self.core_capabilities, 1)
            && info.is_some()
    }
}

/// Reads what this CPU says of RAR, whether detection would believe it or not.
#[must_use]
pub fn enumerate() -> Enumeration {
    // SAFETY: reading the register has no side effect, and where it does not exist the #GP is caught.
    let read = |register| unsafe { probe::read_register(register) };
    let leaves = core::arch::x86_64::__cpuid(0).eax;
    Enumeration {
        cpuid_7_edx: (leaves >= 7).then(|| core::arch::x86_64::__cpuid_count(7, 0).edx),
        core_capabilities: read(0xCF),
        registers: [0xED, 0xEE, 0xEF, 0xF0].map(read),
    }
}

core::arch::global_asm!(include_str!("cpu/registers.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_kernel_registers_survive() -> u64;
}

/// Returns whether a register access that the shim answers leaves every other register as it was: general, SSE, flags.
#[must_use]
pub fn registers_survive() -> bool {
    // SAFETY: ring 0 and register 0xCF exists under the shim; the assembly keeps to the calling convention. Interrupts are enabled as they
    // were: kernels call it with interrupts on.
    unsafe { rar_kernel_registers_survive() == 0 }
}

/// Returns the exit code by which the shim lost a CPU, if it did.
#[must_use]
pub fn gone(apic_id: u32) -> Option<u64> {
    of(apic_id)?.gone()
}

/// Returns whether the units are the shim's.
#[must_use]
pub fn is_shim() -> bool {
    SHIM.get().is_some_and(|shim| shim.cpus().next().is_some())
}

fn new_memory() -> Option<&'static CpuMemory> {
    frames::place(CpuMemory::new())
}
