//! From detection to the first flush, and the registers on the way.

use std::sync::atomic::Ordering;

use rar_model::{FAILURE, Knobs, PENDING, PhysicalMemory, SUCCESS, Serviced, TableSize};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Domain, LifeCycleError, PerCpu, RarCpu, Responder};
use rar_regs::{CpuMismatch, Detection, InterruptPolicy, SupportError};

use crate::driver_machine::{APIC_IDS, Board, Config, PER_CPU, TABLE, bring_up, run};

const CONTROL: u32 = 0xed;
const VECTOR: u32 = 0xee;
const PAYLOADS: u32 = 0xef;

fn vector_address(cpu: usize) -> u64 {
    PER_CPU + (cpu * size_of::<PerCpu>()) as u64
}

#[test]
fn the_registers_are_written_in_the_safe_order_and_the_unit_takes_them() {
    for (policy, enabled) in [
        (InterruptPolicy::IgnoreIf, 0xc000_0000),
        (InterruptPolicy::RespectIf, 0x8000_0000),
    ] {
        let config = Config {
            interrupts: policy,
            ..Config::new(Knobs::DEFAULT)
        };
        run::<8>(config, |rig, units| {
            assert_eq!(units.len(), 4);
            for (cpu, processor) in rig.board.processors.iter().enumerate() {
                let vector = vector_address(cpu);
                assert_eq!(
                    *processor.writes.lock().unwrap(),
                    [
                        (CONTROL, 0),
                        (VECTOR, vector),
                        (PAYLOADS, TABLE),
                        (CONTROL, enabled)
                    ]
                );
                let unit = processor.unit.read().unwrap();
                assert_eq!(unit.read_msr(CONTROL), Ok(enabled));
                assert_eq!(unit.read_msr(VECTOR), Ok(vector));
                assert_eq!(unit.read_msr(PAYLOADS), Ok(TABLE));
                let state = &rig.board.memory().cpus()[cpu];
                assert_eq!(state.responder(), Responder::Microcode);
                assert_eq!(state.apic_id().map(|id| id.get()), Some(APIC_IDS[cpu]));
            }
        });
    }
}

#[test]
fn what_stood_in_registers_and_vector_before_does_no_harm() {
    let domain = Domain::new();
    let config = Config::new(Knobs::DEFAULT);
    let board = Board::<8>::new(&config, &[Knobs::DEFAULT]);
    board.attach(&domain);
    // Left by a previous kernel: enabled, somewhere else.
    let unit = board.processors[0].unit.read().unwrap();
    for (msr, value) in [(VECTOR, 0x1040), (PAYLOADS, 0x2000), (CONTROL, 0xc000_0000)] {
        unit.write_msr(msr, value).unwrap();
    }
    drop(unit);
    for (index, byte) in (0..64).zip([PENDING, 0x02, 0x80, 0xff].into_iter().cycle()) {
        board.memory().store_u8(vector_address(0) + index, byte);
    }
    let support = Detection::new().detect(&board.registers(0)).unwrap();
    let _unit = bring_up(&board, support, 0, InterruptPolicy::IgnoreIf).unwrap();
    for index in 0..64 {
        let byte = board.memory().load_u8(vector_address(0) + index);
        assert!([SUCCESS, FAILURE].contains(&byte), "{byte:#x} is open");
    }
    assert_eq!(board.step(0), Serviced::Idle);
    assert_eq!(board.memory().strays(), 0);
    assert_eq!(board.processors[0].faults.load(Ordering::Acquire), 0);
}

#[test]
fn a_cpu_with_another_table_size_is_refused_before_it_touches_a_register() {
    let odd = |entries| Knobs {
        table: TableSize::new(entries).unwrap(),
        ..Knobs::DEFAULT
    };
    for (boot, other) in [(64, 32), (32, 64), (64, 63), (1, 2)] {
        let domain = Domain::new();
        let config = Config::new(Knobs::DEFAULT);
        let board = Board::<8>::new(&config, &[odd(boot), odd(other)]);
        board.attach(&domain);
        let support = Detection::new().detect(&board.registers(0)).unwrap();
        assert_eq!(support.entries(), boot);
        let _boot = bring_up(&board, support, 0, InterruptPolicy::IgnoreIf).unwrap();
        let error = bring_up(&board, support, 1, InterruptPolicy::IgnoreIf).unwrap_err();
        assert!(
            matches!(
                error,
                LifeCycleError::Support(SupportError::CpuDisagrees {
                    what: CpuMismatch::Info,
                    ..
                })
            ),
            "{error}"
        );
        assert!(board.processors[1].writes.lock().unwrap().is_empty());
        assert!(!domain.online().contains(CpuId::new(1)));
    }
}

#[test]
fn an_address_that_the_cpu_has_no_wires_for_is_refused_by_the_driver_not_by_an_exception() {
    let narrow = Knobs {
        physical_address_bits: 45,
        ..Knobs::DEFAULT
    };
    let domain = Domain::new();
    let board = Board::<8>::new(&Config::new(narrow), &[narrow]);
    board.attach(&domain);
    let support = Detection::new().detect(&board.registers(0)).unwrap();
    let error = bring_up(&board, support, 0, InterruptPolicy::IgnoreIf).unwrap_err();
    assert!(matches!(error, LifeCycleError::Address(_)), "{error}");
    let writes = board.processors[0].writes.lock().unwrap();
    assert_eq!(*writes, [(CONTROL, 0)], "disabled, and nothing else");
    assert_eq!(board.processors[0].faults.load(Ordering::Acquire), 0);
}

#[test]
fn the_model_would_have_refused_it() {
    let unit = rar_model::RarUnit::new(Knobs {
        physical_address_bits: 45,
        ..Knobs::DEFAULT
    });
    assert!(unit.write_msr(PAYLOADS, TABLE).is_err());
    assert!(unit.write_msr(VECTOR, PER_CPU).is_ok());
    assert!(unit.write_msr(VECTOR, PER_CPU + 32).is_err());
}

#[test]
fn a_second_bring_up_of_an_online_cpu_is_refused_and_the_unit_goes_on() {
    run::<8>(Config::new(Knobs::DEFAULT), |rig, _units| {
        let board = rig.board;
        let support = Detection::new().detect(&board.registers(2)).unwrap();
        let again = RarCpu::detect(board.domain(), &pinned(2), support, board.registers(2));
        assert!(matches!(again, Err(LifeCycleError::Taken(_))));
        let unit = board.processors[2].unit.read().unwrap();
        assert_eq!(unit.read_msr(CONTROL), Ok(0xc000_0000));
    });
}
