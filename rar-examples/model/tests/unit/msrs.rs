use rar_model::{
    ACTION_VECTOR_BASE, CONTROL, CORE_CAPABILITIES, GeneralProtection, INFO, Knobs, MsrFault,
    MsrOperation, MsrsAtInit, Offence, PAYLOAD_TABLE_BASE, RarUnit, Rebase, Signalled, TableSize,
};

use crate::rig::{ENABLE, IGNORE_IF};

fn refuses(unit: &RarUnit, msr: u32, value: u64, cause: MsrFault) {
    let before = unit.read_msr(msr);
    let fault = GeneralProtection {
        msr,
        operation: MsrOperation::Write(value),
        cause,
    };
    assert_eq!(unit.write_msr(msr, value), Err(fault), "{fault}");
    assert_eq!(
        unit.read_msr(msr),
        before,
        "a refused write changed {msr:#x}"
    );
}

#[test]
fn numbers_are_those_of_the_manual() {
    assert_eq!(
        [CORE_CAPABILITIES, CONTROL, ACTION_VECTOR_BASE],
        [0xcf, 0xed, 0xee]
    );
    assert_eq!([PAYLOAD_TABLE_BASE, INFO], [0xef, 0xf0]);
}

#[test]
fn power_on_values() {
    let unit = RarUnit::new(Knobs::DEFAULT);
    assert_eq!(unit.read_msr(CORE_CAPABILITIES), Ok(0b10));
    assert_eq!(unit.read_msr(CONTROL), Ok(0));
    assert_eq!(unit.read_msr(ACTION_VECTOR_BASE), Ok(0));
    assert_eq!(unit.read_msr(PAYLOAD_TABLE_BASE), Ok(0));
    assert_eq!(unit.read_msr(INFO), Ok(63 << 32 | 0b111));
}

#[test]
fn control_takes_its_two_bits_only() {
    let unit = RarUnit::new(Knobs::DEFAULT);
    for value in [0, IGNORE_IF, ENABLE, ENABLE | IGNORE_IF] {
        assert_eq!(unit.write_msr(CONTROL, value), Ok(()));
        assert_eq!(unit.read_msr(CONTROL), Ok(value));
    }
    for bit in (0..64).filter(|bit| ![30, 31].contains(bit)) {
        refuses(
            &unit,
            CONTROL,
            ENABLE | 1 << bit,
            MsrFault::ReservedBits(1 << bit),
        );
    }
}

#[test]
fn bases_are_aligned_and_below_maxphyaddr() {
    for width in [36, 46, 52] {
        let unit = RarUnit::new(Knobs {
            physical_address_bits: width,
            ..Knobs::DEFAULT
        });
        for (msr, alignment) in [(ACTION_VECTOR_BASE, 6), (PAYLOAD_TABLE_BASE, 12)] {
            for bit in 0..64 {
                let value = 1 << bit;
                if (alignment..width).contains(&bit) {
                    assert_eq!(unit.write_msr(msr, value), Ok(()));
                    assert_eq!(unit.read_msr(msr), Ok(value));
                } else {
                    refuses(&unit, msr, value, MsrFault::ReservedBits(value));
                }
            }
        }
    }
}

#[test]
fn a_width_above_52_counts_as_52() {
    let unit = RarUnit::new(Knobs {
        physical_address_bits: 64,
        ..Knobs::DEFAULT
    });
    refuses(
        &unit,
        ACTION_VECTOR_BASE,
        1 << 52,
        MsrFault::ReservedBits(1 << 52),
    );
}

#[test]
fn read_only_and_unknown_registers_refuse() {
    let unit = RarUnit::new(Knobs::DEFAULT);
    for msr in [CORE_CAPABILITIES, INFO] {
        let same = unit.read_msr(msr).unwrap();
        refuses(&unit, msr, same, MsrFault::ReadOnly);
        refuses(&unit, msr, 0, MsrFault::ReadOnly);
    }
    for msr in [0, 0xce, 0xd0, 0xec, 0xf1, 0x830, u32::MAX] {
        assert_eq!(
            unit.read_msr(msr),
            Err(GeneralProtection {
                msr,
                operation: MsrOperation::Read,
                cause: MsrFault::Unknown,
            })
        );
        refuses(&unit, msr, 0, MsrFault::Unknown);
    }
}

#[test]
fn info_follows_the_knobs() {
    let unit = RarUnit::new(Knobs {
        table: TableSize::new(1).unwrap(),
        reported_types: 0,
        ..Knobs::DEFAULT
    });
    assert_eq!(unit.read_msr(INFO), Ok(0));
    assert_eq!(TableSize::new(0), None);
    assert_eq!(TableSize::new(65), None);
}

#[test]
fn knob_msr_reserved_bits_ignored() {
    let unit = RarUnit::new(Knobs {
        msr_reserved_bits: Offence::Ignore,
        ..Knobs::DEFAULT
    });
    assert_eq!(unit.write_msr(CONTROL, u64::MAX), Ok(()));
    assert_eq!(unit.read_msr(CONTROL), Ok(ENABLE | IGNORE_IF));
}

#[test]
fn knob_rebase() {
    for msr in [ACTION_VECTOR_BASE, PAYLOAD_TABLE_BASE] {
        let unit = RarUnit::new(Knobs::DEFAULT);
        assert_eq!(unit.write_msr(CONTROL, ENABLE), Ok(()));
        refuses(&unit, msr, 0x5000, MsrFault::Enabled);
        let unit = RarUnit::new(Knobs {
            rebase: Rebase::AtOnce,
            ..Knobs::DEFAULT
        });
        assert_eq!(unit.write_msr(CONTROL, ENABLE), Ok(()));
        assert_eq!(unit.write_msr(msr, 0x5000), Ok(()));
    }
}

#[test]
fn knob_msrs_at_init() {
    for (policy, left) in [
        (MsrsAtInit::Keep, [ENABLE, 0x40, 0x1000]),
        (MsrsAtInit::Clear, [0; 3]),
    ] {
        let unit = RarUnit::new(Knobs {
            msrs_at_init: policy,
            ..Knobs::DEFAULT
        });
        assert_eq!(unit.write_msr(ACTION_VECTOR_BASE, 0x40), Ok(()));
        assert_eq!(unit.write_msr(PAYLOAD_TABLE_BASE, 0x1000), Ok(()));
        assert_eq!(unit.write_msr(CONTROL, ENABLE), Ok(()));
        assert_eq!(unit.signal(), Signalled::Latched);
        unit.init();
        assert!(!unit.pending());
        let now = [CONTROL, ACTION_VECTOR_BASE, PAYLOAD_TABLE_BASE].map(|msr| unit.read_msr(msr));
        assert_eq!(now, left.map(Ok));
    }
}
