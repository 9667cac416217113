//! The multicore test kernel: boots every CPU, runs the shootdown suite on all of them, and exits
//! with the verdict.
#![no_std]
#![no_main]

mod interrupt_check;
mod legacy_check;
mod nmi_check;
mod shim_check;

use core::fmt;

use rar_kernel::exit::leave_emulator;
use rar_kernel::options::{OptionError, read};
use rar_kernel::{Cpus, ExitCode, LocalApic, apic, kernel, println, smp};
use rar_kernel_lab::narrow_access;
use rar_kernel_lab::options::UsualAmounts;
use rar_kernel_lab::shim::{Defect, is_shim};
use rar_kernel_lab::{
    RUN_ORDER, RunError, RunOptions, SoakRun, prepare, run_backend, soak_backend,
};
use rar_suite::{Backend, TESTS};

rar_kernel::entry!(main, rar_kernel_lab::shim::arrive);

/// What is run if the command line does not say: all of it, without measurements.
const USUAL: UsualAmounts = UsualAmounts {
    flushes: 20_000,
    initiators: None,
    samples: None,
};

fn main() -> ! {
    let passed = run().unwrap_or_else(|why| {
        println!("{why}");
        false
    });
    // No machine but an emulator boots this kernel.
    leave_emulator(if passed {
        ExitCode::Success
    } else {
        ExitCode::Failure
    })
}

/// Runs every backend that the command line names; returns whether all of it passed.
fn run() -> Result<bool, Obstacle> {
    let kernel = kernel().ok_or(Obstacle::NoKernel)?;
    let cpus = smp::cpus().map_or(1, Cpus::online);
    let mode = apic::get().map_or("no APIC", LocalApic::mode);
    println!("smp-test: {cpus} CPUs, {mode}, {}", kernel.clock());
    println!("{}", kernel.info());
    let mut options = SoakRun::new(RunOptions {
        backends: Some(Backend::Software.name()),
        ..RunOptions::DEFAULT
    });
    let mut error = None;
    read(kernel.command_line(), &mut options, |found| match found {
        OptionError::Unknown { .. } => println!("{found}"),
        _ => error = Some(found),
    });
    if let Some(error) = error {
        return Err(Obstacle::Option(error));
    }
    let soak = options;
    let options = options.run;
    if let Some(name) = options
        .defect
        .filter(|name| Defect::by_name(name).is_none())
    {
        return Err(Obstacle::NoDefect(name));
    }
    name_tests_if_unknown(&options);
    prepare(&options);
    if soak.seconds.is_some() {
        return run_soak(&soak);
    }
    let mut passed = true;
    for backend in RUN_ORDER.into_iter().filter(|each| options.wants(*each)) {
        let summary = run_backend(backend, &options, &USUAL).map_err(Obstacle::Run)?;
        passed &= summary.failed == 0 && summary.passed + summary.observed > 0;
    }
    interrupt_checks().map_err(Obstacle::Interrupts)?;
    if is_shim() {
        shim_check::check().map_err(Obstacle::Shim)?;
    }
    Ok(passed)
}

/// Runs a soak on the first backend that is named; returns whether nothing went wrong.
fn run_soak(options: &SoakRun<'static>) -> Result<bool, Obstacle> {
    let mut named = RUN_ORDER
        .into_iter()
        .filter(|each| options.run.wants(*each));
    let backend = named.next().unwrap_or(Backend::Software);
    soak_backend(backend, options).map_err(Obstacle::Run)
}

/// Checks interrupts beside those of the suite: under the shim they are as on a processor. Without
/// it the same checks show that they know one.
fn interrupt_checks() -> Result<(), &'static str> {
    nmi_check::check()?;
    interrupt_check::check()?;
    legacy_check::check()?;
    narrow_access::check()?;
    println!(
        "interrupts: NMIs, CR8, level-triggered and legacy ones are as on a processor, \
         and the APIC is reached in each mode"
    );
    Ok(())
}

/// Why the run did not come to its end.
enum Obstacle {
    NoKernel,
    Option(OptionError<'static>),
    NoDefect(&'static str),
    Run(RunError),
    Interrupts(&'static str),
    Shim(&'static str),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => f.write_str("the kernel did not start"),
            Self::Option(error) => error.fmt(f),
            Self::NoDefect(name) => write!(
                f,
                "option defect={name} is no defect; `cargo xtask defects --list` shows the names"
            ),
            Self::Run(error) => error.fmt(f),
            Self::Interrupts(why) => write!(f, "interrupts: {why}"),
            Self::Shim(why) => write!(f, "shim: {why}"),
        }
    }
}

/// Prints the names of all tests if one that was asked for does not exist.
fn name_tests_if_unknown(options: &RunOptions<'_>) {
    let names = || TESTS.iter().map(|test| test.name);
    let mut asked = options.test.into_iter().flat_map(|list| list.split(','));
    if asked.any(|asked| !names().any(|name| name == asked)) {
        println!("tests: {}", List(names));
    }
}

/// The names, separated by commas.
struct List<N>(N);

impl<I: Iterator<Item = &'static str>, N: Fn() -> I> fmt::Display for List<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)().enumerate().try_for_each(|(number, name)| {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")
        })
    }
}
