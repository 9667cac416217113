//! Changes of bytes, drawn by a generator.

use fastrand::Rng;

/// No input grows beyond this.
pub const LONGEST: usize = 4096;

/// Values at which lengths and counts go wrong.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// Makes one to eight changes; `other` gives bytes to take parts from.
pub fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.usize(1..=8) {
        one(rng, bytes, other);
        bytes.truncate(LONGEST);
    }
}

fn one(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if bytes.is_empty() {
        bytes.extend((0..rng.usize(1..=64)).map(|_| rng.u8(..)));
        return;
    }
    let at = rng.usize(..bytes.len());
    let here = bytes.get(at).copied().unwrap_or(0);
    match rng.u8(..8) {
        0 => set(bytes, at, &[rng.u8(..)]),
        1 => set(bytes, at, &[here ^ 1 << rng.u8(..8)]),
        2 => {
            let value = EDGES.get(rng.usize(..EDGES.len())).copied().unwrap_or(0);
            let width = 1 << rng.usize(..4);
            set(bytes, at, value.to_le_bytes().get(..width).unwrap_or(&[]));
        }
        3 => set(bytes, at, &[step(rng, here)]),
        4 => bytes.truncate(at),
        5 => {
            let end = (at + rng.usize(1..=16)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 => {
            let part = part(rng, other).to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let part = part(rng, &bytes.clone()).to_vec();
            set(bytes, at, &part);
        }
    }
}

fn step(rng: &mut Rng, byte: u8) -> u8 {
    byte.wrapping_add(rng.u8(1..=4)).wrapping_sub(rng.u8(0..=4))
}

fn part<'b>(rng: &mut Rng, bytes: &'b [u8]) -> &'b [u8] {
    let start = rng.usize(..=bytes.len());
    let length = rng.usize(..=64).min(bytes.len() - start);
    bytes.get(start..start + length).unwrap_or(&[])
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    let places = bytes.iter_mut().skip(at);
    places.zip(value).for_each(|(place, byte)| *place = *byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_change_and_no_input_grows_without_end() {
        let changed = |seed| {
            let (mut rng, mut bytes) = (Rng::with_seed(seed), vec![7; 40]);
            change(&mut rng, &mut bytes, &[9; 300]);
            bytes
        };
        assert_eq!(changed(1), changed(1));
        let different = (0..200).filter(|seed| changed(*seed) != [7; 40]).count();
        assert!(different > 190, "{different}");
        let (mut rng, mut bytes) = (Rng::with_seed(1), Vec::new());
        for _ in 0..5000 {
            change(&mut rng, &mut bytes, &[9; 5000]);
            assert!(bytes.len() <= LONGEST);
        }
    }
}
