//! From detection to the first flush, and the registers on the way.

use std::sync::atomic::Ordering;

use rar_model::{FAILURE, Knobs, PENDING, SUCCESS, Serviced, TableSize};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Domain, LifeCycleError, PerCpu, RarCpu, Responder, SlotIndex};
use rar_regs::{CpuMismatch, Detection, InterruptPolicy, SupportError};
use rar_sim::machine::{ACTION_VECTORS, Machine, MachineConfig, PAYLOAD_TABLE, Unwatched};

use crate::rig::{APIC_IDS, Setup, bring_up, run};

const CONTROL: u32 = 0xed;
const VECTOR: u32 = 0xee;
const PAYLOADS: u32 = 0xef;

fn vector_address(cpu: u32) -> u64 {
    ACTION_VECTORS + u64::from(cpu) * size_of::<PerCpu>() as u64
}

/// A machine with one CPU for each member of `knobs`.
fn machine<'m>(knobs: &[Knobs]) -> Machine<'m, 8> {
    let config = MachineConfig {
        knobs: knobs.to_vec(),
        ..MachineConfig::new(u32::try_from(knobs.len()).unwrap())
    };
    Machine::new(&Unwatched, config)
}

#[test]
fn the_registers_are_written_in_the_safe_order_and_the_unit_takes_them() {
    for (policy, enabled) in [
        (InterruptPolicy::IgnoreIf, 0xc000_0000),
        (InterruptPolicy::RespectIf, 0x8000_0000),
    ] {
        run::<8>(
            Setup::new(Knobs::DEFAULT).interrupts(policy),
            |rig, units| {
                assert_eq!(units.len(), 4);
                for (cpu, id) in rig.cpus().zip(APIC_IDS) {
                    let vector = vector_address(cpu);
                    let simulated = rig.machine.cpu(cpu);
                    assert_eq!(
                        simulated.writes(),
                        [
                            (CONTROL, 0),
                            (VECTOR, vector),
                            (PAYLOADS, PAYLOAD_TABLE),
                            (CONTROL, enabled)
                        ]
                    );
                    simulated.with_unit(|unit| {
                        assert_eq!(unit.read_msr(CONTROL), Ok(enabled));
                        assert_eq!(unit.read_msr(VECTOR), Ok(vector));
                        assert_eq!(unit.read_msr(PAYLOADS), Ok(PAYLOAD_TABLE));
                    });
                    let state = &rig.machine.driver().cpus()[cpu as usize];
                    assert_eq!(state.responder(), Responder::Microcode);
                    assert_eq!(state.apic_id().map(|id| id.get()), Some(id));
                }
            },
        );
    }
}

#[test]
fn what_stood_in_registers_and_vector_before_does_no_harm() {
    let domain = Domain::new();
    let machine = machine(&[Knobs::DEFAULT]);
    machine.register_cpus(&domain).unwrap();
    // Left by a previous kernel: enabled, somewhere else.
    machine.cpu(0).with_unit(|unit| {
        for (msr, value) in [(VECTOR, 0x1040), (PAYLOADS, 0x2000), (CONTROL, 0xc000_0000)] {
            unit.write_msr(msr, value).unwrap();
        }
    });
    for (slot, byte) in SlotIndex::all().zip([PENDING, 0x02, 0x40, 0x80, 0xff].into_iter().cycle())
    {
        let place = machine.driver().byte(CpuId::new(0), slot).unwrap();
        place.store(byte, Ordering::Release);
    }
    let support = machine.detect().unwrap().unwrap();
    let _unit = bring_up(&machine, support, 0).unwrap();
    for byte in machine.driver().actions(0) {
        assert!([SUCCESS, FAILURE].contains(&byte), "{byte:#x} is open");
    }
    assert_eq!(machine.end_instruction(0), Serviced::Idle);
    assert_eq!(machine.driver().strays(), 0);
    assert_eq!(machine.cpu(0).faults(), 0);
}

#[test]
fn a_cpu_with_another_table_size_is_refused_before_it_touches_a_register() {
    let odd = |entries| Knobs {
        table: TableSize::new(entries).unwrap(),
        ..Knobs::DEFAULT
    };
    for (boot, other) in [(64, 32), (32, 64), (64, 63), (1, 2)] {
        let domain = Domain::new();
        let machine = machine(&[odd(boot), odd(other)]);
        machine.register_cpus(&domain).unwrap();
        let support = machine.detect().unwrap().unwrap();
        assert_eq!(support.entries(), boot);
        let _boot = bring_up(&machine, support, 0).unwrap();
        let error = bring_up(&machine, support, 1).unwrap_err();
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
        assert!(machine.cpu(1).writes().is_empty());
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
    let machine = machine(&[narrow]);
    machine.register_cpus(&domain).unwrap();
    let support = machine.detect().unwrap().unwrap();
    let error = bring_up(&machine, support, 0).unwrap_err();
    assert!(matches!(error, LifeCycleError::Address(_)), "{error}");
    let writes = machine.cpu(0).writes();
    assert_eq!(writes, [(CONTROL, 0)], "disabled, and nothing else");
    assert_eq!(machine.cpu(0).faults(), 0);
}

#[test]
fn the_model_would_have_refused_it() {
    let unit = rar_model::RarUnit::new(Knobs {
        physical_address_bits: 45,
        ..Knobs::DEFAULT
    });
    assert!(unit.write_msr(PAYLOADS, PAYLOAD_TABLE).is_err());
    assert!(unit.write_msr(VECTOR, ACTION_VECTORS).is_ok());
    assert!(unit.write_msr(VECTOR, ACTION_VECTORS + 32).is_err());
}

#[test]
fn a_second_bring_up_of_an_online_cpu_is_refused_and_the_unit_goes_on() {
    run::<8>(Setup::new(Knobs::DEFAULT), |rig, _units| {
        let machine = rig.machine;
        let support = Detection::new().detect(&machine.registers(2)).unwrap();
        let again = RarCpu::detect(machine.domain(), &pinned(2), support, machine.registers(2));
        assert!(matches!(again, Err(LifeCycleError::Taken(_))));
        let control = machine.cpu(2).with_unit(|unit| unit.read_msr(CONTROL));
        assert_eq!(control, Ok(0xc000_0000));
    });
}
