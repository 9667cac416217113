//! The kernel of the boot image: every backend that the machine has, then a report, then the end.
#![no_std]
#![no_main]

mod backends;
mod ending;
mod pages;
mod progress;

use rar_kernel::{ExitCode, Once, apic, console, exit, lost, println, screen, smp, unit, watchdog};
use rar_validate::{Backend, Options, Run};

use crate::backends::Outcome;

rar_kernel::entry!(main);

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
    let _same = Options::read(line, |complaint| println!("{complaint}"));
    if let Some(name) = options
        .defect
        .filter(|name| unit::Defect::by_name(name).is_none())
    {
        println!(
            "option defect={name} makes no sense, and the units stay whole; `cargo xtask defects --list` shows the names"
        );
    }
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let mode = apic::get().map_or("no APIC", apic::LocalApic::mode);
    println!("{cpus} CPUs, {mode}, {}", kernel.clock());
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
    if options.run == Run::Enumerate {
        backends::enumerate();
    }
    for backend in Backend::ALL {
        if !options.wants(backend) {
            continue;
        }
        match backends::run(backend, &options) {
            Outcome::Ran => {}
            Outcome::NotRun(why) => println!("{} not run: {why}", backend.name()),
            Outcome::Stuck(why) => {
                println!("{} ended the run: {why}", backend.name());
                break;
            }
        }
    }
    ending::finish(&options)
}
