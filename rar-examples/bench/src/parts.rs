//! What happens besides the ordinary flush, and the parts of it.

use std::array::from_fn;
use std::hint::black_box;

use rar_payload::{
    CostModel, InvpcidScope, Operation, PageChunk, PageSize, Payload, Pcid, Request, TableOwner,
};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, LifeCycleError, Served};
use rar_shootdown::{Counting, LazySkip, Pending, Policy};

use crate::bed::{Answers, Bed, Bench, NoTlb, Signal};
use crate::count::Counter;
use crate::driver::page;
use crate::size::{ADDRESS, Size, sizes};

type Flights = Vec<Pending<'static, Bench, (), 1>>;

/// Counts all of them.
pub(crate) fn count(counter: &mut Counter) -> Result<(), LifeCycleError> {
    serve(counter)?;
    slots(counter)?;
    poll(counter)?;
    lazy_policy(counter)?;
    counting(counter)?;
    lazy(counter)?;
    encode(counter);
    walk(counter);
    Ok(())
}

/// All slots but one are taken by flights that are not answered, and the free one is looked at
/// last.
fn slots(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let bed = Bed::<1>::new(1, Answers::Microcode, Policy::new())?;
    bed.set_signal(Signal::Silence);
    let flights: Flights = (0..63).filter_map(|_| start(&bed)).collect();
    bed.set_signal(Signal::Outside);
    let Some(request) = page() else { return Ok(()) };
    counter.case("flush, 63 of 64 slots taken", || {
        let (shootdown, cpu, space) = black_box((bed.shootdown, &bed.cpu, bed.space));
        shootdown.flush(cpu, &[request], space).is_ok()
    });
    for flight in flights {
        // All were answered with the others.
        if flight.wait(&bed.cpu).is_err() {
            counter.fail("flush, 63 of 64 slots taken", "a flight did not end");
        }
    }
    Ok(())
}

/// One look at a target that has not answered.
fn poll(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let bed = Bed::<1>::new(1, Answers::Microcode, Policy::new())?;
    let name = "poll, not answered";
    bed.set_signal(Signal::Silence);
    let Some(mut flight) = start(&bed) else {
        return Ok(());
    };
    counter.case(name, || {
        let (flight, cpu) = black_box((&mut flight, &bed.cpu));
        flight.poll(cpu).is_pending()
    });
    bed.world.answer();
    if flight.wait(&bed.cpu).is_err() {
        counter.fail(name, "the flight did not end");
    }
    // The clock stands still, so that no look is the last.
    let Some(request) = page() else { return Ok(()) };
    for looks in [1, 17] {
        counter.staged(
            &format!("flush, {looks} looks in vain"),
            &mut (),
            |()| bed.answer_after(looks),
            |()| {
                let (shootdown, cpu, space) = black_box((bed.shootdown, &bed.cpu, bed.space));
                shootdown.flush(cpu, &[request], space).is_ok()
            },
            |()| bed.shootdown.statistics() == rar_shootdown::Statistics::default(),
        );
        counter.staged(
            &format!("start and wait, {looks} looks in vain"),
            &mut (),
            |()| bed.answer_after(looks),
            |()| {
                let (shootdown, cpu, space) = black_box((bed.shootdown, &bed.cpu, bed.space));
                let flight = shootdown.start(cpu, &[request], space, ());
                flight.wait(cpu).is_ok()
            },
            |()| bed.shootdown.statistics() == rar_shootdown::Statistics::default(),
        );
    }
    Ok(())
}

/// Lazy CPUs may be skipped, and none is lazy.
fn lazy_policy(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let mut policy = Policy::new();
    policy.lazy = LazySkip::LOWER_HALF;
    let Some(request) = page() else { return Ok(()) };
    for targets in [1, 63] {
        let bed = Bed::<1>::new(targets, Answers::Microcode, policy)?;
        counter.case(
            &format!("flush, lazy CPUs skipped, {targets} targets"),
            || {
                let (shootdown, cpu, space) = black_box((bed.shootdown, &bed.cpu, bed.space));
                shootdown.flush(cpu, &[request], space).is_ok()
            },
        );
    }
    Ok(())
}

