//! What happens besides the ordinary flush, and the parts of it.

use std::hint::black_box;

use rar_percpu::LifeCycleError;
use rar_percpu::fake::pinned;
use rar_shootdown::{Pending, Policy};

use crate::bed::{Answers, Bed, Bench, Signal};
use crate::count::Counter;
use crate::driver::page;

type Flights = Vec<Pending<'static, Bench, (), 1>>;

/// Counts all of them.
pub(crate) fn count(counter: &mut Counter) -> Result<(), LifeCycleError> {
    if counter.wants("serve") {
        serve(counter)?;
    }
    Ok(())
}

/// A CPU that answers in software finds some of its 64 bytes pending.
fn serve(counter: &mut Counter) -> Result<(), LifeCycleError> {
    let bed = Bed::<1>::new(1, Answers::Software, Policy::new())?;
    bed.set_signal(Signal::Silence);
    let target = pinned(1);
    for pending in [0, 1, 64] {
        let mut flights = Flights::new();
        counter.staged(
            &format!("serve, {pending} pending"),
            &mut flights,
            |flights| flights.extend((0..pending).filter_map(|_| start(&bed))),
            |_| {
                let (shootdown, target) = black_box((bed.shootdown, &target));
                usize::from(shootdown.serve(target).succeeded) == pending
            },
            |flights| {
                flights
                    .drain(..)
                    .all(|flight| flight.wait(&bed.cpu).is_ok())
            },
        );
    }
    Ok(())
}

fn start(bed: &Bed<1>) -> Option<Pending<'static, Bench, (), 1>> {
    let request = page()?;
    Some(bed.shootdown.start(&bed.cpu, &[request], bed.space, ()))
}
