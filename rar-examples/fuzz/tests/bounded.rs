//! Each target for a bounded time: the kept inputs, changed ones, random ones. And the loop finds a
//! target that is broken.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rar_fuzz::corpus::{self, Seed};
use rar_fuzz::search::{Failure, draw, run, search, shrink};
use rar_fuzz::target::{TARGETS, Target};

/// Changed inputs of each target.
const CHANGED: u64 = 1500;

/// Random inputs of each target.
const RANDOM: u32 = 400;

fn kept(target: &Target) -> Vec<Seed> {
    corpus::read(&corpus::folder(target.name)).unwrap()
}

#[test]
fn every_target_has_kept_inputs_and_holds_on_them() {
    for target in &TARGETS {
        let kept = kept(target);
        let different: BTreeSet<_> = kept.iter().map(|seed| &seed.bytes).collect();
        assert!(kept.len() >= 4, "{} has {} inputs", target.name, kept.len());
        assert_eq!(
            different.len(),
            kept.len(),
            "{} keeps an input twice",
            target.name
        );
        for seed in &kept {
            assert_eq!(run(target.run, &seed.bytes), None, "{}", seed.name);
        }
    }
}

#[test]
fn every_target_holds_on_changed_inputs() {
    for target in &TARGETS {
        let failure = search(target.run, &kept(target), 1, 0..CHANGED);
        assert_eq!(failure, None, "{}", target.name);
    }
}

#[test]
fn every_target_holds_on_random_inputs() {
    for target in &TARGETS {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(RANDOM)
        });
        let ended = runner.run(&vec(any::<u8>(), 0..300), |bytes| {
            (target.run)(&bytes);
            Ok(())
        });
        assert!(ended.is_ok(), "{}: {ended:?}", target.name);
    }
}

/// Fails where a length of two bytes points behind the end, as a reader that trusts it would.
fn trusts_a_length(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length));
    assert!(
        length <= rest.len(),
        "reads {length} of {} bytes",
        rest.len()
    );
}

/// A corpus on which that reader holds.
fn right() -> Vec<Seed> {
    let seed = |bytes: &[u8]| Seed {
        name: "right".to_owned(),
        purpose: "control".to_owned(),
        bytes: bytes.to_vec(),
    };
    vec![
        seed(&[4, 0, 1, 2, 3, 4]),
        seed(&[0, 0]),
        seed(&[8, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ]
}

/// The positive control: without it a loop that runs nothing would pass.
#[test]
fn the_loop_finds_a_broken_target_and_repeats_it_by_seed_and_number() {
    let corpus = right();
    assert!(
        corpus
            .iter()
            .all(|seed| run(trusts_a_length, &seed.bytes).is_none())
    );
    let failure = search(trusts_a_length, &corpus, 7, 0..1000).unwrap();
    let Failure {
        seed,
        number,
        input,
        message,
    } = &failure;
    println!("seed {seed}, input {number}: {message}");
    assert!(message.starts_with("reads "), "{message}");
    assert_eq!(*seed, 7);

    assert_eq!(&draw(&corpus, 7, *number), input);
    let again = search(trusts_a_length, &corpus, 7, *number..=*number);
    assert_eq!(again.as_ref(), Some(&failure));

    let small = shrink(trusts_a_length, input);
    assert!(run(trusts_a_length, &small).is_some());
    assert!(small.len() <= 3 && small.len() <= input.len(), "{small:?}");
}

/// Other seeds draw other inputs, and so do other numbers.
#[test]
fn inputs_differ() {
    let corpus = right();
    let drawn: BTreeSet<_> = (0..20)
        .flat_map(|seed| (0..50).map(move |number| (seed, number)))
        .map(|(seed, number)| draw(&corpus, seed, number))
        .collect();
    assert!(drawn.len() > 700, "{}", drawn.len());
}

/// What fails in a target is what its panic says.
#[test]
fn a_panic_of_any_kind_is_a_failure() {
    assert_eq!(run(|_| (), &[]), None);
    assert_eq!(run(|_| panic!("text"), &[]), Some("text".to_owned()));
    let number = run(|_| std::panic::panic_any(7_u8), &[]);
    assert_eq!(number, Some("a panic without a text".to_owned()));
    let index = run(|bytes| assert_eq!(bytes.iter().sum::<u8>(), 0), &[200, 200]);
    assert!(
        index.unwrap().contains("overflow"),
        "checks of overflow are on"
    );
}
