//! Which slices a soak has.

use rar_harness::modes::Thread;
use rar_vocabulary::Backend;

use crate::slice::{Machine, Slice};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How long all of it takes.
    pub seconds: u64,
    /// The seed of all slices' seeds.
    pub seed: u64,
    /// Only this backend; the model of the simulator counts as `model`.
    pub backend: Option<Backend>,
    /// CPU counts.
    pub cpus: Vec<u32>,
    /// Whether QEMU counts instructions: no slice has host threads.
    pub deterministic: bool,
}

/// The longest round of all machines: a longer soak has several, each with seeds of its own.
const ROUND: u64 = 600;

/// Returns the part of a round that a machine gets, of 100. Volume comes from one host thread.
const fn share(machine: Machine) -> u64 {
    match machine {
        Machine::Simulated(_) => 5,
        Machine::Guest(Backend::Software, Thread::Single) => 40,
        Machine::Guest(_, Thread::Single) => 30,
        Machine::Guest(_, Thread::Multi) => 10,
    }
}

/// Returns the slices of a soak, in their order.
#[must_use]
pub fn plan(wish: &Wish) -> Vec<Slice> {
    let wanted = |machine: &Machine| {
        let races = matches!(machine, Machine::Guest(_, Thread::Multi));
        wish.backend
            .is_none_or(|backend| machine.backend() == backend)
            && !(wish.deterministic && races)
    };
    let machines: Vec<_> = Machine::ALL.into_iter().filter(wanted).collect();
    let shares: u64 = machines.iter().map(|machine| share(*machine)).sum();
    let rounds = wish.seconds.div_ceil(ROUND).max(1);
    let counts = u64::try_from(wish.cpus.len()).unwrap_or(1).max(1);
    let mut seeds = Seeds(wish.seed);
    let mut slices = Vec::new();
    for _ in 0..rounds {
        for &machine in &machines {
            for &cpus in &wish.cpus {
                let part = wish.seconds * share(machine) / (shares * rounds * counts);
                slices.push(Slice {
                    machine,
                    cpus,
                    seed: seeds.next(),
                    seconds: part.max(1),
                });
            }
        }
    }
    slices
}

/// The seeds of slices: short ones, which a person can type.
struct Seeds(u64);

impl Seeds {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) >> 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(seconds: u64) -> Wish {
        Wish {
            seconds,
            seed: 1,
            backend: None,
            cpus: vec![2, 4],
            deterministic: false,
        }
    }

    #[test]
    fn the_slices_fill_the_time_and_have_seeds_of_their_own() {
        let slices = plan(&wish(600));
        assert_eq!(slices.len(), 12);
        assert_eq!(slices.iter().map(|slice| slice.seconds).sum::<u64>(), 600);
        let mut seeds: Vec<_> = slices.iter().map(|slice| slice.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 12);
        assert_eq!(plan(&wish(600)), slices);
        let other = plan(&Wish {
            seed: 2,
            ..wish(600)
        });
        assert_ne!(other, slices);
        // An hour is six rounds.
        assert_eq!(plan(&wish(3_600)).len(), 72);
    }

    #[test]
    fn options_choose_machines() {
        let software = plan(&Wish {
            backend: Some(Backend::Software),
            deterministic: true,
            cpus: vec![3],
            ..wish(90)
        });
        let texts: Vec<_> = software
            .iter()
            .map(|each| each.machine.to_string())
            .collect();
        assert_eq!(texts, ["sim-software", "software-single"]);
        assert_eq!(software.iter().map(|each| each.seconds).sum::<u64>(), 90);
    }
}
