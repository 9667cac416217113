//! The machine, as a report describes it.

use core::fmt;

use rar_kernel::{
    ClockSource, Firmware, FirmwareApic, Kernel, NMI_VECTOR, SpinLock, Strays, apic, console, smp,
};
use rar_kernel_lab::rar_provider::{Enumeration, enumerate};
use rar_percpu::CpuId;
use rar_report::{
    ApicMode, CLOCK, CPUS_AT_LEAST, Event, EventKind, Fact, Machine, Record, RegisterRead,
    Registers, TscSource, Writer,
};
use rar_suite::MAX_CPUS;
use rar_validate::Coverage;
use rar_vocabulary::Text;
use x86::cpuid;

/// What each CPU says of RAR, before any shim.
static SEEN: SpinLock<[Option<Enumeration>; MAX_CPUS]> = SpinLock::new([None; MAX_CPUS]);

/// Asks the CPU that calls it.
pub(crate) fn ask(cpu: CpuId) {
    let answer = enumerate();
    if let Some(place) = SEEN.lock().get_mut(cpu.index()) {
        *place = Some(answer);
    }
}

/// Calls `each` for every run of CPUs that say the same.
pub(crate) fn enumerations(mut each: impl FnMut(Registers)) {
    let seen = SEEN.lock();
    let mut numbered = seen
        .iter()
        .zip(0..)
        .filter_map(|(answer, cpu)| answer.map(|answer| (cpu, answer)));
    let Some((mut first_cpu, mut same)) = numbered.next() else {
        return;
    };
    let mut cpus = 1;
    for (cpu, answer) in numbered {
        if answer == same {
            cpus += 1;
        } else {
            each(registers(first_cpu, cpus, &same));
            (first_cpu, same, cpus) = (cpu, answer, 1);
        }
    }
    each(registers(first_cpu, cpus, &same));
}

fn registers(first_cpu: u32, cpus: u32, answer: &Enumeration) -> Registers {
    let read =
        |value: Option<u64>| value.map_or(RegisterRead::GeneralProtection, RegisterRead::Value);
    let [control, action_vector_base, payload_table_base, info] = answer.registers.map(read);
    Registers {
        first_cpu,
        cpus,
        cpuid_7_edx: answer.cpuid_7_edx,
        core_capabilities: read(answer.core_capabilities),
        control,
        action_vector_base,
        payload_table_base,
        info,
    }
}

/// One line about CPUs that say the same.
pub(crate) struct Line(pub(crate) Registers);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(same) = self;
        let (first, last) = (same.first_cpu, same.first_cpu + same.cpus.saturating_sub(1));
        match same.cpus {
            1 => write!(f, "CPU {first}: CPUID 7 EDX ")?,
            _ => write!(f, "CPU {first} to {last}: CPUID 7 EDX ")?,
        }
        match same.cpuid_7_edx {
            Some(edx) => write!(f, "{edx:#x}")?,
            None => f.write_str("absent")?,
        }
        for (number, _, read) in same.all() {
            match read {
                RegisterRead::Value(value) => write!(f, ", MSR {number:#x} {value:#x}")?,
                RegisterRead::GeneralProtection => write!(f, ", MSR {number:#x} #GP")?,
                RegisterRead::NotRead => {}
            }
        }
        Ok(())
    }
}

/// Returns how many of the CPUs take part.
pub(crate) fn coverage(kernel: &Kernel) -> Coverage {
    let cpus = smp::cpus();
    Coverage {
        online: cpus.map_or(1, |cpus| {
            usize::try_from(cpus.online()).unwrap_or(usize::MAX)
        }),
        listed: cpus.map_or(1, smp::Cpus::expected),
        hidden: kernel.tables().hidden_cpus,
    }
}

