//! The kernel of the boot image: every backend that the machine has, then a report, then the end.
#![no_std]
#![no_main]

mod backends;
mod ending;
mod machine;
mod pages;
mod progress;
mod report;

use rar_kernel::{
    ExitCode, Once, apic, clock, console, exit, lost, println, screen, smp, unit, watchdog,
};
use rar_report::{EndReason, EventKind};
use rar_validate::{Backend, Options};

use crate::backends::Outcome;

rar_kernel::entry!(main);

/// How long CPUs may take to read their registers.
const ENUMERATION_MILLISECONDS: u64 = 10_000;

/// For a run that ends on another CPU, in the middle.
static OPTIONS: Once<Options<'static>> = Once::new();

fn main() -> ! {
    let Some(kernel) = rar_kernel::kernel() else {
        println!("the kernel did not start");
        exit(ExitCode::Failure)
    };
    let line = kernel.command_line();
    let options = Options::read(line, |_| {});
    if !options.serial {
        console::leave_serial();
    }
    if !options.screen {
        screen::leave();
    }
    println!("rar-validate {}", env!("CARGO_PKG_VERSION"));
    println!("options: {}", line.as_str());
    // Read again, so that what is told reaches the outputs that were asked for.
    let _same = Options::read(line, |complaint| {
        progress::happened(
            EventKind::OptionIgnored,
            None,
            "",
            format_args!("{complaint}"),
        );
    });
    if let Some(name) = options
        .defect
        .filter(|name| unit::Defect::by_name(name).is_none())
    {
        let text = format_args!(
            "option defect={name} makes no sense, and the units stay whole; `cargo xtask defects --list` shows the names"
        );
        progress::happened(EventKind::OptionIgnored, None, "", text);
    }
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let mode = apic::get().map_or("no APIC", apic::LocalApic::mode);
    println!("{}", kernel.facts());
    println!("{cpus} CPUs, {mode}, {}", kernel.clock());
    // Told on the console already.
    if let Some(why) = kernel.no_cpu_list() {
        progress::keep(EventKind::Note, None, "", format_args!("{why}"));
    }
    if apic::get().is_none() {
        let text = format_args!("no local APIC: one CPU, no watchdog");
        progress::keep(EventKind::Note, None, "", text);
    }
    for id in smp::cpus().map_or(&[][..], smp::Cpus::missing) {
        let text = format_args!("the CPU with APIC id {id} did not start");
        progress::happened(EventKind::CpuMissing, Some(*id), "", text);
    }
    match screen::display() {
        Some(display) => println!("screen: {display}"),
        None => println!("screen: none"),
    }

    lost::set_ending(ending::give_up);
    watchdog::set(options.patience, options.test_seconds);
    if let Some(stop) = options.stop {
        println!(
            "fault injection: CPU {} stops in test {}",
            stop.cpu, stop.test
        );
        lost::inject(lost::Stop {
            cpu: stop.cpu,
            test: stop.test,
        });
    }
    let _first = OPTIONS.set(options);
    smp::run_on_all(machine::ask);
    if !clock::wait_until(ENUMERATION_MILLISECONDS, smp::everyone_done) {
        println!("a CPU does not say what it knows of RAR");
    }
    machine::enumerations(|same| println!("{}", machine::Line(same)));
    let mut reason = EndReason::Complete;
    for backend in Backend::ALL {
        if !options.wants(backend) {
            continue;
        }
        match backends::run(backend, &options) {
            Outcome::Ran => {}
            Outcome::NotRun(why) => {
                let text = format_args!("{} not run: {}", backend.name(), why.as_str());
                progress::happened(EventKind::BackendUnavailable, None, "", text);
            }
            Outcome::Refused(why) => {
                let text = format_args!(
                    "{} not run, though the machine announces RAR: {}",
                    backend.name(),
                    why.as_str()
                );
                progress::happened(EventKind::BackendUnavailable, None, "", text);
                progress::refuse();
            }
            Outcome::Stuck(why) => {
                let text = format_args!("{} ended the run: {why}", backend.name());
                progress::happened(EventKind::Hung, None, "", text);
                reason = EndReason::Hung;
                break;
            }
        }
    }
    ending::finish(&options, reason)
}
