//! The soak on simulated machines: honest ones pass, and broken ones are caught.

use rar_sim::defects::Defect;
use rar_sim::machine::Answering;
use rar_sim::platform::Trouble;
use rar_sim::soak::{SoakEnd, SoakRun};
use rar_vocabulary::{Soak, SoakFault, SoakOperation};

const FLUSHES: u64 = 3_000;

/// Defects that leave stale translations to a flush that has returned.
const STALE: [&str; 10] = [
    "success-without-flush",
    "status-before-flush",
    "stores-not-drained",
    "one-page-too-few",
    "globals-kept",
    "pcid-one-less",
    "pcid-current",
    "structures-kept",
    "driver-one-page-late",
    "driver-own-tlb-kept",
];

/// Faults that need a unit.
const OF_UNITS: [SoakFault; 3] = [
    SoakFault::Suspended,
    SoakFault::RegistersLost,
    SoakFault::UnitsRefused,
];

/// Defects that the driver survives, but not by the signal alone.
const BY_OTHER_MEANS: [&str; 5] = [
    "never-answers",
    "signal-lost",
    "failure-sometimes",
    "driver-signal-before-arm",
    "driver-last-target-not-signalled",
];

fn run(backend: Answering, cpus: u32, seed: u64) -> SoakEnd {
    SoakRun::new(cpus, backend, seed, FLUSHES).run()
}

/// Most seeds that a defect gets: some need a race that not every life has.
const SEEDS: u64 = 6;

/// Returns the first life in which the defect shows, or else the last.
fn broken(name: &str) -> SoakEnd {
    let defect = Defect::all().find(|defect| defect.name() == name);
    let life = |seed| {
        let honest = SoakRun::new(4, Answering::Units, seed, FLUSHES);
        // An honest machine passes, and so fails the tests here.
        let run = match defect {
            Some(defect) => honest.with_defect(defect),
            None => honest,
        };
        run.run()
    };
    let mut lives = (1..SEEDS).map(life);
    let shown = lives.find(|end| end.failure.is_some());
    shown.unwrap_or_else(|| life(SEEDS))
}

#[test]
fn an_honest_machine_passes_and_shows_each_kind_of_flush_and_fault() {
    for backend in [Answering::Units, Answering::Software] {
        let mut all = Soak::default();
        for cpus in [2, 4] {
            let SoakEnd {
                counts, failure, ..
            } = run(backend, cpus, 1);
            let machine = format!("{backend:?}, {cpus} CPUs");
            assert_eq!(failure, None, "{machine}");
            assert_eq!((counts.stale, counts.unexplained), (0, 0), "{machine}");
            assert!(counts.verified() > FLUSHES / 3, "{machine}: {counts:?}");
            // The simulated TLB evicts nothing.
            assert!(counts.controls > 0, "{machine}");
            assert_eq!(counts.controls_seen, counts.controls, "{machine}");
            assert!(counts.switches > 0 && counts.lazy > 0 && counts.reused > 0);
            // Spaces have fewer PCIDs than they need, and CPUs keep what they leave.
            assert!(counts.pcids > 100 && counts.kept > 100, "{machine}");
            assert!(counts.migrations > 0, "{machine}");
            all.add(&counts);
        }
        for (kind, each) in SoakOperation::ALL.iter().zip(all.operations) {
            // Only where software flushes is a storm's flush verified.
            let shown = each.verified > 0 || *kind == SoakOperation::Storm;
            assert!(each.flushes > 0 && shown, "{backend:?}: {kind} {each:?}");
        }
        for (kind, fault) in SoakFault::ALL.iter().zip(all.faults) {
            let happens = backend == Answering::Units || !OF_UNITS.contains(kind);
            assert_eq!(fault.injected > 0, happens, "{backend:?}: {kind}");
            assert_eq!(fault.accounted, fault.injected, "{backend:?}: {kind}");
        }
    }
}

/// A CPU that the host does not run for longer than it has for its answer is flushed by other
/// means: in the round of a fault, in a storm, or in any other flush.
#[test]
fn a_pause_by_the_host_fails_no_flush_and_no_fault() {
    let mut pauses = 0;
    for seed in 0..12 {
        let end = SoakRun {
            trouble: Trouble {
                pauses: 6,
                moments: 25_000,
                ..Trouble::NONE
            },
            ..SoakRun::new(3, Answering::Software, seed, 100)
        }
        .run();
        let counts = end.counts;
        assert_eq!(end.failure, None, "seed {seed}");
        assert_eq!(counts.accounted(), counts.injected(), "seed {seed}");
        pauses += counts.pauses;
    }
    assert!(pauses > 12, "{pauses} pauses only");
}

/// In this life a space gets another PCID while a CPU that is offline is in it.
#[test]
fn a_cpu_that_comes_back_uses_the_pcid_that_its_space_has_by_now() {
    let end = run(Answering::Units, 4, 12_512_158);
    assert_eq!(end.failure, None);
    assert!(end.counts.pcids > 0, "{:?}", end.counts);
}

#[test]
fn a_single_cpu_verifies_nothing() {
    let end = run(Answering::Units, 1, 1);
    assert_eq!(end.failure, None);
    assert_eq!(end.counts.verified(), 0);
    assert!(end.counts.flushes() >= FLUSHES);
}

#[test]
fn a_seed_is_a_run() {
    let counts = |seed| run(Answering::Units, 3, seed).counts;
    assert_eq!(counts(5), counts(5));
    assert_ne!(counts(5), counts(6));
}

#[test]
fn a_stale_translation_is_caught_with_its_cpu_and_page() {
    for name in STALE {
        let end = broken(name);
        let why = end.failure.unwrap_or_default();
        assert!(end.is_stale && end.counts.stale > 0, "{name}: {why:?}");
        let named = why.contains("CPU ") && why.contains(" page ") || why.contains(" frame ");
        assert!(named, "{name}: {why:?}");
    }
}

#[test]
fn a_fallback_without_an_injected_fault_is_caught() {
    for name in BY_OTHER_MEANS {
        let end = broken(name);
        let why = end.failure.unwrap_or_default();
        assert!(why.contains("without a fault"), "{name}: {why:?}");
        assert!(!end.is_stale && end.counts.unexplained > 0, "{name}");
    }
}

#[test]
fn a_fault_without_its_promised_effect_is_caught() {
    let end = broken("ignore-if-unheeded");
    let why = end.failure.unwrap_or_default();
    assert!(why.starts_with("fault interrupts-off on CPU"), "{why:?}");
    assert!(end.counts.accounted() < end.counts.injected());
}
