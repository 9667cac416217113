//! From the first 64-bit instruction to `kernel_main`.

use core::arch::global_asm;
use core::fmt;

use super::cpu::{Control, IstStacks, load_idt};
use super::facts::{Bare, Early, MachineFacts};
use super::identity::{BootMap, KernelMap};
use super::percpu::{self, PerCpu};
use super::unit::ApicPage;
use super::{
    Once, SpinLock, apic, clock, console, frames, irq, log, paging, pic, power, red_zone, screen,
    smp, unit,
};
use crate::{
    AcpiError, BootInfo, Clock, CpuList, Rsdp, find_table, println, read_boot_info, read_madt,
    read_pm_timer,
};

global_asm!(include_str!("boot/entry.s"));

unsafe extern "C" {
    static rar_kernel_text_start: u8;
    static rar_kernel_rodata_start: u8;
    static rar_kernel_data_start: u8;
    static rar_kernel_stack_guard: u8;
    static rar_kernel_stack_bottom: u8;
    static rar_kernel_image_end: u8;
}

unsafe extern "Rust" {
    /// What the kernel built on this crate does, on the boot CPU, once all CPUs are up. Made by [`entry!`](crate::entry).
    safe fn rar_kernel_main() -> !;
}

/// Names the function that the boot CPU runs once all CPUs are up: `fn() -> !`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        const _: () = {
            /// The name that the boot code calls.
            // SAFETY: the one definition of this symbol in the kernel; the signature is checked on the next line.
            #[unsafe(no_mangle)]
            extern "Rust" fn rar_kernel_main() -> ! {
                let main: fn() -> ! = $main;
                main()
            }
        };
    };
}

/// Where the parts of the kernel's image begin, on page borders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) text: u64,
    pub(crate) rodata: u64,
    pub(crate) data: u64,
    pub(crate) stack_guard: u64,
    pub(crate) stack_bottom: u64,
    pub(crate) end: u64,
}

impl Limits {
    pub(crate) fn get() -> Self {
        Self {
            text: (&raw const rar_kernel_text_start).addr() as u64,
            rodata: (&raw const rar_kernel_rodata_start).addr() as u64,
            data: (&raw const rar_kernel_data_start).addr() as u64,
            stack_guard: (&raw const rar_kernel_stack_guard).addr() as u64,
            stack_bottom: (&raw const rar_kernel_stack_bottom).addr() as u64,
            end: (&raw const rar_kernel_image_end).addr() as u64,
        }
    }

    /// Returns the whole image, start and exclusive end.
    pub(crate) fn image() -> (u64, u64) {
        let limits = Self::get();
        (limits.text, limits.end)
    }
}

/// What is known about the machine after the start.
#[derive(Debug)]
pub struct Kernel {
    boot: BootInfo,
    facts: MachineFacts,
    control: Control,
    local_apic: u64,
    no_list: Option<NoCpuList>,
}

/// Why nobody knows of other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCpuList {
    /// The boot loader did not name the ACPI tables.
    NoTables,
    /// The table that lists them cannot be used.
    Broken(AcpiError),
}

impl fmt::Display for NoCpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one CPU only: ")?;
        match self {
            Self::NoTables => f.write_str("the boot loader did not name the ACPI tables"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl Kernel {
    /// Returns the command line.
    #[must_use]
    pub fn command_line(&self) -> &crate::CommandLine {
        &self.boot.command_line
    }

    /// Returns what started the boot loader.
    #[must_use]
    pub fn firmware(&self) -> crate::Firmware {
        self.boot.firmware
    }

    /// Returns what the boot loader calls itself.
    #[must_use]
    pub fn loader(&self) -> &str {
        self.boot.loader.as_str()
    }

    /// Returns why nobody knows of other CPUs, where firmware does not list them.
    #[must_use]
    pub fn no_cpu_list(&self) -> Option<NoCpuList> {
        self.no_list
    }

    /// Returns the time stamp counter's rate.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.facts.clock
    }

    /// Returns what the machine is.
    #[must_use]
    pub fn facts(&self) -> &MachineFacts {
        &self.facts
    }

    /// Returns whether `CR4.PCIDE` is set on every CPU.
    #[must_use]
    pub fn has_pcid(&self) -> bool {
        self.control.pcid
    }

    /// Returns whether entries may be global.
    #[must_use]
    pub fn has_global_pages(&self) -> bool {
        self.control.global_pages
    }

    /// Returns the physical address of the local APICs.
    pub(crate) fn local_apic(&self) -> u64 {
        self.local_apic
    }

    pub(crate) fn control(&self) -> Control {
        self.control
    }
}

/// The first APIC id that an xAPIC cannot address.
const XAPIC_BROADCAST: u32 = 0xFF;

static BOOT_CPU: PerCpu = PerCpu::new();
static BOOT_INFO: SpinLock<BootInfo> = SpinLock::new(BootInfo::empty());
static CPUS: SpinLock<CpuList> = SpinLock::new(CpuList::empty());
static KERNEL: Once<Kernel> = Once::new();

/// Returns what is known about the machine, once CPUs were started.
#[must_use]
pub fn kernel() -> Option<&'static Kernel> {
    KERNEL.get()
}

#[unsafe(no_mangle)]
extern "C" fn rar_kernel_start(magic: u32, information: u32) -> ! {
    // SAFETY: the only CPU that runs, before anything uses the memory.
    unsafe { BOOT_CPU.name(0) };
    // SAFETY: named just now, for this CPU.
    unsafe { percpu::enter(&BOOT_CPU) };
    smp::add(&BOOT_CPU);
    pic::mask();
    console::start();
    log::start();
    start(magic, u64::from(information));
    rar_kernel_main()
}

