//! The handler of non-maskable interrupts: it cuts into each step of everything, and serves.

use rar_percpu::fake::{in_nmi, pinned};
use rar_shootdown::{AllOnline, Event};

use crate::bed::kernel;
use crate::calls::{Call, cut_everywhere};
use crate::world::{Kind, Takes, Unit, cpu_id, space};

#[test]
fn an_nmi_cuts_into_each_moment_of_each_call() {
    let moments = cut_everywhere(&Call::OF_CODE, &Call::OF_NMIS);
    assert!(moments.iter().sum::<u64>() > 100, "{moments:?}");
}

#[test]
fn an_nmi_serves_what_a_cpu_with_interrupts_off_was_asked() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (kernel, _online) = kernel(&[kind; 2]);
        let world = &kernel.machine().world;
        world.set_unit(1, Unit::Deaf);
        world.set_takes(1, Takes::Nothing);
        let cpu = pinned(0);
        let late = kernel.start(&cpu, &[space(1)], &AllOnline, ()).wait(&cpu);
        let pending = late.unwrap_err().pending;
        assert!(!pending.is_done(), "a control");
        let served = kernel.serve_in_nmi(&in_nmi(1));
        assert!(served.generation);
        assert!(pending.is_done());
        pending.wait(&cpu).unwrap();
    }
}

/// The report of an event may be what was cut.
#[test]
fn an_nmi_reports_no_event() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 2]);
    let world = &kernel.machine().world;
    world.set_unit(1, Unit::Later);
    kernel.flush(&pinned(0), &[space(1)], &AllOnline).unwrap();
    let domain = kernel.domain();
    assert!(domain.cpu(cpu_id(1)).unwrap().generation().is_demoted());
    world.run_unit(domain, cpu_id(1), false);
    let events = world.count_events(|_| true);
    assert!(kernel.serve_in_nmi(&in_nmi(1)).promoted);
    assert_eq!(world.count_events(|_| true), events);
    assert_eq!(kernel.statistics().promotions, 1, "but it is counted");
    let promotion = |event: &Event| matches!(event, Event::Promotion { .. });
    assert_eq!(world.count_events(promotion), 0);
}
