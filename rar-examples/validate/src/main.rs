//! The kernel of the boot image: every backend that the machine has, then a report, then the end.
#![no_std]
#![no_main]

mod ending;
mod machine;
mod pages;
mod progress;
mod report;

use rar_kernel::{
    Arrival, ComPort, ExitCode, Once, apic, clock, console, exit, id_runs, println, smp,
};
use rar_kernel_lab::shim::Defect;
use rar_kernel_lab::{Consequence, RUN_ORDER, abort, listen, prepare, refused_by, run_backend};
use rar_report::{EndReason, EventKind};
use rar_validate::{End, ImageOptions};
use rar_vocabulary::{Backend, Text};

rar_kernel::entry!(main, arrive);

/// How long CPUs may take to read their registers.
const ENUMERATION_MILLISECONDS: u64 = 10_000;

/// Most runs of missing CPUs that are events of their own: others need room, too.
const MOST_RUNS: usize = 16;

/// For a run that ends on another CPU, in the middle.
static OPTIONS: Once<ImageOptions<'static>> = Once::new();

/// Says what this is before anything that takes time: a screen that stays dark for long is switched
/// off by the person before it.
fn arrive(arrival: Arrival<'_>) {
    if let Arrival::Boot { command_line } = arrival {
        let options = ImageOptions::read(command_line, |_| {});
        match options.serial {
            Some(ComPort::COM1) => {}
            Some(port) => console::choose_serial(port),
            None => console::leave_serial(),
        }
        if options.end == End::Reboot {
            exit::restart_at_the_end();
        }
        println!("rar-validate {}", env!("CARGO_PKG_VERSION"));
        println!("options: {}", command_line.as_str());
    }
}

/// Keeps the CPUs that did not start for the report, run by run. The console has them already.
fn keep_missing(ids: &[u32]) {
    let runs = id_runs(ids).count();
    for (first, last) in id_runs(ids).take(MOST_RUNS) {
        let text = match last - first {
            0 => Text::<80>::of(format_args!("the CPU with APIC id {first} did not start")),
            more => Text::of(format_args!(
                "{} CPUs with the APIC ids {first} to {last} did not start",
                more + 1
            )),
        };
        let text = format_args!("{}", text.as_str());
        progress::keep(EventKind::CpuMissing, Some(first), "", text);
    }
    if runs > MOST_RUNS {
        let text = format_args!("{} CPUs in all did not start", ids.len());
        progress::keep(EventKind::CpuMissing, None, "", text);
    }
}

fn main() -> ! {
    let Some(kernel) = rar_kernel::kernel() else {
        println!("the kernel did not start");
        exit(ExitCode::Failure)
    };
    let line = kernel.command_line();
    let options = ImageOptions::read(line, |error| {
        progress::happened(EventKind::OptionIgnored, None, "", format_args!("{error}"));
    });
    if let Some(name) = options
        .suite
        .defect
        .filter(|name| Defect::by_name(name).is_none())
    {
        let text = format_args!(
            "option defect={name} is no defect, and the units stay whole; \
             `cargo xtask defects --list` shows the names"
        );
        progress::happened(EventKind::OptionIgnored, None, "", text);
    }
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let coverage = machine::coverage(kernel);
    progress::cover(coverage);
    let mode = apic::get().map_or("no APIC", apic::LocalApic::mode);
    let title = format_args!(
        " rar-validate {}   {coverage}, {mode}   {}",
        env!("CARGO_PKG_VERSION"),
        kernel.info().brand()
    );
    progress::begin(title);
    println!("{}", kernel.info());
    println!("{coverage}, {mode}, {}", kernel.clock());
    if apic::get().is_none() {
        let text = format_args!("no local APIC: one CPU, no watchdog");
        progress::keep(EventKind::Note, None, "", text);
    }
    keep_missing(smp::cpus().map_or(&[], smp::Cpus::missing));
    pages::tell_screen();

    abort::set_ending(ending::give_up);
    listen(progress::on_record);
    prepare(&options.suite);
    let _first = OPTIONS.set(options);
    smp::run_on_all(machine::ask);
    if !clock::wait_until(ENUMERATION_MILLISECONDS, smp::everyone_done) {
        println!("a CPU does not say what it knows of RAR");
    }
    machine::enumerations(|same| println!("{}", machine::Line(same)));
    let mut reason = EndReason::Complete;
    for backend in RUN_ORDER {
        if !options.wants(backend) {
            continue;
        }
        let usual = options.usual(cpus);
        // Software has flushed in the place of units that a CPU disagreed on.
        if backend == Backend::Software && refused_by().is_some() {
            continue;
        }
        let Err(why) = run_backend(backend, &options.suite, &usual) else {
            if let Some(cpu) = refused_by() {
                let text = format_args!(
                    "CPU {cpu} has another RAR than the boot CPU: {backend} was turned off, and \
                     software flushed on all CPUs"
                );
                progress::happened(EventKind::Note, Some(cpu.get()), "", text);
                progress::refuse();
            }
            continue;
        };
        match why.consequence() {
            Consequence::Next => {
                let text = format_args!("{backend} not run: {why}");
                progress::happened(EventKind::BackendUnavailable, None, "", text);
            }
            Consequence::Doubt => {
                let text =
                    format_args!("{backend} not run, though the machine announces RAR: {why}");
                progress::happened(EventKind::BackendUnavailable, None, "", text);
                progress::refuse();
            }
            Consequence::End => {
                let text = format_args!("{backend} ended the run: {why}");
                progress::happened(EventKind::Hung, None, "", text);
                reason = EndReason::Hung;
                break;
            }
        }
    }
    ending::finish(&options, reason)
}
