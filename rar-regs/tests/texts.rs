//! What people and logs see of registers, of CPUs and of what went wrong.
#![cfg(not(rar_loom))]

use rar_regs::{
    AddressError, ApicId, CoreCapabilities, DestinationError, Detection, FakeCpu, InterruptPolicy,
    MsrFault, MsrOperation, PhysicalAddressWidth, RarActionVectorBase, RarControl, RarInfo,
    RarPayloadTableBase, ReadError, Vendor,
};

#[test]
fn registers_show_their_name_and_all_their_bits() {
    let width = PhysicalAddressWidth::new(46).unwrap();
    let vector = RarActionVectorBase::new(0x1_2340, width).unwrap();
    let table = RarPayloadTableBase::new(0x1_2000, width).unwrap();
    let control = RarControl::enabled(InterruptPolicy::IgnoreIf);
    let texts = [
        format!("{:?}", CoreCapabilities::from_bits(2)),
        format!("{:?}", RarInfo::from_bits(63 << 32 | 7)),
        format!("{control:?}"),
        format!("{vector:?}"),
        format!("{table:?}"),
    ];
    let expected = [
        "CoreCapabilities(0x2)",
        "RarInfo(0x3f00000007)",
        "RarControl(0xc0000000)",
        "RarActionVectorBase(0x12340)",
        "RarPayloadTableBase(0x12000)",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_cpu_shows_its_vendor_and_a_fake_its_registers() {
    let cpu = FakeCpu::with_rar(63);
    let text = format!("{cpu:?}");
    for register in ["0xcf: 2", "0xf0: "] {
        assert!(text.contains(register), "{text}");
    }
    assert_eq!(format!("{:?}", Vendor::INTEL), "Vendor(GenuineIntel)");
}

#[test]
fn a_fault_names_its_register_and_its_instruction() {
    let fault = |access| MsrFault { msr: 0xed, access };
    let read = fault(MsrOperation::Read).to_string();
    assert!(read.starts_with("RDMSR of 0xed raised #GP(0)"), "{read}");
    let write = fault(MsrOperation::Write).to_string();
    assert!(
        write.starts_with("WRMSR to 0xed raised #GP(0), or was not made:"),
        "{write}"
    );
    let error = ReadError::from(fault(MsrOperation::Read)).to_string();
    assert_eq!(error, read);
    let reserved = ReadError::ReservedBits {
        msr: 0xf0,
        value: 0x1ff,
        reserved: 0x100,
    };
    let text = reserved.to_string();
    assert!(
        text.starts_with("register 0xf0 holds 0x1ff with reserved bits 0x100 set"),
        "{text}"
    );
}

#[test]
fn an_apic_id_is_a_number_and_a_refused_one_is_named() {
    let id = ApicId::new(0x1234);
    assert_eq!(u32::from(id), 0x1234);
    let shown = id.to_string();
    for (error, part) in [
        (DestinationError::Broadcast { id }, "addresses all CPUs"),
        (DestinationError::NeedsX2apic { id }, "8 bits of an xAPIC"),
        (DestinationError::NoCluster { id }, "has no cluster"),
    ] {
        let text = error.to_string();
        assert!(text.starts_with(&shown) && text.contains(part), "{text}");
    }
}

/// One reason alone is told without the other's half of the sentence.
#[test]
fn an_address_is_refused_for_each_reason_it_has() {
    let width = PhysicalAddressWidth::new(36).unwrap();
    let text = |address| {
        RarPayloadTableBase::new(address, width)
            .unwrap_err()
            .to_string()
    };
    let (odd, wide, both) = (text(0x1001), text(1 << 40), text(1 << 40 | 1));
    assert!(
        odd.ends_with(
            "cannot be used: it is not a multiple of 4096, align the memory to 4096 bytes"
        )
    );
    assert!(wide.contains("cannot be used: it has more than the 36 bits") && !wide.contains(';'));
    assert!(
        both.contains("4096 bytes; it has more than the 36 bits"),
        "{both}"
    );
    let error: AddressError = RarActionVectorBase::new(1, width).unwrap_err();
    assert!(error.is_misaligned() && !error.is_too_wide());
}

#[test]
fn the_payload_types_are_those_of_the_register() {
    for (types, zero, two) in [
        (0b101, Some(true), Some(true)),
        (0b100, Some(false), Some(true)),
        (0, None, None),
    ] {
        let cpu = FakeCpu::with_rar(63).with_msr(0xf0, 63 << 32 | types);
        let support = Detection::new().detect(&cpu).unwrap();
        assert_eq!([support.supports(0), support.supports(2)], [zero, two]);
    }
}
