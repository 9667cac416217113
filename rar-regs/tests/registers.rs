//! Any 64 bits in each register: what is reserved is refused, what is defined comes back.
#![cfg(not(rar_loom))]

use proptest::prelude::*;
use rar_regs::{
    AddressError, CoreCapabilities, Detection, FakeCpu, InterruptPolicy, MsrFault, MsrOperation,
    PhysicalAddressWidth, RarActionVectorBase, RarControl, RarInfo, RarPayloadTableBase,
    RarSupport, ReadError,
};

const CONTROL: u32 = 0xed;
const ACTION_VECTOR_BASE: u32 = 0xee;
const PAYLOAD_TABLE_BASE: u32 = 0xef;
const INFO: u32 = 0xf0;

/// Words with few bits, with many, and aligned ones that end about where an address does.
fn words() -> impl Strategy<Value = u64> {
    let aligned = prop::sample::select(vec![0, 5, 6, 11, 12]);
    let above = prop::sample::select(vec![11, 12, 13, 17, 18, 28, 32]);
    prop_oneof![
        1 => any::<u64>(),
        1 => (0..64u32).prop_map(|bit| 1 << bit),
        1 => (0..64u32).prop_map(|bit| !(1 << bit)),
        4 => (any::<u64>(), aligned, above)
            .prop_map(|(word, low, high)| word << low << high >> high),
        1 => prop::sample::select(vec![0, 1 << 31, 1 << 30, 3 << 30, 63 << 32, 64 << 32]),
    ]
}

/// A legal width and what CPUs of that width make of addresses: the bits from it up are reserved.
fn widths() -> impl Strategy<Value = (u8, u64)> {
    prop_oneof![prop::sample::select(vec![32, 36, 46, 51, 52]), 32..=52u8]
        .prop_map(|bits| (bits, u64::MAX << bits))
}

/// A CPU with RAR and addresses of this width.
fn cpu(bits: u8) -> Result<(FakeCpu, RarSupport, PhysicalAddressWidth), TestCaseError> {
    let cpu = FakeCpu::with_rar(63).with_physical_address_width(bits);
    let support = Detection::new().detect(&cpu);
    let support = support.map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok((cpu, support, support.physical_address_width()))
}

/// What a read has to give: the value, or the reserved bits that it has.
fn judged(msr: u32, value: u64, reserved: u64) -> Result<u64, ReadError> {
    match value & reserved {
        0 => Ok(value),
        reserved => Err(ReadError::ReservedBits {
            msr,
            value,
            reserved,
        }),
    }
}

/// What building an address register has to give.
fn address(
    address: u64,
    alignment: u64,
    too_wide: u64,
    width: PhysicalAddressWidth,
) -> Result<u64, (u64, u64, PhysicalAddressWidth)> {
    if address & (alignment - 1) == 0 && address & too_wide == 0 {
        Ok(address)
    } else {
        Err((address, alignment, width))
    }
}

