//! The multicore test kernel: boots every CPU, runs the shootdown suite on all of them, and exits with the verdict.
#![no_std]
#![no_main]

mod options;
mod shim_check;

use core::fmt;

use rar_kernel::{ExitCode, KernelLab, Once, apic, clock, exit, lab, println, smp, unit};
use rar_percpu::CpuId;
use rar_suite::{Suite, Summary};

use crate::options::{Backend, RunOptions};

rar_kernel::entry!(main);

/// How long CPUs may take to return from the suite after the first has.
const LAST_CPU_MILLISECONDS: u64 = 10_000;

static SUITE: Suite = Suite::new();
static RUN: Once<Run> = Once::new();
static SUMMARY: Once<Summary> = Once::new();

struct Run {
    lab: &'static KernelLab,
    options: RunOptions<'static>,
}

fn main() -> ! {
    let Some(kernel) = rar_kernel::kernel() else {
        println!("the kernel did not start");
        exit(ExitCode::Failure)
    };
    let cpus = smp::cpus().map_or(1, smp::Cpus::online);
    let mode = apic::get().map_or("no APIC", apic::LocalApic::mode);
    println!("smp-test: {cpus} CPUs, {mode}, {}", kernel.clock());
    let options = match RunOptions::read(kernel.command_line()) {
        Ok(options) => options,
        Err(error) => {
            println!("{error}");
            exit(ExitCode::Failure)
        }
    };
    name_tests_if_unknown(&options);
    let support = match options.backend {
        Backend::Software => None,
        Backend::Unit => match unit::detect() {
            Ok(support) => Some(support),
            Err(error) => {
                println!("no RAR: {error}");
                exit(ExitCode::Failure)
            }
        },
    };
    match lab::start(&SUITE, options.deadline, support) {
        Ok(lab) => {
            let _first = RUN.set(Run { lab, options });
        }
        Err(error) => {
            println!("no laboratory: {error}");
            exit(ExitCode::Failure)
        }
    }
    smp::run_on_all(run);
    if !clock::wait_until(LAST_CPU_MILLISECONDS, smp::everyone_done) {
        println!("a CPU did not return from the suite");
        exit(ExitCode::Failure)
    }
    if unit::is_shim()
        && let Err(why) = shim_check::check()
    {
        println!("shim: {why}");
        exit(ExitCode::Failure)
    }
    let passed = SUMMARY
        .get()
        .is_some_and(|summary| summary.failed == 0 && summary.passed > 0);
    exit(if passed {
        ExitCode::Success
    } else {
        ExitCode::Failure
    })
}

/// Prints the names of all tests if one that was asked for is none of them.
fn name_tests_if_unknown(options: &RunOptions<'_>) {
    let names = Suite::test_names::<KernelLab>;
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

fn run(cpu: CpuId) {
    if let Some(run) = RUN.get() {
        run.lab.join();
        let summary = SUITE.run(run.lab, &run.options.suite);
        if cpu.get() == 0 {
            let _first = SUMMARY.set(summary);
        }
    }
}
