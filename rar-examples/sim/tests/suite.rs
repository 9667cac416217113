//! The suite on simulated machines.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::sync::Mutex;

use rar_percpu::{Domain, PayloadTable, PerCpu};
use rar_sim::lab::{self, STEPS, SimLab, TLB};
use rar_sim::machine::{Backend, Config, Machine, Unwatched};
use rar_suite::{List, Options, Outcome, Record, Suite};

fn run(config: Config, seed: u64) {
    let table = PayloadTable::new();
    let cpus: Vec<_> = (0..config.cpus).map(|_| PerCpu::new()).collect();
    let domain = Domain::new(&table, &cpus);
    let machine: Machine<'_, TLB> = Machine::new(&domain, &Unwatched, config);
    machine.register_cpus().unwrap();
    let support = machine.detect().unwrap();
    let suite = Suite::new();
    let failures = Mutex::new(Vec::new());
    let emit = |record: &Record<'_>| {
        if let Record::Test {
            name,
            initiator,
            outcome: Outcome::Fail,
            why,
            ..
        } = record
        {
            failures
                .lock()
                .unwrap()
                .push(format!("{name} ({initiator}): {why}"));
        }
    };
    let lab = SimLab::new(&suite, &machine, support, STEPS, &emit);
    let options = Options {
        test: None,
        list: List::All,
        storm_flushes: 20,
    };
    let end = machine.run(
        seed,
        &|_| {
            lab.join();
            suite.run(&lab, &options);
        },
        &mut |steps| steps < 1_000_000_000,
    );
    println!("{end:?} {:?}", lab_statistics(&lab));
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
}

fn lab_statistics(lab: &SimLab<'_>) -> rar_shootdown::Statistics {
    use rar_suite::Lab as _;
    lab.shootdown().statistics()
}

#[test]
fn hardware() {
    run(lab::config(4), 1);
}

#[test]
fn software() {
    run(
        Config {
            backend: Backend::Software,
            ..lab::config(4)
        },
        1,
    );
}
