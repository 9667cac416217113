//! From the first 64-bit instruction to `kernel_main`.

use core::arch::global_asm;

use super::arrival::{self, Arrival};
use super::bring_up::{answer, take_traps};
use super::cpu::control::Control;
use super::frames::PAGE;
use super::identity_map::{BootMap, TableMap};
use super::kernel::{KERNEL, Kernel};
use super::machine_info::{Bare, Early};
use super::notes::note;
use super::percpu::{self, PerCpu};
use super::smp::{cpu_table, starter};
use super::spin::SpinLock;
use super::{
    apic, bios, clock, console, frames, io_apics, log, paging, pic, power, red_zone, screen,
};
use crate::{
    ApicMode, BootInfo, CpuList, Display, FirmwareTables, KernelOptions, println, read_boot_info,
    search_rsdp,
};

global_asm!(include_str!("boot/entry.s"));

/// The first APIC id that an xAPIC cannot address.
pub(super) const XAPIC_BROADCAST: u32 = 0xff;

static BOOT_CPU: PerCpu = PerCpu::new();
static BOOT_INFO: SpinLock<BootInfo> = SpinLock::new(BootInfo::empty());
static CPUS: SpinLock<CpuList> = SpinLock::new(CpuList::empty());

#[unsafe(no_mangle)]
extern "C" fn rar_kernel_start(magic: u32, information: u32) -> ! {
    // SAFETY: the only CPU that runs, before anything uses the memory.
    unsafe { BOOT_CPU.name(0) };
    // SAFETY: named just now, for this CPU.
    unsafe { percpu::enter(&BOOT_CPU) };
    cpu_table::add(&BOOT_CPU);
    bios::remember();
    pic::mask();
    console::start();
    log::start();
    start(magic, u64::from(information));
    arrival::main()
}

/// Everything up to the last CPU. What cannot go on panics: the machine is unusable then, and the
/// panic says why.
#[expect(
    clippy::panic,
    reason = "before there is a kernel, an error can only be told"
)]
fn start(magic: u32, information: u64) {
    if red_zone::is_used() {
        panic!("this kernel was compiled with the red zone: build it with -C no-redzone=yes");
    }
    let mut control = Control::detect(false);
    let (boot, options) = {
        let mut boot = BOOT_INFO.lock();
        if let Err(error) = read_boot_info(magic, information, &BootMap, &mut boot) {
            panic!("{error}");
        }
        let options = KernelOptions::read(&boot.command_line);
        if boot.rsdp.is_none() {
            boot.rsdp = search_rsdp(options.rsdp, &BootMap);
        }
        (boot.clone(), options)
    };
    frames::start(&boot.memory, &boot.modules);
    control.set_efer();
    if let Err(error) = paging::build(&boot.memory, control.no_execute, control.global_pages) {
        panic!("{error}");
    }
    let Some(space) = paging::KERNEL.get() else {
        panic!("there is no kernel space")
    };
    // SAFETY: ring 0; the tables map all that the boot tables mapped and the kernel uses: image,
    // stack, RAM.
    unsafe { x86::controlregs::cr3_write(space.space().root()) };
    // SAFETY: this CPU's own memory; it runs on the boot stack with interrupts disabled.
    unsafe { take_traps(&BOOT_CPU) };
    let early = Early::read();
    control = Control::detect(early.wants_pcids());
    let bare = Bare::read(control);
    if boot.faults.count() > 0 {
        note(format_args!("{}", boot.faults));
    }
    if options.screen {
        let drawn = boot
            .display
            .filter(|display| may_draw(display, &boot, &early));
        if let Err(error) = screen::start(drawn, boot.unknown_display) {
            println!("no screen: {error}");
        }
    }

    // It can say what it is before anything that takes time.
    arrival::announce(Arrival::Boot {
        command_line: &boot.command_line,
    });
    let (cpus, tables) = {
        let mut cpus = CPUS.lock();
        let memory = TableMap(&boot.memory);
        let tables =
            FirmwareTables::read(boot.rsdp.as_ref(), &memory, &early.hardware(), &mut cpus);
        (cpus.clone(), tables)
    };
    // An xAPIC has no name for them.
    let beyond_xapic = cpus.ids().iter().any(|id| *id >= XAPIC_BROADCAST);
    let x2apic_wanted = beyond_xapic || options.apic == ApicMode::X2apic;
    tell(&tables);
    io_apics::mask_all(&tables.io_apics, &boot.memory, early.local_apic());
    power::learn(&tables, &boot.memory);
    if tables.physical_destinations {
        apic::use_physical_destinations();
    }
    // Before a shim that writes times.
    let clock = clock::calibrate(&tables, &boot.memory);
    arrival::announce(Arrival::First {
        command_line: &boot.command_line,
        local_apic: early.local_apic(),
        x2apic_wanted,
    });
    // What CPUID shows may have changed.
    control = Control::detect(early.wants_pcids());
    if let Err(error) = apic::choose(control.x2apic && x2apic_wanted, early.local_apic()) {
        note(format_args!(
            "no local APIC: its registers cannot be mapped: {error}; one CPU, no watchdog"
        ));
    }
    let dropped = boot.memory.dropped();
    if dropped > 0 {
        note(format_args!(
            "memory map: {dropped} regions too many, their memory is not used"
        ));
    }
    let Some(kernel) = KERNEL.set(Kernel {
        info: early.complete(&bare, clock, &boot.memory),
        boot,
        control,
        local_apic: early.local_apic(),
        tables,
    }) else {
        panic!("the kernel state exists already (two CPUs entered boot)")
    };

    // SAFETY: this CPU's own memory; it runs on the boot stack with interrupts disabled.
    unsafe { answer(&BOOT_CPU, kernel) };
    starter::start(cpus);
}

/// Whether the screen lies where one can lie; says if not. Only the loader vouches for it.
fn may_draw(display: &Display, boot: &BootInfo, early: &Early) -> bool {
    let (start, end) = display.range();
    let registers = early.local_apic();
    let why = if boot.memory.has_ram(start, end) {
        "RAM is there"
    } else if start < registers + PAGE && registers < end {
        "the local APICs are there"
    } else {
        return true;
    };
    note(format_args!("screen of {display}: left alone, {why}"));
    false
}

/// Says what is wrong with the tables.
fn tell(tables: &FirmwareTables) {
    if let Some(why) = tables.no_list {
        note(format_args!("{why}"));
    }
    for each in tables.notes.iter() {
        note(format_args!("{each}"));
    }
    let dropped = tables.notes.dropped();
    if dropped > 0 {
        note(format_args!("ACPI tables: {dropped} notes had no room"));
    }
}
