//! Which points are measured: lines through one centre, not every combination, so that a machine
//! with hundreds of CPUs needs hardly more than one with four.

use rar_vocabulary::{Method, State};

/// Everything, as a number of pages.
pub(crate) const EVERYTHING: u32 = 0;
/// Numbers of pages between one and everything: the last one fills a payload.
const PAGES: [u32; 4] = [2, 8, 33, 63];

/// In a storm, each initiator flushes as many pages as fill an entry.
const STORM_PAGES: u32 = 63;
/// How many initiators a storm has, if there are as many CPUs.
const STORM_INITIATORS: u32 = 8;

/// One kind of flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) method: Method,
    /// How many other CPUs each initiator flushes.
    pub(crate) targets: u32,
    pub(crate) pages: u32,
    pub(crate) state: State,
    pub(crate) contenders: u32,
}

/// What a machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    pub(crate) cpus: u32,
    /// RAR units answer the driver, not interrupt handlers.
    pub(crate) units: bool,
    /// A handler of NMIs serves flush generations.
    pub(crate) nmi: bool,
    /// A CPU can interrupt another one.
    pub(crate) ipi: bool,
    /// A hypervisor plays the units and can be called.
    pub(crate) exit: bool,
}

/// Returns all points in the order in which they are measured.
pub(crate) fn points(means: Means) -> impl Iterator<Item = Point> {
    let others = means.cpus.saturating_sub(1);
    let driver = if means.units {
        Method::Rar
    } else {
        Method::Ipi
    };
    // Points to be compared are measured one after the other, since the load of a host of virtual
    // CPUs changes.
    let remote = [
        Some((driver, 1)),
        means.ipi.then_some((Method::BareIpi, EVERYTHING)),
        Some((driver, EVERYTHING)),
        means.nmi.then_some((Method::Nmi, EVERYTHING)),
    ];
    let by_targets = move |state| {
        whole_machines_and(others).flat_map(move |targets| {
            let reaching = remote.into_iter().flatten();
            let reaching = reaching.filter(move |(method, _)| reaches(*method, state));
            reaching.map(move |(method, pages)| Point {
                method,
                targets,
                pages,
                state,
                contenders: 1,
            })
        })
    };
    let by_pages = PAGES.into_iter().flat_map(move |pages| {
        one_and(others).map(move |targets| Point {
            method: driver,
            targets,
            pages,
            state: State::Spinning,
            contenders: 1,
        })
    });
    let contended = powers_and(means.cpus)
        .filter(|contenders| *contenders > 1)
        .map(move |contenders| Point {
            method: driver,
            targets: others,
            pages: 1,
            state: State::Spinning,
            contenders,
        });
    // Many entries for one address space are pending on each CPU at once.
    let storm = (means.cpus > 1).then(|| Point {
        method: driver,
        targets: others,
        pages: STORM_PAGES,
        state: State::Spinning,
        contenders: means.cpus.min(STORM_INITIATORS),
    });
    // A unit that does not answer while interrupts are disabled ends the measurements, so this is
    // last.
    local(means.exit)
        .chain(by_targets(State::Spinning))
        .chain(by_targets(State::Halted))
        .chain(by_pages)
        .chain(contended)
        .chain(storm)
        .chain(by_targets(State::InterruptsOff))
}

/// The comparison: flushes of a CPU by itself.
fn local(exit: bool) -> impl Iterator<Item = Point> {
    let pages = [1].into_iter().chain(PAGES);
    let by_page = pages.map(|pages| (Method::Invlpg, pages));
    let clock = (Method::Clock, EVERYTHING);
    let at_once = [Method::Full, Method::Cr3].map(|method| (method, EVERYTHING));
    let exit = exit.then_some((Method::BareExit, EVERYTHING));
    let local = [clock].into_iter().chain(by_page).chain(at_once);
    let local = local.chain(exit);
    local.map(|(method, pages)| Point {
        method,
        targets: 0,
        pages,
        state: State::Local,
        contenders: 1,
    })
}

/// An ordinary interrupt does not reach a CPU that has disabled interrupts.
fn reaches(method: Method, state: State) -> bool {
    !matches!(method, Method::Ipi | Method::BareIpi) || state != State::InterruptsOff
}

