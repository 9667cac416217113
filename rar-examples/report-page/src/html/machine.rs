//! What the machine is.

use maud::{Markup, html};
use rar_report::Machine;

use crate::report::Report;
use crate::text;

/// Returns what is known of the machine, each fact with its name.
pub(crate) fn facts(report: &Report<'_>) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    if let Some(machine) = &report.machine {
        let Machine {
            family,
            model,
            stepping,
            ..
        } = machine;
        add("vendor", machine.vendor.to_owned());
        add("processor", machine.brand.to_owned());
        add(
            "family/model/stepping",
            format!("{family:#x}/{model:#x}/{stepping}"),
        );
        add("microcode", report.kind().1);
        add("CPUs found", machine.cpus_found.to_string());
        add("CPUs online", machine.cpus_online.to_string());
        add("APIC", text::apic(machine.apic).to_owned());
        add("greatest APIC id", machine.max_apic_id.to_string());
        add(
            "time stamp counter",
            match machine.tsc_hz {
                0 => "rate unknown".to_owned(),
                rate => format!("{rate} Hz ({})", text::tsc_source(machine.tsc_source)),
            },
        );
        add("memory", format!("{} MiB", machine.memory >> 20));
        add("firmware", text::firmware(machine.firmware).to_owned());
        add("boot loader", machine.loader.to_owned());
        add(
            "hypervisor",
            match machine.hypervisor {
                None => "none".to_owned(),
                Some("") => "present, without a name".to_owned(),
                Some(name) => name.to_owned(),
            },
        );
        add("options", machine.options.to_owned());
    }
    if let Some(head) = report.head {
        add("version", head.project.to_owned());
    }
    for fact in &report.facts {
        add(fact.key, fact.value.to_owned());
    }
    facts
}

pub(super) fn table(report: &Report<'_>) -> Markup {
    html! {
        dl {
            @for (name, value) in facts(report) { dt { (name) } dd.value { (value) } }
        }
    }
}

/// The registers: one column for CPU 0, one for each group of CPUs that differs from it.
pub(super) fn registers(report: &Report<'_>) -> Markup {
    let Some(first) = report.registers.first() else {
        return html! { p { "No register of RAR was read." } };
    };
    html! {
        div.scroll { table {
            thead {
                tr {
                    th { "register" }
                    @for registers in &report.registers {
                        @let first = registers.first_cpu;
                        @let last = first.saturating_add(registers.cpus.saturating_sub(1));
                        th { "CPU " (first) @if last > first { " to " (last) } }
                    }
                }
            }
            tbody {
                tr {
                    th { "CPUID.7.0:EDX" }
                    @for registers in &report.registers {
                        td.value { (text::cpuid_7_edx(registers)) }
                    }
                }
                @for (row, (number, name, _)) in first.all().into_iter().enumerate() {
                    tr {
                        th { (name) " (" (format!("{number:#x}")) ")" }
                        @for registers in &report.registers {
                            @for (_, _, read) in registers.all().into_iter().skip(row).take(1) {
                                td.value { (text::register(read)) }
                            }
                        }
                    }
                }
            }
        } }
        @if report.registers.len() > 1 {
            p.problem { "CPUs differ in these registers." }
        }
    }
}