/// What the policy counts besides what is rare.
fn counting(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let Some(request) = page() else { return Ok(()) };
    for (name, counting) in [("flushes", Counting::Flushes), ("waits", Counting::Waits)] {
        let mut policy = Policy::new();
        policy.counting = counting;
        for targets in [1, 63] {
            let name = format!("flush, {name} counted, {targets} targets");
            let bed = Bed::<1>::new(targets, Answers::Microcode, policy)?;
            counter.case(&name, || {
                let (shootdown, cpu, space) = black_box((bed.shootdown, &bed.cpu, bed.space));
                shootdown.flush(cpu, &[request], space).is_ok()
            });
            let counted = bed.shootdown.statistics();
            let is_timed = counted.waits.total() > 0;
            if counter.wants(&name)
                && (counted.flushes == 0 || is_timed != (counting == Counting::Waits))
            {
                counter.fail(&name, "the wrong things were counted");
            }
        }
    }
    Ok(())
}

/// A CPU stops using user memory, and uses it again.
fn lazy(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let bed = Bed::<1>::new(1, Answers::Microcode, Policy::new())?;
    let domain = bed.shootdown.domain();
    let cpu = &bed.cpu;
    // SAFETY: no user memory exists.
    let enter = |cpu| unsafe { domain.enter_lazy(cpu) };
    counter.staged(
        "lazy, enter",
        &mut (),
        |()| {},
        |()| {
            enter(black_box(cpu));
            true
        },
        |()| domain.leave_lazy(cpu, &NoTlb).was_lazy,
    );
    counter.staged(
        "lazy, leave",
        &mut (),
        |()| enter(cpu),
        |()| domain.leave_lazy(black_box(cpu), &NoTlb).was_lazy,
        |()| true,
    );
    Ok(())
}

/// From a request or an operation to the 64 bytes, 64 times.
fn encode(counter: &mut Counter) {
    let (Some(range), Ok(pages)) = (page(), PageChunk::page(ADDRESS, PageSize::Size4K)) else {
        return;
    };
    let (pcid, costs) = (Pcid::MAX, black_box(CostModel::new()));
    let requests = from_fn(|at| match at % 4 {
        0 => Request::AddressSpace { pcid },
        1 => Request::TablesFreed(TableOwner::Kernel),
        _ => range,
    });
    let operations = requests.map(|request| {
        let operation: Option<Operation> = request.operations().next();
        operation.unwrap_or(request.widened())
    });
    encode_all(counter, "ranges", [(pcid, pages); 64], |&(pcid, pages)| {
        Operation::Invpcid(InvpcidScope::Pages { pcid, pages }).encode()
    });
    encode_all(counter, "operations", operations, Operation::encode);
    encode_all(counter, "requests", requests, |request| {
        let operation = request.cheapest_operation(&costs);
        operation.map_or(Payload::EMPTY, |operation| operation.encode())
    });
}

fn encode_all<T>(counter: &mut Counter, what: &str, all: [T; 64], encode: impl Fn(&T) -> Payload) {
    let mut entries = [Payload::EMPTY; 64];
    counter.case(&format!("encode, 64 {what}"), || {
        let (all, entries) = black_box((&all, &mut entries));
        for (entry, one) in entries.iter_mut().zip(all) {
            *entry = encode(one);
        }
        true
    });
}

/// Each member of a set, once.
fn walk(counter: &mut Counter) {
    for size in sizes() {
        match size.words {
            1 => walk_words::<1>(counter, size),
            4 => walk_words::<4>(counter, size),
            _ => walk_words::<16>(counter, size),
        }
    }
}

fn walk_words<const WORDS: usize>(counter: &mut Counter, size: Size) {
    let Ok(set) = CpuSet::<WORDS>::of((1..=size.targets).map(CpuId::new)) else {
        return;
    };
    let mut sum = 0;
    counter.case(&format!("walk {size}"), || {
        for cpu in black_box(&set).iter() {
            sum = cpu.get() ^ black_box(sum);
        }
        true
    });
}

/// A CPU that answers in software finds some of its 64 bytes pending.
fn serve(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let bed = Bed::<1>::new(1, Answers::Software, Policy::new())?;
    bed.set_signal(Signal::Silence);
    let target = pinned(1);
    for pending in [0, 1, 64] {
        let mut state = (Flights::new(), Served::default());
        counter.staged(
            &format!("serve, {pending} pending"),
            &mut state,
            |(flights, _)| flights.extend((0..pending).filter_map(|_| start(&bed))),
            |(_, served)| {
                let (shootdown, target) = black_box((bed.shootdown, &target));
                *served = shootdown.serve(target);
                true
            },
            |(flights, served)| {
                let mut ended = flights.drain(..);
                usize::from(served.succeeded) == pending
                    && ended.all(|flight| flight.wait(&bed.cpu).is_ok())
            },
        );
    }
    Ok(())
}

fn start(bed: &Bed<1>) -> Option<Pending<'static, Bench, (), 1>> {
    let request = page()?;
    Some(bed.shootdown.start(&bed.cpu, &[request], bed.space, ()))
}
