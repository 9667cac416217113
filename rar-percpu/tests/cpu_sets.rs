//! Sets of CPUs of every size against `BTreeSet`, with numbers at and beyond every edge.
#![cfg(not(rar_loom))]

use std::collections::BTreeSet;

use proptest::prelude::*;
use rar_percpu::{AtomicCpuSet, CpuId, CpuOutOfRange, CpuSet};

#[derive(Clone, Debug)]
enum Step {
    Insert(u32),
    Remove(u32),
    Intersect(BTreeSet<u32>),
    Union(BTreeSet<u32>),
    Subtract(BTreeSet<u32>),
    /// Keeps the members whose number leaves another rest.
    Retain(u32),
    Clear,
}

/// Numbers about the edges of words, of the sets under test and of what a number can be.
fn numbers() -> impl Strategy<Value = u32> {
    let edges = vec![0, 1, 62, 63, 64, 65, 127, 128, 1022, 1023, 1024, 1025];
    prop_oneof![
        4 => prop::sample::select(edges),
        2 => 0..130u32,
        1 => 0..1100u32,
        1 => 4000..4200u32,
        1 => (u32::MAX - 64)..=u32::MAX,
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let others = || prop::collection::btree_set(numbers(), 0..40);
    let step = prop_oneof![
        12 => numbers().prop_map(Step::Insert),
        8 => numbers().prop_map(Step::Remove),
        1 => others().prop_map(Step::Intersect),
        1 => others().prop_map(Step::Union),
        1 => others().prop_map(Step::Subtract),
        1 => (2..5u32).prop_map(Step::Retain),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..100)
}

/// Runs the steps on both kinds of set and on a `BTreeSet`, and compares all three after each of
/// them.
fn run<const WORDS: usize>(steps: &[Step]) -> Result<(), TestCaseError> {
    let capacity = WORDS * 64;
    let fits = |number: u32| (number as usize) < capacity;
    let (mut plain, mut shared) = (CpuSet::<WORDS>::new(), AtomicCpuSet::<WORDS>::new());
    let mut expected = BTreeSet::new();
    for step in steps {
        match step {
            Step::Insert(number) => {
                let cpu = CpuId::new(*number);
                let outcome = match fits(*number) {
                    true => Ok(()),
                    false => Err(CpuOutOfRange { cpu, capacity }),
                };
                prop_assert_eq!(plain.insert(cpu), outcome);
                prop_assert_eq!(shared.insert(cpu), outcome);
                if outcome.is_ok() {
                    expected.insert(*number);
                }
            }
            Step::Remove(number) => {
                let was = expected.remove(number);
                prop_assert_eq!(plain.remove(CpuId::new(*number)), was);
                prop_assert_eq!(remove(&shared, *number), was);
            }
            Step::Intersect(others) => {
                plain.intersect_with(&set(others.iter().filter(|number| fits(**number)))?);
                expected.retain(|number| others.contains(number));
                shared = atomic(&expected)?;
            }
            Step::Union(others) => {
                let fitting = others.iter().filter(|number| fits(**number));
                let added: CpuSet<WORDS> = set(fitting.clone())?;
                let mut of_both = added;
                shared.add_to(&mut of_both);
                plain.union_with(&added);
                prop_assert_eq!(of_both, plain);
                expected.extend(fitting);
                shared = atomic(&expected)?;
            }
            Step::Subtract(others) => {
                plain.subtract(&set(others.iter().filter(|number| fits(**number)))?);
                expected.retain(|number| !others.contains(number));
                shared = atomic(&expected)?;
            }
            Step::Retain(rest) => {
                let mut asked = Vec::new();
                plain.retain(|cpu| {
                    asked.push(cpu.get());
                    cpu.get() % *rest != 0
                });
                prop_assert!(asked.iter().eq(&expected), "each member once, in order");
                expected.retain(|number| number % *rest != 0);
                shared = atomic(&expected)?;
            }
            Step::Clear => {
                plain.clear();
                prop_assert_eq!(plain, CpuSet::default());
                shared = AtomicCpuSet::default();
                expected.clear();
            }
        }
        compare(&plain, &expected)?;
        compare(&shared.snapshot(), &expected)?;
        // Equal members are equal sets, whatever way led there.
        prop_assert_eq!(plain, set(&expected)?);
        prop_assert_eq!(shared.snapshot(), plain);
        prop_assert_eq!(CpuSet::from_words(*plain.words()), plain);
        prop_assert_eq!(words::<WORDS>(&expected), *plain.words());
        for number in steps.iter().filter_map(named) {
            let member = expected.contains(&number);
            prop_assert_eq!(plain.contains(CpuId::new(number)), member, "{}", number);
            prop_assert_eq!(shared.contains(CpuId::new(number)), member, "{}", number);
        }
    }
    Ok(())
}

/// The summary word stands behind the walk, the count and the emptiness; `contains` looks at the
/// words alone.
fn compare<const WORDS: usize>(
    set: &CpuSet<WORDS>,
    expected: &BTreeSet<u32>,
) -> Result<(), TestCaseError> {
    let walked: Vec<u32> = set.iter().map(CpuId::get).collect();
    prop_assert!(
        walked.iter().eq(expected),
        "{:?} is not {:?}",
        walked,
        expected
    );
    prop_assert_eq!(set.len(), expected.len());
    prop_assert_eq!(set.is_empty(), expected.is_empty());
    prop_assert_eq!(set.first().map(CpuId::get), expected.first().copied());
    Ok(())
}

fn named(step: &Step) -> Option<u32> {
    match step {
        Step::Insert(number) | Step::Remove(number) => Some(*number),
        _ => None,
    }
}

/// Removes a CPU from a set that no flush uses.
fn remove<const WORDS: usize>(set: &AtomicCpuSet<WORDS>, number: u32) -> bool {
    // SAFETY: no flush takes its targets from the set.
    unsafe { set.remove(CpuId::new(number)) }
}

/// The members as words, made without the sets under test.
fn words<const WORDS: usize>(numbers: &BTreeSet<u32>) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for number in numbers {
        if let Some(word) = words.get_mut(*number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }
    words
}

fn set<'n, const WORDS: usize>(
    numbers: impl IntoIterator<Item = &'n u32>,
) -> Result<CpuSet<WORDS>, TestCaseError> {
    let mut set = CpuSet::new();
    for number in numbers {
        let outcome = set.insert(CpuId::new(*number));
        outcome.map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
    Ok(set)
}

fn atomic<const WORDS: usize>(
    numbers: &BTreeSet<u32>,
) -> Result<AtomicCpuSet<WORDS>, TestCaseError> {
    let set = AtomicCpuSet::new();
    for number in numbers {
        let outcome = set.insert(CpuId::new(*number));
        outcome.map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
    Ok(set)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// 64, 128, 1,024 and 4,096 CPUs: one word, the first step beyond it, the default, and the most
    /// that a summary covers.
    #[test]
    fn sets_of_every_size_behave_like_a_set_of_numbers(steps in steps()) {
        run::<1>(&steps)?;
        run::<2>(&steps)?;
        run::<16>(&steps)?;
        run::<64>(&steps)?;
    }
}

/// Machines of exactly this many CPUs: all of them join, each leaves, and no other can be named.
#[test]
fn machines_of_every_size_are_walked_in_full() -> Result<(), TestCaseError> {
    for cpus in [1, 63, 64, 65, 1023, 1024] {
        let mut expected: BTreeSet<u32> = (0..cpus).collect();
        let mut plain: CpuSet<16> = set(&expected)?;
        let shared: AtomicCpuSet<16> = atomic(&expected)?;
        compare(&plain, &expected)?;
        compare(&shared.snapshot(), &expected)?;
        assert!(!plain.contains(CpuId::new(cpus)) && !shared.contains(CpuId::new(cpus)));
        assert!(!plain.remove(CpuId::new(cpus)) && !remove(&shared, cpus));
        for cpu in (0..cpus).step_by(3).chain((0..cpus).rev()) {
            let was = expected.remove(&cpu);
            assert_eq!(plain.remove(CpuId::new(cpu)), was);
            assert_eq!(remove(&shared, cpu), was);
            // The last member of each word is where a summary goes wrong.
            if expected.len() < 130 || cpu % 64 == 0 {
                compare(&plain, &expected)?;
                compare(&shared.snapshot(), &expected)?;
            }
        }
        assert!(plain.is_empty() && shared.snapshot().is_empty());
    }
    Ok(())
}

#[test]
fn a_set_is_made_of_words_when_compiled() {
    const SET: CpuSet<2> = CpuSet::from_words([1 << 63, 0b10]);
    const EMPTY: bool = CpuSet::<2>::from_words([0, 0]).is_empty();
    assert!(EMPTY && !SET.is_empty());
    assert_eq!(CpuSet::of([63, 65].map(CpuId::new)), Ok(SET));
    assert_eq!(SET.words(), &[1 << 63, 0b10]);
}

#[test]
fn sets_that_differ_in_one_member_are_not_equal() {
    let set = CpuSet::<4>::from_words([1, 0, 1 << 63, 0]);
    for cpu in 0..256 {
        let mut other = set;
        if !other.remove(CpuId::new(cpu)) {
            assert_eq!(other.insert(CpuId::new(cpu)), Ok(()));
        }
        assert_ne!(other, set, "{cpu}");
    }
    assert_eq!(set, CpuSet::from_words(*set.words()));
}

#[test]
fn the_first_cpu_beyond_each_capacity_is_refused_and_changes_nothing() {
    fn refused<const WORDS: usize>() {
        let capacity = WORDS * 64;
        assert_eq!(CpuSet::<WORDS>::CAPACITY, capacity);
        for number in [capacity as u64, capacity as u64 + 1, u64::from(u32::MAX)] {
            let cpu = CpuId::new(u32::try_from(number).unwrap());
            let (mut plain, shared) = (CpuSet::<WORDS>::new(), AtomicCpuSet::<WORDS>::new());
            assert_eq!(plain.insert(cpu), Err(CpuOutOfRange { cpu, capacity }));
            assert_eq!(shared.insert(cpu), Err(CpuOutOfRange { cpu, capacity }));
            assert!(plain.is_empty() && shared.snapshot() == plain);
            assert_eq!(
                CpuSet::<WORDS>::of([CpuId::new(0), cpu]),
                Err(CpuOutOfRange { cpu, capacity })
            );
        }
    }
    refused::<1>();
    refused::<2>();
    refused::<16>();
    refused::<64>();
}
