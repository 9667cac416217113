//! The loop: changed inputs of the corpus until a target panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::change::change;
use crate::corpus::Seed;

/// An input that made a target panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed of the search.
    pub seed: u64,
    /// The number of the case: with the seed it is the input.
    pub number: u64,
    /// The input as it was drawn.
    pub input: Vec<u8>,
    /// What the panic said.
    pub message: String,
}

/// Returns the input with that number: the same for the same corpus and seed.
#[must_use]
pub fn draw(corpus: &[Seed], seed: u64, number: u64) -> Vec<u8> {
    // Numbers of neighbouring seeds must not meet.
    let mut rng = Rng::with_seed(
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(number),
    );
    let pick = |rng: &mut Rng| match corpus.len() {
        0 => Vec::new(),
        length => corpus
            .get(rng.usize(..length))
            .map_or(Vec::new(), |seed| seed.bytes.clone()),
    };
    // Now and then from nothing: what no kept input is near to.
    let mut bytes = if rng.u8(..16) == 0 {
        Vec::new()
    } else {
        pick(&mut rng)
    };
    let other = pick(&mut rng);
    change(&mut rng, &mut bytes, &other);
    bytes
}

/// Runs a target on one input; returns what its panic said, if it panicked.
pub fn run(target: impl Fn(&[u8]), input: &[u8]) -> Option<String> {
    let caught = catch_unwind(AssertUnwindSafe(|| target(input)));
    let panic = caught.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_else(|| "a panic without a text".to_owned()))
}

/// Runs a target on the inputs with these numbers, until one fails.
pub fn search(
    target: impl Fn(&[u8]),
    corpus: &[Seed],
    seed: u64,
    numbers: impl IntoIterator<Item = u64>,
) -> Option<Failure> {
    numbers.into_iter().find_map(|number| {
        let input = draw(corpus, seed, number);
        let message = run(&target, &input)?;
        Some(Failure {
            seed,
            number,
            input,
            message,
        })
    })
}

/// How many tries a shrink takes at most.
const TRIES: usize = 2000;

/// Returns a smaller input that fails, too: parts are cut out, then bytes become zero.
pub fn shrink(target: impl Fn(&[u8]), input: &[u8]) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut tries = 0;
    let mut fails = |input: &[u8]| {
        tries += 1;
        tries <= TRIES && run(&target, input).is_some()
    };
    let mut length = best.len();
    while length > 0 {
        let mut start = 0;
        while start < best.len() {
            let mut shorter = best.clone();
            shorter.drain(start..(start + length).min(best.len()));
            if fails(&shorter) {
                best = shorter;
            } else {
                start += length;
            }
        }
        length /= 2;
    }
    for index in 0..best.len() {
        let mut simpler = best.clone();
        if let Some(byte) = simpler.get_mut(index).filter(|byte| **byte != 0) {
            *byte = 0;
            if fails(&simpler) {
                best = simpler;
            }
        }
    }
    best
}
