extern crate std;
use std::vec::Vec;

use super::*;

fn read(cpu: &FakeCpu, msr: u32) -> Result<u64, MsrFault> {
    // SAFETY: a fake reports every fault and has no memory behind it.
    unsafe { cpu.read(msr) }
}

fn write(cpu: &FakeCpu, msr: u32, value: u64) -> Result<(), MsrFault> {
    // SAFETY: as in `read`.
    unsafe { cpu.write(msr, value) }
}

#[test]
fn registers_keep_values_and_unknown_ones_fault() {
    let cpu = FakeCpu::new().with_msr(0x10, 1).with_msr(0x10, 2);
    assert_eq!(read(&cpu, 0x10), Ok(2));
    assert_eq!(write(&cpu, 0x10, u64::MAX), Ok(()));
    assert_eq!(read(&cpu, 0x10), Ok(u64::MAX));
    assert_eq!(
        read(&cpu, 0x11),
        Err(MsrFault {
            msr: 0x11,
            access: MsrOperation::Read
        })
    );
    assert_eq!(
        write(&cpu, 0x11, 5),
        Err(MsrFault {
            msr: 0x11,
            access: MsrOperation::Write
        })
    );
    let cpu = cpu.without_msr(0x10);
    assert!(read(&cpu, 0x10).is_err());
}

#[test]
fn the_log_keeps_order_and_faults_and_omits_the_back_door() {
    let cpu = FakeCpu::new().with_msr(0xffff_ffff, 7);
    cpu.set_msr(0xffff_ffff, 8).unwrap();
    assert_eq!(cpu.msr(0xffff_ffff), Some(8));
    read(&cpu, 0xffff_ffff).unwrap();
    write(&cpu, 0xffff_ffff, 9).unwrap();
    write(&cpu, 0x1, 3).unwrap_err();
    read(&cpu, 0x2).unwrap_err();
    let record = |msr, access, value, faulted| MsrRecord {
        msr,
        access,
        value,
        faulted,
    };
    assert_eq!(
        cpu.log().collect::<Vec<_>>(),
        [
            record(0xffff_ffff, MsrOperation::Read, 8, false),
            record(0xffff_ffff, MsrOperation::Write, 9, false),
            record(0x1, MsrOperation::Write, 3, true),
            record(0x2, MsrOperation::Read, 0, true),
        ]
    );
    assert_eq!((cpu.reads().count(), cpu.writes().count()), (2, 2));
    cpu.clear_log();
    assert_eq!(cpu.log().count(), 0);
}

#[test]
fn a_full_log_counts_what_it_lost() {
    let cpu = FakeCpu::new().with_msr(0, 0);
    for value in 0..300 {
        write(&cpu, 0, value).unwrap();
    }
    assert_eq!(cpu.log().last().map(|record| record.value), Some(255));
    assert_eq!((cpu.log().count(), cpu.unlogged()), (256, 44));
}

#[test]
fn a_full_file_faults_on_what_it_could_not_take() {
    let cpu = (0..33).fold(FakeCpu::new(), |cpu, msr| cpu.with_msr(msr, 1));
    assert_eq!(read(&cpu, 31), Ok(1));
    assert!(read(&cpu, 32).is_err());
}

#[test]
fn cpuid_answers_by_leaf_and_subleaf() {
    let answer = CpuidResult {
        eax: 1,
        ebx: 2,
        ecx: 3,
        edx: 4,
    };
    let cpu = FakeCpu::new().with_cpuid(7, 1, answer);
    assert_eq!(cpu.cpuid(7, 1), answer);
    assert_eq!(cpu.cpuid(7, 0), CpuidResult::default());
}

#[test]
fn a_reference_is_a_cpu_too() {
    let cpu = FakeCpu::with_rar(63);
    let support = crate::Detection::new().detect(&&cpu).unwrap();
    assert_eq!(support.check_cpu(&&&cpu), Ok(()));
}
