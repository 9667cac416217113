//! What no driver can go without: one fence, one look at the set, one entry, a byte stored and a
//! byte read for each target.
//!
//! There is one initiator, so that it owns its slot for good, and nothing can go wrong.

use std::arch::asm;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

use crate::count::Counter;
use crate::size::{ADDRESS, Size, golden};
use crate::world::{World, rar_bench_outside_signal, vector_at};

/// One CPU's memory: as long as the driver's.
#[repr(C, align(128))]
struct Cpu {
    vector: [AtomicU8; 64],
}

/// CPUs that a word of a mask names.
type Group = [Cpu; 64];

#[repr(C, align(64))]
struct Payload([AtomicU64; 8]);

struct Floor<const WORDS: usize> {
    payload: Payload,
    cpus: &'static [Group; WORDS],
    world: &'static World,
}

impl<const WORDS: usize> Floor<WORDS> {
    #[inline(always)]
    fn flush(&self, space: &[AtomicU64; WORDS], this: u32, pcid: u64, address: u64) {
        fence(Ordering::SeqCst);
        let mut targets = [0; WORDS];
        let mut used = 0_u32;
        for (number, (copy, word)) in targets.iter_mut().zip(space).enumerate() {
            *copy = word.load(Ordering::Relaxed);
            used |= u32::from(*copy != 0) << number;
        }
        if let Some(word) = targets.get_mut(this as usize / 64) {
            *word &= !(1 << (this % 64));
        }
        let words = [0x20_0000_0200, 0, pcid, address, 0, 0, 0, 0];
        for (word, value) in self.payload.0.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        let groups = || {
            in_use(used).filter_map(|number| Some((targets.get(number)?, self.cpus.get(number)?)))
        };
        for (word, group) in groups() {
            for_each(*word, group, |cpus| {
                cpus.iter()
                    .for_each(|cpu| byte(cpu).store(1, Ordering::Release));
            });
        }
        rar_bench_outside_signal(self.world);
        for (word, group) in groups() {
            for_each(*word, group, |cpus| {
                let answers = || {
                    cpus.iter()
                        .fold(0, |all, cpu| all | byte(cpu).load(Ordering::Acquire))
                };
                while answers() != 0 {
                    spin_loop();
                }
            });
        }
    }
}

#[inline(always)]
fn byte(cpu: &Cpu) -> &AtomicU8 {
    let [first, ..] = &cpu.vector;
    first
}

/// The numbers of the bits that are set.
#[inline(always)]
fn in_use(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let number = bits.trailing_zeros();
        (bits != 0).then(|| {
            bits &= bits - 1;
            number as usize
        })
    })
}

/// Calls `what` for the CPUs of the word: 8, 4, 2 or 1 whose bits follow each other.
#[inline(always)]
fn for_each(mut word: u64, group: &Group, mut what: impl FnMut(&[Cpu])) {
    while word != 0 {
        let start = word.trailing_zeros();
        let run = word >> start;
        let length = (!run).trailing_zeros();
        // SAFETY: a run ends at bit 64 at the latest.
        let cpus = unsafe { group.get_unchecked(start as usize..(start + length) as usize) };
        // The lowest run is cleared by the carry that runs through it.
        word &= word.wrapping_add(1 << start);
        if let [cpu] = cpus {
            what(std::array::from_ref(cpu));
            continue;
        }
        let (eights, rest) = cpus.as_chunks::<8>();
        eights.iter().for_each(|cpus| what(cpus));
        let (fours, rest) = rest.as_chunks::<4>();
        if let [cpus] = fours {
            what(cpus);
        }
        let (twos, rest) = rest.as_chunks::<2>();
        if let [cpus] = twos {
            what(cpus);
        }
        if let [cpu] = rest {
            what(std::array::from_ref(cpu));
        }
    }
}

/// The least that a sender does: one pair of fences, and one command for each cluster of 16 that
/// has a target.
#[inline(always)]
fn send<const WORDS: usize>(targets: &[u64; WORDS], command: &AtomicU64) {
    // SAFETY: fences. Not nomem: they order what was stored before.
    unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) };
    for (number, word) in (0..).zip(targets).filter(|(_, word)| **word != 0) {
        for quarter in 0..4_u64 {
            let members = word >> (16 * quarter) & 0xffff;
            if members != 0 {
                let cluster: u64 = 4 * number + quarter;
                command.store(cluster << 48 | members << 32 | 0xb00, Ordering::Relaxed);
            }
        }
    }
}

fn count_send<const WORDS: usize>(counter: &mut Counter, size: Size) {
    let mut space = size.space().into_iter();
    let mut targets: [u64; WORDS] = std::array::from_fn(|_| space.next().unwrap_or(0));
    if let [first, ..] = targets.as_mut_slice() {
        // The initiator.
        *first &= !1;
    }
    let command = AtomicU64::new(0);
    counter.case(&format!("floor of the sender {size}"), || {
        let (targets, command) = black_box((&targets, &command));
        send(targets, command);
        true
    });
}

/// Counts it.
pub(crate) fn count(counter: &mut Counter, size: Size) {
    match size.words {
        1 => count_send::<1>(counter, size),
        4 => count_send::<4>(counter, size),
        _ => count_send::<16>(counter, size),
    }
    let name = format!("floor {size}");
    if !counter.wants(&name) {
        return;
    }
    match size.words {
        1 => one::<1>(counter, &name, size),
        4 => one::<4>(counter, &name, size),
        _ => one::<16>(counter, &name, size),
    }
}

fn one<const WORDS: usize>(counter: &mut Counter, name: &str, size: Size) {
    let group = || {
        std::array::from_fn(|_| Cpu {
            vector: [const { AtomicU8::new(0) }; 64],
        })
    };
    let cpus: Box<[Group]> = (0..WORDS).map(|_| group()).collect();
    let cpus: &'static [Group] = Box::leak(cpus);
    let Some(cpus) = cpus.as_array::<WORDS>() else {
        return;
    };
    let vectors = cpus.iter().flatten().skip(1).take(size.targets as usize);
    let vectors = vectors
        .map(|cpu| vector_at(cpu.vector.as_ptr().cast()))
        .collect();
    let world: &'static World = Box::leak(Box::new(World::new(vectors)));
    let floor = Floor {
        payload: Payload([const { AtomicU64::new(0) }; 8]),
        cpus,
        world,
    };
    let mut space = size.space().into_iter();
    let space: [AtomicU64; WORDS] =
        std::array::from_fn(|_| AtomicU64::new(space.next().unwrap_or(0)));
    let call = || {
        let (floor, space, this, pcid, address) = black_box((&floor, &space, 0, 5, ADDRESS));
        floor.flush(space, this, pcid, address);
        true
    };
    call();
    let payload = floor
        .payload
        .0
        .each_ref()
        .map(|word| word.load(Ordering::Relaxed));
    if world.answers() != (size.targets.into(), 1) || payload != golden() {
        counter.fail(name, "not every target was told the same as by the driver");
    }
    counter.case(name, call);
}
