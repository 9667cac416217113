//! Page walks that are suspended between their reads, and the A and D bits that they set.

use std::time::Duration;

use rar_model::{Faults, Knobs};
use rar_percpu::fake::pinned;
use rar_sim::history::{Campaign, Episode, Problem, Use, Violation};
use rar_sim::machine::{Answering, Machine, MachineConfig, PageFault, Unwatched};
use rar_sim::page_tables::{Entry, slot};

/// How many steps show that nothing is found, and after how many something must be.
const QUIET: u64 = 50_000;
const ENOUGH: u64 = 1_000_000;
/// Half of all reads of walks are followed by a pause.
const PAUSES: u8 = 128;

/// Returns the first problem of histories on two CPUs, if there is one.
fn problem(episode: Episode, steps: u64) -> Option<Problem> {
    let campaign = Campaign {
        episode,
        seed: 1,
        steps,
        shrink: Duration::ZERO,
    };
    campaign.run(&mut |_| {}).err().map(|failed| failed.0.what)
}

fn units(faults: Faults, walk_pauses: u8) -> Episode {
    let knobs = Knobs {
        faults,
        ..Knobs::DEFAULT
    };
    Episode {
        knobs,
        walk_pauses,
        ..Episode::new(2)
    }
}

fn stale_use(problem: Option<Problem>) -> Option<Use> {
    match problem {
        Some(Problem::Stale(Violation { kind, .. })) => Some(kind),
        _ => None,
    }
}

#[test]
fn suspended_walks_break_nothing_that_is_right() {
    assert_eq!(problem(units(Faults::NONE, PAUSES), QUIET), None);
    let software = Episode {
        backend: Answering::Software,
        ..units(Faults::NONE, PAUSES)
    };
    assert_eq!(problem(software, QUIET), None);
    let sparing = Episode {
        knobs: Knobs::SPARING,
        ..units(Faults::NONE, PAUSES)
    };
    assert_eq!(problem(sparing, QUIET), None);
}

#[test]
fn a_walk_that_survives_the_flush_is_seen_only_where_walks_are_suspended() {
    let broken = Faults {
        walks_kept: true,
        ..Faults::NONE
    };
    let used = stale_use(problem(units(broken, PAUSES), ENOUGH));
    assert!(
        matches!(used, Some(Use::Load | Use::Store | Use::Walk)),
        "{used:?}"
    );
    assert_eq!(problem(units(broken, 0), QUIET), None);
}

#[test]
fn a_lost_dirty_bit_is_seen_only_where_software_clears_it() {
    let broken = Faults {
        dirty_bits_kept: true,
        ..Faults::NONE
    };
    let used = stale_use(problem(units(broken, PAUSES), ENOUGH));
    assert_eq!(used, Some(Use::WithoutDirty));
    assert_eq!(problem(units(broken, 0), QUIET), None);
}

const ROOT: u64 = 0x10_0000;
const TABLES: [u64; 3] = [ROOT + 0x1000, ROOT + 0x2000, ROOT + 0x3000];
const PAGE: u64 = 0x4000_0000;
const FRAME: u64 = 0x20_0000;

/// The entries on the way to the page, and its own.
fn places() -> [u64; 4] {
    let [pointers, directory, table] = TABLES;
    [
        slot(ROOT, PAGE, 39),
        slot(pointers, PAGE, 30),
        slot(directory, PAGE, 21),
        slot(table, PAGE, 12),
    ]
}

/// A machine with one page, whose entries have neither A nor D.
fn machine() -> Machine<'static, 16> {
    let machine = Machine::new(&Unwatched, MachineConfig::new(1));
    let [root, pointers, directory, table] = places();
    for (place, next) in [root, pointers, directory].into_iter().zip(TABLES) {
        machine.memory.store(place, Entry::table(next).0);
    }
    let leaf = FRAME | Entry::PRESENT | Entry::WRITABLE;
    machine.memory.store(table, leaf);
    machine.load_cr3(0, ROOT);
    machine
}

/// Returns A of each entry, and D of the last.
fn bits(machine: &Machine<'_, 16>) -> ([bool; 4], bool) {
    let entries = places().map(|place| Entry(machine.memory.load(place)));
    let [.., leaf] = entries;
    (entries.map(Entry::is_accessed), leaf.is_dirty())
}

#[test]
fn a_walk_sets_a_and_a_store_sets_d() {
    let machine = machine();
    assert_eq!(bits(&machine), ([false; 4], false));
    assert_eq!(machine.load(0, PAGE), Ok(0));
    assert_eq!(bits(&machine), ([true; 4], false));
    // The translation is cached, but not as dirty.
    assert_eq!(machine.store(0, PAGE, 1), Ok(()));
    assert_eq!(bits(&machine), ([true; 4], true));
}

#[test]
fn what_is_cached_sets_nothing_until_it_is_flushed() {
    let machine = machine();
    let [.., leaf] = places();
    assert_eq!(machine.store(0, PAGE, 1), Ok(()));
    machine.memory.clear(leaf, Entry::ACCESSED | Entry::DIRTY);
    assert_eq!(machine.store(0, PAGE, 2), Ok(()));
    assert_eq!(bits(&machine), ([true, true, true, false], false));
    machine.invlpg(&pinned(0), PAGE);
    assert_eq!(machine.load(0, PAGE), Ok(2));
    assert_eq!(bits(&machine), ([true; 4], false));
    assert_eq!(machine.store(0, PAGE, 3), Ok(()));
    assert_eq!(bits(&machine), ([true; 4], true));
}

/// A refused store leaves D alone.
#[test]
fn a_store_that_faults_sets_no_d() {
    let machine = machine();
    let [.., leaf] = places();
    machine.memory.clear(leaf, Entry::WRITABLE);
    assert_eq!(machine.store(0, PAGE, 1), Err(PageFault));
    assert_eq!(bits(&machine), ([true; 4], false));
}