/// 1, 2, then 3, 7, 15, ... (the other CPUs of machines with 4, 8, 16, ... CPUs) below a number,
/// then the number.
fn whole_machines_and(most: u32) -> impl Iterator<Item = u32> {
    let others = (2..u32::BITS).map(|bit| (1 << bit) - 1);
    let last = (most > 0).then_some(most);
    let below = [1, 2].into_iter().chain(others);
    below.take_while(move |others| *others < most).chain(last)
}

/// The powers of two below a number, then the number.
fn powers_and(most: u32) -> impl Iterator<Item = u32> {
    let powers = (0..u32::BITS).map(|bit| 1 << bit);
    let last = (most > 0).then_some(most);
    powers.take_while(move |power| *power < most).chain(last)
}

fn one_and(most: u32) -> impl Iterator<Item = u32> {
    let one = (most > 1).then_some(1);
    one.into_iter().chain((most > 0).then_some(most))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn all(cpus: u32, units: bool) -> Vec<Point> {
        let nmi = !units;
        let means = Means {
            cpus,
            units,
            nmi,
            ipi: true,
            exit: units,
        };
        points(means).collect()
    }

    #[test]
    fn powers_of_two_and_all() {
        let of = |most| powers_and(most).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        assert_eq!(of(1), [1]);
        assert_eq!(of(4), [1, 2, 4]);
        assert_eq!(of(7), [1, 2, 4, 7]);
        assert_eq!(of(1023).len(), 11);
    }

    #[test]
    fn whole_machines_and_all() {
        let of = |most| whole_machines_and(most).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        assert_eq!(of(1), [1]);
        assert_eq!(of(3), [1, 2, 3]);
        assert_eq!(of(7), [1, 2, 3, 7]);
        assert_eq!(of(14), [1, 2, 3, 7, 14]);
        assert_eq!(of(1023).len(), 11);
    }

    #[test]
    fn a_cpu_alone_measures_itself() {
        for (units, count) in [(false, 8), (true, 9)] {
            assert!(all(1, units).iter().all(|point| point.targets == 0));
            assert_eq!(all(1, units).len(), count);
        }
    }

    #[test]
    fn each_flush_of_a_page_by_interrupt_has_its_bare_interrupt() {
        let of = |method, pages| {
            let points = all(8, false).into_iter();
            let points = points.filter(move |each| each.method == method && each.pages == pages);
            let alone = points.filter(|each| each.contenders == 1);
            alone
                .map(|each| (each.targets, each.state))
                .collect::<Vec<_>>()
        };
        let bare = of(Method::BareIpi, EVERYTHING);
        assert_eq!(bare, of(Method::Ipi, 1));
        for targets in [1, 3, 7] {
            assert!(bare.contains(&(targets, State::Spinning)), "{targets}");
        }
    }

    #[test]
    fn what_a_machine_cannot_do_is_not_measured() {
        let none = Means {
            cpus: 4,
            units: true,
            nmi: false,
            ipi: false,
            exit: false,
        };
        let bare = |point: &Point| matches!(point.method, Method::BareIpi | Method::BareExit);
        assert!(!points(none).any(|point| bare(&point)));
    }

    #[test]
    fn no_point_is_measured_twice_and_their_number_is_bounded() {
        for cpus in [1, 2, 3, 4, 5, 16, 255, 1024] {
            for units in [false, true] {
                let points = all(cpus, units);
                for (number, point) in points.iter().enumerate() {
                    assert!(!points[..number].contains(point), "{point:?}");
                    assert!(point.targets < cpus && point.contenders <= cpus.max(1));
                }
                assert!(points.len() <= 130, "{cpus}: {}", points.len());
            }
        }
        assert_eq!((all(4, true).len(), all(4, false).len()), (44, 46));
    }

    #[test]
    fn interrupts_reach_no_cpu_that_disables_them() {
        let masked = |point: &&Point| point.state == State::InterruptsOff;
        assert!(all(4, true).iter().any(|point| masked(&point)));
        let software = all(4, false);
        let mut masked = software.iter().filter(masked);
        assert!(masked.all(|point| point.method == Method::Nmi));
    }
}
