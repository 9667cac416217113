extern crate std;
use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::{CoreCapabilities, CpuidResult, FakeCpu, MsrFault, MsrOperation, Vendor};

/// Detects and asserts the outcome and exactly which registers were read, in order; nothing is
/// ever written.
#[track_caller]
fn refused(
    detection: Detection,
    cpu: &FakeCpu,
    expected: SupportError,
    reads: &[u32],
    remedy: &str,
) {
    assert_eq!(detection.detect(cpu), Err(expected));
    assert_eq!(
        cpu.reads().map(|record| record.msr).collect::<Vec<_>>(),
        reads
    );
    assert_eq!(cpu.writes().count(), 0);
    assert!(expected.to_string().contains(remedy), "{expected}");
}

#[test]
fn a_supported_cpu() {
    let cpu = FakeCpu::with_rar(63).with_physical_address_width(52);
    let support = Detection::default()
        .minimum_entries(64)
        .detect(&cpu)
        .unwrap();
    assert_eq!(support.entries(), 64);
    assert_eq!(support.info().bits(), 63 << 32);
    assert_eq!(support.supports(0), None);
    assert_eq!(support.physical_address_width().bits(), 52);
    assert_eq!(
        (support.signature().family, support.signature().model),
        (6, 0x8f)
    );
    assert_eq!(
        cpu.reads().map(|record| record.msr).collect::<Vec<_>>(),
        [0xcf, 0xf0]
    );
}

#[test]
fn the_smallest_table_is_accepted_unless_more_is_asked_for() {
    assert_eq!(
        Detection::new()
            .detect(&FakeCpu::with_rar(0))
            .unwrap()
            .entries(),
        1
    );
    refused(
        Detection::new().minimum_entries(64),
        &FakeCpu::with_rar(62),
        SupportError::TableTooSmall {
            entries: 63,
            minimum: 64,
        },
        &[0xcf, 0xf0],
        "lower `minimum_entries`",
    );
}

#[test]
fn leaf_7_is_not_believed_where_it_does_not_exist() {
    let leaf_0 = CpuidResult {
        eax: 6,
        ..FakeCpu::with_rar(63).cpuid(0, 0)
    };
    refused(
        Detection::new(),
        &FakeCpu::with_rar(63).with_cpuid(0, 0, leaf_0),
        SupportError::NoFeatureLeaf { max_leaf: 6 },
        &[],
        "lift the CPUID limit",
    );
}

#[test]
fn core_capabilities_is_not_read_without_its_cpuid_bit() {
    let edx = !(1 << 30);
    refused(
        Detection::new(),
        &FakeCpu::with_rar(63).with_cpuid(
            7,
            0,
            CpuidResult {
                edx,
                ..CpuidResult::default()
            },
        ),
        SupportError::NoCoreCapabilities { edx },
        &[],
        "flush with interrupts",
    );
}

#[test]
fn the_rar_registers_are_not_read_without_the_capability() {
    for detection in [Detection::new(), Detection::new().models(ModelCheck::Any)] {
        refused(
            detection,
            &FakeCpu::with_rar(63).with_msr(0xcf, !2),
            SupportError::NoRarCapability {
                capabilities: CoreCapabilities::from_bits(!2),
            },
            &[0xcf],
            "bit 1 is clear",
        );
    }
}

#[test]
fn the_rar_registers_are_not_read_on_an_unlisted_model() {
    for (vendor, eax) in [
        (Vendor::INTEL, 0x000a_06d1),
        (Vendor::new(*b"AuthenticAMD"), 0x0008_06f8),
    ] {
        let cpu = FakeCpu::with_rar(63).with_signature(vendor, eax);
        let signature = CpuSignature::detect(&cpu);
        refused(
            Detection::new(),
            &cpu,
            SupportError::UnlistedModel { signature },
            &[0xcf],
            "models(ModelCheck::Any)",
        );
        let support = Detection::new()
            .models(ModelCheck::Any)
            .detect(&cpu)
            .unwrap();
        assert_eq!(support.signature(), signature);
    }
}

#[test]
fn undefined_bits_of_the_info_register_are_refused() {
    for bit in 38..64 {
        let bits = 1 << bit | 63 << 32;
        refused(
            Detection::new(),
            &FakeCpu::with_rar(63).with_msr(0xf0, bits),
            SupportError::ReservedInfoBits {
                info: RarInfo::from_bits(bits),
            },
            &[0xcf, 0xf0],
            "not known here",
        );
    }
}

fn listing(types: u64) -> FakeCpu {
    FakeCpu::with_rar(63).with_msr(0xf0, 63 << 32 | types)
}

#[test]
fn listed_types_have_to_hold_invpcid() {
    for types in [1, 0b11, 0b1_1000, !0b100 & 0xffff_ffff] {
        let info = RarInfo::from_bits(63 << 32 | types);
        refused(
            Detection::new(),
            &listing(types),
            SupportError::NoInvpcid { info },
            &[0xcf, 0xf0],
            "flush with interrupts",
        );
    }
    for types in [0, 0b100, 0b1_1111, 0xffff_ffff] {
        assert!(Detection::new().detect(&listing(types)).is_ok());
    }
}

#[test]
fn required_types_have_to_be_listed() {
    let hypervisor = Detection::new().require(4).require(3);
    assert!(hypervisor.detect(&listing(0b1_1100)).is_ok());
    for (detection, types, payload_type) in [
        (hypervisor, 0, 3),
        (hypervisor, 0b0_1100, 4),
        (hypervisor, 0b1_0100, 3),
        (hypervisor.require(200), 0xffff_ffff, 200),
        (hypervisor.require(31), 0x7fff_ffff, 31),
    ] {
        let info = RarInfo::from_bits(63 << 32 | types);
        refused(
            detection,
            &listing(types),
            SupportError::MissingType { payload_type, info },
            &[0xcf, 0xf0],
            "flush with interrupts",
        );
    }
    let all = hypervisor.require(31).require(0);
    let support = all.detect(&listing(0xffff_ffff)).unwrap();
    assert!(support.check_cpu(&listing(0xffff_ffff)).is_ok());
    assert!(support.check_cpu(&listing(0x7fff_ffff)).is_err());
}

#[test]
fn an_impossible_address_width_is_refused() {
    refused(
        Detection::new(),
        &FakeCpu::with_rar(63).with_physical_address_width(0),
        SupportError::AddressWidth { bits: 0 },
        &[0xcf, 0xf0],
        "correct the firmware",
    );
}

#[test]
fn an_announced_register_that_faults_is_reported() {
    for (msr, reads) in [(0xcf, &[0xcf][..]), (0xf0, &[0xcf, 0xf0][..])] {
        let fault = MsrFault {
            msr,
            access: MsrOperation::Read,
        };
        refused(
            Detection::new(),
            &FakeCpu::with_rar(63).without_msr(msr),
            SupportError::Fault(fault),
            reads,
            "although the CPU announces it",
        );
    }
}