fn fields(error: AddressError) -> (u64, u64, PhysicalAddressWidth) {
    (error.address, error.alignment, error.width)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn reading_refuses_what_is_reserved(value in words(), (bits, too_wide) in widths()) {
        let (cpu, support, width) = cpu(bits)?;
        for msr in [CONTROL, ACTION_VECTOR_BASE, PAYLOAD_TABLE_BASE, INFO] {
            prop_assert_eq!(cpu.set_msr(msr, value), Ok(()));
        }
        let control = RarControl::read(&cpu, &support);
        prop_assert_eq!(control.map(RarControl::bits), judged(CONTROL, value, !(0b11 << 30)));
        if let Ok(control) = control {
            prop_assert_eq!(control.is_enabled(), value >> 31 & 1 == 1);
            let ignores = control.interrupt_policy() == InterruptPolicy::IgnoreIf;
            prop_assert_eq!(ignores, value >> 30 & 1 == 1);
        }
        let vector = RarActionVectorBase::read(&cpu, &support);
        let reserved = too_wide | 0x3f;
        prop_assert_eq!(vector.map(RarActionVectorBase::bits),
            judged(ACTION_VECTOR_BASE, value, reserved));
        prop_assert_eq!(vector.map(RarActionVectorBase::address),
            judged(ACTION_VECTOR_BASE, value, reserved));
        prop_assert_eq!(RarActionVectorBase::reserved(width), reserved);
        let table = RarPayloadTableBase::read(&cpu, &support);
        let reserved = too_wide | 0xfff;
        prop_assert_eq!(table.map(RarPayloadTableBase::bits),
            judged(PAYLOAD_TABLE_BASE, value, reserved));
        prop_assert_eq!(table.map(RarPayloadTableBase::address),
            judged(PAYLOAD_TABLE_BASE, value, reserved));
        prop_assert_eq!(RarPayloadTableBase::reserved(width), reserved);
        let info = RarInfo::read(&cpu, &support);
        prop_assert_eq!(info.map(RarInfo::bits), judged(INFO, value, u64::MAX << 38));
    }

    #[test]
    fn read_only_registers_mean_what_their_bits_say(value in words(), payload_type: u8) {
        let info = RarInfo::from_bits(value);
        prop_assert_eq!(u64::from(info.highest_index()), value >> 32 & 63);
        prop_assert_eq!(u64::from(info.entries()), (value >> 32 & 63) + 1);
        let types = value & 0xffff_ffff;
        prop_assert_eq!(u64::from(info.payload_types()), types);
        let listed = payload_type < 32 && types >> (payload_type % 32) & 1 == 1;
        prop_assert_eq!(info.supports(payload_type), (types != 0).then_some(listed));
        prop_assert_eq!(info.reserved_bits(), value >> 38 << 38);
        prop_assert_eq!(info.bits(), value);

        let capabilities = CoreCapabilities::from_bits(value);
        prop_assert_eq!(capabilities.has_rar(), value >> 1 & 1 == 1);
        prop_assert_eq!(capabilities.reserved_bits(), value >> 9 << 9);
        prop_assert_eq!(capabilities.bits(), value);
    }

    /// An address is judged when the value is built, and once more by the CPU that it is written
    /// on.
    #[test]
    fn addresses_reach_the_register_or_are_refused(
        wanted in words(),
        (built_for, too_wide) in widths(),
        (written_on, too_wide_here) in widths(),
    ) {
        let (_, _, width) = cpu(built_for)?;
        let (cpu, support, _) = cpu(written_on)?;

        let vector = RarActionVectorBase::new(wanted, width);
        prop_assert_eq!(
            vector.map(RarActionVectorBase::bits).map_err(fields),
            address(wanted, 64, too_wide, width)
        );
        if let Ok(vector) = vector {
            // SAFETY: duties 1 to 4: nothing reads memory through a fake's registers.
            let outcome = unsafe { vector.write(&cpu, &support) };
            prop_assert_eq!(cpu.msr(ACTION_VECTOR_BASE),
                written(outcome, ACTION_VECTOR_BASE, wanted, too_wide_here)?);
            let read = RarActionVectorBase::read(&cpu, &support);
            prop_assert_eq!(read.is_ok_and(|read| read == vector), outcome.is_ok() || wanted == 0);
        }

        let table = RarPayloadTableBase::new(wanted, width);
        prop_assert_eq!(
            table.map(RarPayloadTableBase::bits).map_err(fields),
            address(wanted, 4096, too_wide, width)
        );
        if let Ok(table) = table {
            // SAFETY: duties 1 to 4: nothing reads memory through a fake's registers.
            let outcome = unsafe { table.write(&cpu, &support) };
            prop_assert_eq!(cpu.msr(PAYLOAD_TABLE_BASE),
                written(outcome, PAYLOAD_TABLE_BASE, wanted, too_wide_here)?);
            let read = RarPayloadTableBase::read(&cpu, &support);
            prop_assert_eq!(read.is_ok_and(|read| read == table), outcome.is_ok() || wanted == 0);
        }
    }
}

/// Judges a write to a register that held 0 and returns what the register must hold now.
fn written(
    outcome: Result<(), MsrFault>,
    msr: u32,
    value: u64,
    too_wide: u64,
) -> Result<Option<u64>, TestCaseError> {
    let access = MsrOperation::Write;
    if value & too_wide == 0 {
        prop_assert_eq!(outcome, Ok(()));
        Ok(Some(value))
    } else {
        prop_assert_eq!(outcome, Err(MsrFault { msr, access }));
        Ok(Some(0))
    }
}

#[test]
fn every_control_value_comes_back() -> Result<(), Box<dyn std::error::Error>> {
    let cpu = FakeCpu::with_rar(63);
    let support = Detection::new().detect(&cpu)?;
    for (control, bits) in [
        (RarControl::enabled(InterruptPolicy::IgnoreIf), 0b11 << 30),
        (RarControl::enabled(InterruptPolicy::RespectIf), 1 << 31),
        (RarControl::DISABLED, 0),
    ] {
        // SAFETY: duties 1 to 4: nothing reads memory through a fake's registers.
        unsafe { control.write(&cpu, &support) }?;
        assert_eq!(cpu.msr(CONTROL), Some(bits));
        assert_eq!(RarControl::read(&cpu, &support)?, control);
    }
    Ok(())
}
