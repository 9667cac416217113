//! The multicore test kernel: boots every CPU, runs the shootdown suite on all of them, and exits with the verdict.
#![no_std]
#![no_main]

mod options;
mod shim_check;

use core::fmt;

use rar_kernel::{ExitCode, KernelLab, Once, apic, clock, exit, lab, println, smp, unit};
use rar_percpu::CpuId;
use rar_suite::TESTS;

use crate::options::{Backend, RunOptions};

rar_kernel::entry!(main);

/// How long CPUs may take to return from the suite after the first has.
const LAST_CPU_MILLISECONDS: u64 = 10_000;

static OPTIONS: Once<RunOptions<'static>> = Once::new();

fn main() -> ! {
    let Some(kernel) = rar_kernel::kernel() else {
        println!("the kernel did not start");
        exit(ExitCode::Failure)
    };
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let mode = apic::get().map_or("no APIC", apic::LocalApic::mode);
    println!("smp-test: {cpus} CPUs, {mode}, {}", kernel.clock());
    println!("{}", kernel.facts());
    let options = match RunOptions::read(kernel.command_line()) {
        Ok(options) => options,
        Err(error) => {
            println!("{error}");
            exit(ExitCode::Failure)
        }
    };
    name_tests_if_unknown(&options);
    let Some(options) = OPTIONS.set(options) else {
        println!("two CPUs run the main function");
        exit(ExitCode::Failure)
    };
    let mut passed = true;
    for backend in options.backends() {
        passed &= run_backend(backend, options).unwrap_or_else(|why| {
            println!("{why}");
            exit(ExitCode::Failure)
        });
    }
    if unit::is_shim()
        && let Err(why) = shim_check::check()
    {
        println!("shim: {why}");
        exit(ExitCode::Failure)
    }
    exit(if passed {
        ExitCode::Success
    } else {
        ExitCode::Failure
    })
}

/// Runs the suite in a laboratory of its own, and returns whether all of it passed.
fn run_backend(backend: Backend, options: &RunOptions<'_>) -> Result<bool, Obstacle> {
    let support = match backend {
        Backend::Software => None,
        Backend::Vrar => {
            unit::launch_everywhere(options.apic, options.defect).map_err(Obstacle::Shim)?;
            Some(unit::detect(unit::ModelCheck::Listed).map_err(Obstacle::NoRar)?)
        }
    };
    let lab = lab::start(options.deadline, support).map_err(Obstacle::NoLab)?;
    smp::run_on_all(run);
    if !clock::wait_until(LAST_CPU_MILLISECONDS, smp::everyone_done) {
        return Err(Obstacle::NotBack);
    }
    let summary = lab.summary().unwrap_or_default();
    Ok(summary.failed == 0 && summary.passed + summary.observed > 0)
}

/// Why a backend cannot have its turn.
enum Obstacle {
    Shim(unit::LaterError),
    NoRar(unit::SupportError),
    NoLab(lab::StartError),
    NotBack,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shim(error) => write!(f, "no shim: {error}"),
            Self::NoRar(error) => write!(f, "no RAR: {error}"),
            Self::NoLab(error) => write!(f, "no laboratory: {error}"),
            Self::NotBack => f.write_str("a CPU did not return from the suite"),
        }
    }
}

/// Prints the names of all tests if one that was asked for is none of them.
fn name_tests_if_unknown(options: &RunOptions<'_>) {
    let names = || TESTS.iter().map(|test| test.name);
    let mut asked = options
        .suite
        .test
        .into_iter()
        .flat_map(|list| list.split(','));
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

fn run(_: CpuId) {
    if let (Some(lab), Some(options)) = (lab::current(), OPTIONS.get()) {
        lab.run(&options.suite);
    }
}