/// Writes machine and registers.
pub(crate) fn write(kernel: &Kernel, writer: &mut Writer<'_>) {
    let info = kernel.info();
    let vendor = Text::<12>::of(format_args!("{}", info.signature.vendor));
    let hypervisor = hypervisor();
    let cpus = smp::cpus();
    writer.push(&Record::Machine(Machine {
        vendor: vendor.as_str(),
        brand: info.brand(),
        family: u32::from(info.signature.family),
        model: u32::from(info.signature.model),
        stepping: u32::from(info.signature.stepping),
        microcode: info.microcode,
        cpus_found: cpus.map_or(1, |cpus| u32::try_from(cpus.expected()).unwrap_or(u32::MAX)),
        cpus_online: cpus.map_or(1, smp::Cpus::online),
        apic: match (apic::get(), info.firmware_apic) {
            (None, _) => ApicMode::None,
            (Some(_), FirmwareApic::X2apic) => ApicMode::X2apicByFirmware,
            (Some(apic::LocalApic::X2apic), _) => ApicMode::X2apic,
            (Some(apic::LocalApic::Xapic { .. }), _) => ApicMode::Xapic,
        },
        max_apic_id: smp::all().map(|cpu| cpu.apic_id().get()).max().unwrap_or(0),
        tsc_hz: info.clock.frequency,
        tsc_source: match info.clock.source {
            ClockSource::Cpuid15 => TscSource::CpuidCrystal,
            ClockSource::Cpuid16 => TscSource::CpuidBase,
            ClockSource::Pit => TscSource::Pit,
            ClockSource::Hpet => TscSource::Hpet,
            ClockSource::PmTimer => TscSource::AcpiTimer,
            ClockSource::Guess => TscSource::Unknown,
        },
        memory: info.usable_ram,
        firmware: match kernel.firmware() {
            Firmware::Unknown => rar_report::Firmware::Unknown,
            Firmware::Bios => rar_report::Firmware::Bios,
            Firmware::Uefi => rar_report::Firmware::Uefi,
        },
        loader: kernel.loader(),
        hypervisor: info.hypervisor.then_some(hypervisor.as_str()),
        options: kernel.command_line().as_str(),
    }));
    let coverage = coverage(kernel);
    if coverage.hidden > 0 {
        let value = Text::<12>::of(format_args!("{}", coverage.machine()));
        writer.push(&Record::Fact(Fact {
            key: CPUS_AT_LEAST,
            value: value.as_str(),
        }));
    }
    let origin = Text::<160>::of(format_args!("{}", info.clock.origin()));
    writer.push(&Record::Fact(Fact {
        key: CLOCK,
        value: origin.as_str(),
    }));
    if let Some(types) = rar_kernel::memory_types() {
        let value = Text::<80>::of(format_args!("{types}"));
        writer.push(&Record::Fact(Fact {
            key: "memory-types",
            value: value.as_str(),
        }));
    }
    enumerations(|registers| writer.push(&Record::Registers(registers)));
}

/// Writes what the kernel noted about the machine, up to now.
pub(crate) fn write_notes(writer: &mut Writer<'_>) {
    rar_kernel::notes().for_each(|text| write_note(None, text, writer));
    late_notes(|cpu, text| write_note(cpu, text, writer));
    let dropped = rar_kernel::notes_dropped();
    if dropped > 0 {
        let text = Text::<80>::of(format_args!(
            "{dropped} notes about the machine had no room"
        ));
        write_note(None, text.as_str(), writer);
    }
}

/// Calls `each` with a CPU and a sentence for what is counted until the end: lines that the serial
/// port did not take, and interrupts that no code asked for, by vector.
pub(crate) fn late_notes(mut each: impl FnMut(Option<u32>, &str)) {
    if let Some(loss) = console::serial_loss() {
        each(None, Text::<96>::of(format_args!("{loss}")).as_str());
    }
    let strays = rar_kernel::strays();
    for stray in strays.iter() {
        let Strays { cpu, vector, count } = stray;
        let text = match vector {
            NMI_VECTOR => Text::<80>::of(format_args!(
                "CPU {cpu} took {count} NMIs that no code asked for"
            )),
            _ => Text::of(format_args!(
                "CPU {cpu} took {count} interrupts {vector:#x} that no code asked for"
            )),
        };
        each(Some(cpu), text.as_str());
    }
    let others = strays.others();
    if others > 0 {
        let text = Text::<80>::of(format_args!(
            "{others} more interrupts came that no code asked for"
        ));
        each(None, text.as_str());
    }
}

fn write_note(cpu: Option<u32>, text: &str, writer: &mut Writer<'_>) {
    writer.push(&Record::Event(Event {
        kind: EventKind::Note,
        cpu,
        backend: None,
        test: "",
        text,
    }));
}

/// What the hypervisor calls itself in CPUID leaf 0x4000_0000.
fn hypervisor() -> Text<12> {
    let leaf = cpuid::native_cpuid::cpuid_count(0x4000_0000, 0);
    let bytes = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes);
    let text = core::str::from_utf8(bytes.as_flattened()).unwrap_or_default();
    Text::of(format_args!("{}", text.trim_matches('\0')))
}
