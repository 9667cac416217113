//! The run of one design at one point.

use std::cell::Cell;

use rar_payload::{CostModel, Operation, PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::observed::{counters_of, counters_of_others, sets, slot_states};
use rar_percpu::{CpuId, Domain};
use rar_shootdown::{Counting, LazySkip, Policy, Shootdown, Statistics};

use super::calls::Calls;
use super::gate::Gate;
use super::ground::{Ground, SimMachine, Space};
use super::slots::{self, Owners};
use super::{Design, Figures, Point};
use crate::machine::{Addressing, Machine, MachineConfig, Watch};
use crate::meter::{ByKind, Kind, Meter, addresses_of};
use crate::platform;
use crate::schedule::{End, step};

/// How often, of 256 accesses, another CPU runs before one. A single initiator meets no other.
const PREEMPTION: u8 = 16;

/// A run that takes more steps has hung.
const MOST_STEPS: u64 = 2_000_000_000;

/// The handlers of the designs that interrupt.
struct Handlers<'c>(&'c Calls);

impl Watch for Handlers<'_> {
    fn own_interrupt(&self, cpu: u32) {
        self.0.serve(cpu);
    }
}

/// Runs one design at one point: flushes of one page of a user space.
///
/// # Panics
///
/// If a flush fails or needs other means than the signal, or if the run hangs.
#[must_use]
pub fn measure(design: Design, point: Point) -> Figures {
    let page = PageRange::new(0x40_0000, 1, PageSize::Size4K);
    match page {
        Ok(range) => measure_range(design, point, range, Counting::Rare).0,
        Err(error) => unreachable!("{error}"),
    }
}

/// Runs one design at one point; returns what the driver counted as well. Only the driver flushes
/// more pages than an entry holds.
pub(super) fn measure_range(
    design: Design,
    point: Point,
    range: PageRange,
    counting: Counting,
) -> (Figures, Statistics) {
    let (initiators, cpus) = (point.initiators, point.cpus());
    let calls = match design {
        Design::Calls => Calls::new(initiators, cpus),
        _ => Calls::new(0, 0),
    };
    let handlers = Handlers(&calls);
    let owners = match design {
        Design::Bitmap => Owners::bitmap(),
        Design::Locks => Owners::locks(),
        _ => Owners::Initiators,
    };
    let spaces: Vec<Space> = (0..cpus).map(|_| Space::default()).collect();
    let all_cpus = Space::default();
    for cpu in 0..cpus {
        insert(&all_cpus, cpu);
        if let Some(space) = spaces.get(cpu as usize) {
            point
                .targets_of(cpu)
                .for_each(|target| insert(space, target));
        }
    }
    let config = MachineConfig {
        addressing: Addressing::Cluster,
        preemption: if initiators > 1 { PREEMPTION } else { 0 },
        ..MachineConfig::new(cpus)
    };
    let machine = SimMachine::new(&handlers, config);
    let mut policy = policy(design);
    policy.counting = counting;
    let shootdown = Shootdown::new(&machine, policy);
    if let Err(error) = machine.register_cpus(shootdown.domain()) {
        unreachable!("{error}");
    }
    let support = match machine.detect() {
        Ok(support) => support,
        Err(error) => unreachable!("{error}"),
    };
    {
        let mut meter = machine.meter();
        if point.in_pairs {
            meter.fetch_pairs();
        }
        name_driver(&mut meter, &shootdown);
        name_cpus(&mut meter, &machine);
        for space in spaces.iter().chain([&all_cpus]) {
            meter.name_object(&space.targets, Kind::Sets);
            meter.name_object(&space.generation, Kind::Generation);
        }
        owners.name_in(&mut meter);
        calls.name_in(&mut meter);
    }
    let ground = Ground {
        machine: &machine,
        spaces: &spaces,
        shared: point.is_one_space().then_some(&all_cpus),
    };
    let pcid = Pcid::ZERO;
    let requests = [Request::Pages { pcid, range }];
    let operation = operation(&requests);
    let flush = |me: u32| match design {
        Design::Driver | Design::Sparing => {
            let targets = &ground.space(me).targets;
            if let Err(error) = shootdown.flush(&pinned(me), &requests, targets) {
                unreachable!("{error:?}");
            }
        }
        Design::Bitmap | Design::Locks | Design::Floor => {
            slots::flush(&ground, &owners, me, &operation);
        }
        Design::Calls => calls.flush(&ground, me, me / point.apart),
    };
    let [joined, warm, ended] = [cpus, initiators, initiators].map(Gate::new);
    let transfers = Cell::new(ByKind::default());
    let body = |me: u32| {
        if let Err(error) = machine.join(me, support) {
            unreachable!("{error}");
        }
        joined.pass(|| ());
        if point.is_initiator(me) {
            flush(me);
            warm.pass(|| machine.meter().reset());
            point.begin_out_of_step(me);
            (0..point.flushes()).for_each(|_| flush(me));
            ended.pass(|| transfers.set(machine.meter().by_kind()));
        }
        while !ended.is_open() {
            step();
        }
    };
    let end = machine.run(1, &body, &mut |steps| steps < MOST_STEPS);
    let statistics = shootdown.statistics();
    if !matches!(end, End::Complete(_)) {
        unreachable!("{design:?} {point:?}: no end ({end:?}, {statistics:?})");
    }
    let figures = Figures {
        flushes: initiators * point.flushes(),
        transfers: transfers.get(),
    };
    (figures, statistics)
}

fn policy(design: Design) -> Policy {
    let mut policy = platform::STEPS;
    policy.lazy = match design {
        Design::Sparing => LazySkip::LOWER_HALF,
        _ => LazySkip::Nothing,
    };
    policy
}

fn insert(space: &Space, cpu: u32) {
    if let Err(error) = space.targets.insert(CpuId::new(cpu)) {
        unreachable!("{error}");
    }
}

/// Returns the operation that flushes what the first entry of a range does.
fn operation(requests: &[Request]) -> Operation {
    match Request::collapse(requests, 1, &CostModel::EXACT)
        .operations
        .as_slice()
    {
        [operation, ..] => *operation,
        [] => unreachable!("a request takes an operation"),
    }
}

/// Names the memory of one driver. The unnamed rest is not written during flushes.
pub(super) fn name_driver<M>(meter: &mut Meter, shootdown: &Shootdown<M>) {
    let domain: &Domain = shootdown.domain();
    meter.name_object(domain.table(), Kind::Payload);
    meter.name(slot_states(domain), Kind::Slot);
    for set in sets(domain) {
        meter.name(set, Kind::Sets);
    }
    meter.name(counters_of_others(domain), Kind::Statistics);
}

/// Names the memory of all CPUs: a vector, a state that begins with the generation, and counts.
pub(super) fn name_cpus<const TLB: usize>(meter: &mut Meter, machine: &Machine<'_, TLB>) {
    for cpu in machine.driver().cpus() {
        let (all, generation) = (addresses_of(cpu), addresses_of(cpu.generation()));
        meter.name_object(cpu.vector(), Kind::Vector);
        meter.name(generation.clone(), Kind::Generation);
        let counters = counters_of(cpu);
        meter.name(generation.end..counters.start, Kind::Identity);
        meter.name(counters.start..all.end, Kind::Statistics);
    }
}

impl Point {
    /// Delays an initiator, so that each begins at another point of the others' flushes.
    fn begin_out_of_step(self, cpu: u32) {
        // About how often a CPU is suspended in a flush.
        let flush = 8 + self.targets / 4;
        let delay = cpu / self.apart * flush / self.initiators;
        (0..delay).for_each(|_| step());
    }
}