/// Everything up to the last CPU. What cannot go on panics: the machine is unusable then, and the panic says why.
#[expect(
    clippy::panic,
    reason = "before there is a kernel, an error can only be told"
)]
fn start(magic: u32, information: u64) {
    if red_zone::is_used() {
        panic!("this kernel was compiled with the red zone: build it with -C no-redzone=yes");
    }
    let mut control = Control::detect(false);
    let boot = {
        let mut boot = BOOT_INFO.lock();
        if let Err(error) = read_boot_info(magic, information, &BootMap, &mut boot) {
            panic!("{error}");
        }
        boot.clone()
    };
    frames::start(&boot.memory);
    control.set_efer();
    if let Err(error) = paging::build(&boot.memory, control.no_execute, control.global_pages) {
        panic!("{error}");
    }
    let Some(space) = paging::KERNEL.get() else {
        panic!("there is no kernel space")
    };
    // SAFETY: ring 0; the tables map all that the boot tables mapped and the kernel uses: image, stack, RAM.
    unsafe { x86::controlregs::cr3_write(space.space().root()) };
    // SAFETY: this CPU's own memory; it runs on the boot stack with interrupts disabled.
    unsafe { take_traps(&BOOT_CPU) };
    let early = Early::read();
    control = Control::detect(early.wants_pcids());
    let bare = Bare::read(control);
    if boot.command_line.get("screen") != Some("off") {
        screen::start(boot.display);
    }

    let (cpus, no_list) = read_cpus(boot.rsdp.as_ref());
    let pm_timer = boot
        .rsdp
        .as_ref()
        .and_then(|rsdp| find_table(rsdp, *b"FACP", &KernelMap).ok())
        .inspect(|table| power::learn(table))
        .and_then(read_pm_timer);
    // An xAPIC has no name for them.
    let beyond_xapic = cpus.ids().iter().any(|id| *id >= XAPIC_BROADCAST);
    let x2apic_wanted = beyond_xapic || boot.command_line.get("apic") != Some("xapic");
    // A backend that comes before the shim runs on the bare machine: the kernel launches the shim when its turn comes.
    let first = |names: &str| names.split(',').next() == Some("vrar");
    if boot.command_line.get("backend").is_some_and(first) {
        let page = if x2apic_wanted {
            ApicPage::Open
        } else {
            ApicPage::Trapped
        };
        let defect = unit::asked_defect(&boot.command_line);
        if let Err(error) = unit::start_shim(cpus.local_apic(), page, defect) {
            panic!("the shim cannot start: {error}");
        }
        // What CPUID shows has changed.
        control = Control::detect(early.wants_pcids());
    }
    if let Err(error) = apic::choose(control.x2apic && x2apic_wanted, cpus.local_apic()) {
        panic!("the local APIC cannot be mapped: {error}");
    }
    let clock = clock::calibrate(pm_timer);
    let dropped = boot.memory.dropped();
    if dropped > 0 {
        println!("memory map: {dropped} regions too many, their memory is not used");
    }
    let Some(kernel) = KERNEL.set(Kernel {
        facts: early.complete(&bare, clock, &boot.memory),
        boot,
        control,
        local_apic: cpus.local_apic(),
        no_list,
    }) else {
        panic!("two CPUs boot")
    };

    // SAFETY: this CPU's own memory; it runs on the boot stack with interrupts disabled.
    unsafe { answer(&BOOT_CPU, kernel) };
    smp::start(cpus);
}

fn read_cpus(rsdp: Option<&Rsdp>) -> (CpuList, Option<NoCpuList>) {
    let mut cpus = CPUS.lock();
    let no_list = match rsdp.map(|rsdp| find_table(rsdp, *b"APIC", &KernelMap)) {
        Some(Ok(madt)) => {
            read_madt(madt, &mut cpus);
            None
        }
        Some(Err(error)) => Some(NoCpuList::Broken(error)),
        None => Some(NoCpuList::NoTables),
    };
    if let Some(why) = no_list {
        println!("{why}");
    }
    (cpus.clone(), no_list)
}

/// Makes the CPU that runs this answer traps and interrupts: descriptor tables, control registers, APIC.
///
/// # Safety
///
/// The memory belongs to this CPU, it has entered it, and interrupts are disabled.
pub(crate) unsafe fn become_ready(cpu: &'static PerCpu, kernel: &Kernel) {
    // SAFETY: the caller's promise.
    unsafe { take_traps(cpu) };
    // SAFETY: the caller's promise, and its traps work now.
    unsafe { answer(cpu, kernel) };
}

/// Makes the CPU that runs this survive traps.
///
/// # Safety
///
/// As for [`become_ready`].
#[expect(clippy::panic, reason = "a CPU without stacks cannot go on")]
unsafe fn take_traps(cpu: &'static PerCpu) {
    let stacks = IstStacks::new().unwrap_or_else(|error| {
        panic!("no memory for the stacks of CPU {}: {error}", cpu.number())
    });
    // SAFETY: 1. the CPU's own tables, with interrupts disabled. 2. Stacks made just now.
    unsafe { cpu.tables().load(stacks) };
    load_idt();
}

/// Makes the CPU that runs this answer interrupts.
///
/// # Safety
///
/// As for [`become_ready`], after [`take_traps`].
unsafe fn answer(cpu: &'static PerCpu, kernel: &Kernel) {
    // Loading a segment register does not touch the GS base unless it is GS itself, which nobody loads.
    kernel.control().set();
    if let Some(apic) = apic::get() {
        apic.start();
        cpu.set_apic_id(apic.id());
    }
    defmt::info!("CPU {} with {} is ready", cpu.id(), cpu.apic_id());
    cpu.set_ready();
    irq::enable();
}
