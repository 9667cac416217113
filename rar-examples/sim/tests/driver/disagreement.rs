//! A CPU with another RAR turns RAR off for the whole machine.

use rar_model::{Knobs, PageSize, TableSize};
use rar_percpu::LifeCycleError;
use rar_percpu::fake::pinned;
use rar_regs::SupportError;
use rar_shootdown::{Shootdown, Statistics};
use rar_sim::machine::{Machine, Service};

use crate::page_tables::PageTables;
use crate::rig::{PCID, Rig, Setup, Stall};
use crate::scene::{TAGS, flush, is_page, make_stale, map, members, pages};

const ALL: [u32; 4] = [0, 1, 2, 3];
const LAST: u32 = 3;

/// Three CPUs are up by their units, and have an entry each that no unit has answered; the fourth
/// has half the table.
#[test]
fn a_cpu_with_another_table_turns_rar_off_under_a_flight_and_later_flushes_use_software() {
    let odd = Knobs {
        table: TableSize::new(32).unwrap(),
        ..Knobs::DEFAULT
    };
    let mut setup = Setup::new(Knobs::DEFAULT).served(Service::Polled);
    setup.machine.knobs = vec![Knobs::DEFAULT, Knobs::DEFAULT, Knobs::DEFAULT, odd];
    let stall = Stall::default();
    let machine: Machine<'_, 16> = Machine::new(&stall, setup.machine.clone());
    let shootdown = Shootdown::new(&machine, setup.policy);
    let domain = shootdown.domain();
    machine.register_cpus(domain).unwrap();
    let support = machine.detect().unwrap();
    for cpu in ALL {
        machine.load_cr3(cpu, u64::from(cpu + 1) << 20 | u64::from(PCID));
    }
    let mut members_up: Vec<_> = (0..LAST)
        .map(|cpu| machine.join(cpu, support).unwrap())
        .collect();
    let rig = Rig {
        machine: &machine,
        shootdown: &shootdown,
        tables: PageTables::default(),
        stall: &stall,
        interrupts: setup.machine.interrupts,
    };
    map(&rig, 4, PageSize::Size4K);
    make_stale(&rig, |held| is_page(held, TAGS[0], 1, 2));
    let initiator = pinned(0);
    let flight = shootdown.start(&initiator, &[pages(1, 2)], &members(&ALL), "the frames");
    for cpu in 1..LAST {
        assert_eq!(
            rig.stale(cpu).len(),
            2,
            "control: CPU {cpu} has not answered"
        );
    }

    let error = machine.join(LAST, support).map(drop).unwrap_err();
    let LifeCycleError::Support(SupportError::CpuDisagrees { boot, this, .. }) = error else {
        unreachable!("another error: {error}");
    };
    assert_eq!((boot.entries(), this.entries()), (64, 32));
    let text = error.to_string();
    for value in ["0x1f", "0x3f"] {
        assert!(text.contains(value), "{text}");
    }
    domain.refuse_units();
    let mut asked: Vec<_> = domain
        .answered_by_units()
        .iter()
        .map(|cpu| cpu.get())
        .collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2]);
    members_up = (0..)
        .zip(members_up)
        .map(|(cpu, member)| machine.switch_to_software(cpu, member).unwrap())
        .collect();
    members_up.push(machine.join(LAST, None).unwrap());
    for cpu in ALL {
        let control = machine.cpu(cpu).with_unit(|unit| unit.read_msr(0xed));
        assert_eq!(control, Ok(0), "CPU {cpu}");
    }
    assert!(flight.is_done());
    assert_eq!(flight.wait(&initiator).unwrap(), "the frames");
    for cpu in ALL {
        assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
    }

    let executed = ALL.map(|cpu| machine.cpu(cpu).executed());
    for from in ALL {
        make_stale(&rig, |held| is_page(held, TAGS[0], 1, 2));
        flush(&rig, from, &[pages(1, 2)], &ALL);
        for cpu in ALL {
            assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
            assert_eq!(rig.contents(cpu).len(), 10, "only what was asked");
        }
    }
    assert_eq!(
        ALL.map(|cpu| machine.cpu(cpu).executed()),
        executed,
        "by no unit"
    );
    rig.assert_statistics(Statistics::default());
    assert_eq!(machine.witness().sent().interrupts, 0, "no fallback");
    // None comes back by its unit.
    machine.leave(2, members_up.remove(2)).unwrap();
    let refused = machine.join(2, support).map(drop).unwrap_err();
    assert!(
        matches!(refused, LifeCycleError::UnitsRefused(_)),
        "{refused}"
    );
    assert_eq!(machine.dropped_signals(), 0);
}
