//! What each error says: the CPU or the slot, the value, and the remedy.

use std::error::Error as _;

use rar_percpu::{
    ActionByte, ActionState, ApicId, CpuId, CpuOutOfRange, CpuSet, LifeCycleError, NotQuiet,
    RegisterError, SharedMemory, SlotIndex, StepError, UnknownAction, Unsupported,
};
use rar_regs::{
    Detection, FakeCpu, MsrFault, MsrOperation, PhysicalAddressWidth, RarActionVectorBase,
};

const CPU: CpuId = CpuId::new(7);

#[track_caller]
fn assert_says(what: &impl ToString, text: &str) {
    assert_eq!(what.to_string(), text);
}

#[test]
fn why_a_cpu_cannot_be_registered() {
    let (cpu, other) = (CPU, CpuId::new(3));
    let (apic_id, requested) = (ApicId::new(0x20), ApicId::new(0x21));
    for (error, text) in [
        (
            RegisterError::NoRoom { cpu, capacity: 64 },
            "CPU 7 has no room in a domain of 64 CPUs; use a larger WORDS",
        ),
        (
            RegisterError::Broadcast { cpu, apic_id },
            "CPU 7 cannot have APIC id 0x20: that is the broadcast",
        ),
        (
            RegisterError::OtherApicId {
                cpu,
                registered: apic_id,
                requested,
            },
            "CPU 7 is registered with APIC id 0x20, not APIC id 0x21",
        ),
        (
            RegisterError::OtherMemory { cpu },
            "CPU 7 is registered with other memory; unregister it first",
        ),
        (
            RegisterError::MemoryInUse { cpu },
            "CPU 7 cannot have this memory: another CPU or another domain has it, or had it",
        ),
        (
            RegisterError::NotRegistered { cpu },
            "CPU 7 is not registered",
        ),
        (
            RegisterError::Driven { cpu },
            "CPU 7 is online or on its way; take it offline and drop what drives it first",
        ),
        (
            RegisterError::ApicIdTaken {
                cpu,
                other,
                apic_id,
            },
            "CPU 7 cannot take APIC id 0x20: CPU 3 has it",
        ),
    ] {
        assert_says(&error, text);
        assert_says(&LifeCycleError::from(error), text);
    }
}

#[test]
fn why_a_cpu_cannot_take_its_step() {
    let cpu = CpuId::new(3);
    for (error, text) in [
        (
            LifeCycleError::NotRegistered(CPU),
            "CPU 7 is not registered; call Domain::register first",
        ),
        (
            LifeCycleError::Taken(CPU),
            "CPU 7 is online, or another value drives it; take it offline or drop that first",
        ),
        (
            LifeCycleError::WrongCpu { driven: CPU, cpu },
            "CPU 3 cannot take a step of CPU 7; take it on CPU 7",
        ),
        (
            LifeCycleError::Dead(CPU),
            "CPU 7 was declared dead; register it and bring it up anew",
        ),
        (
            LifeCycleError::GuestUnderRar(CPU),
            "CPU 7 runs guests while its microcode answers; bring it online as a SoftwareCpu",
        ),
        (
            LifeCycleError::UnitsRefused(CPU),
            "CPU 7 cannot use RAR: the domain refuses units, since CPUs disagree; bring it online \
             as a SoftwareCpu",
        ),
        (
            LifeCycleError::NoPhysicalAddress(SharedMemory::PayloadTable),
            "the kernel gave no physical address for the payload table",
        ),
        (
            LifeCycleError::NoPhysicalAddress(SharedMemory::ActionVector),
            "the kernel gave no physical address for the action vector",
        ),
        (
            LifeCycleError::NotRetained {
                msr: 0xed,
                written: 0x8000_0000,
                read: 0,
            },
            "MSR 0xed did not keep 0x80000000 but reads 0x0; there is no working RAR here",
        ),
    ] {
        assert_says(&error, text);
        assert!(error.source().is_none());
        let step = StepError {
            cause: error,
            cpu: (),
        };
        assert_says(&step, text);
        assert!(step.source().is_none());
    }
}

/// The error of a lower layer speaks for itself, and is the source.
#[test]
fn a_step_fails_by_what_a_lower_layer_says() {
    let fault = MsrFault {
        msr: 0xef,
        access: MsrOperation::Read,
    };
    let none = Detection::new()
        .detect(&FakeCpu::with_rar(63).without_msr(0xcf))
        .unwrap_err();
    let without = format!("this CPU does not have the RAR of the boot CPU: {none}");
    let address = RarActionVectorBase::new(1, PhysicalAddressWidth::MAX).unwrap_err();
    let register = RegisterError::NotRegistered { cpu: CPU };
    for (error, text, source) in [
        (
            LifeCycleError::from(fault),
            fault.to_string(),
            fault.to_string(),
        ),
        (LifeCycleError::from(none), without, none.to_string()),
        (
            LifeCycleError::from(address),
            address.to_string(),
            address.to_string(),
        ),
        (
            LifeCycleError::from(register),
            register.to_string(),
            register.to_string(),
        ),
    ] {
        assert_says(&error, &text);
        assert_eq!(
            error.source().map(ToString::to_string).as_ref(),
            Some(&source)
        );
        let step = StepError {
            cause: error,
            cpu: (),
        };
        assert_eq!(step.source().map(ToString::to_string), Some(source));
    }
}

#[test]
fn what_is_still_pending() -> Result<(), UnknownAction> {
    let slot = SlotIndex::all().nth(5).unwrap();
    let pending = ActionByte(1);
    assert_eq!(ActionState::try_from(1)?, ActionState::Pending);
    for (found, text) in [
        (
            NotQuiet::Online { cpu: CPU },
            "CPU 7: online, so its RAR unit may be enabled; take it offline first",
        ),
        (
            NotQuiet::Open {
                cpu: CPU,
                slot,
                byte: pending,
            },
            "CPU 7: entry pending in slot 5 (got action byte 0x01, expected a final one); end the \
             flush, or bring the CPU online and offline again",
        ),
        (
            NotQuiet::InFlight { slot },
            "slot 5: a flush has not ended; wait for it or drop it first",
        ),
    ] {
        assert_says(&found, text);
    }
    assert_says(
        &UnknownAction(0x40),
        "action byte 0x40 is neither success (0x00), pending (0x01) nor failure (0x80)",
    );
    assert_says(&slot, "5");
    Ok(())
}

#[test]
fn a_number_that_no_set_holds_and_a_flush_that_no_instruction_makes() {
    let out: CpuOutOfRange = CpuSet::<1>::new().insert(CpuId::new(64)).unwrap_err();
    assert_says(
        &out,
        "CPU 64 does not fit a set of 64 CPUs; use a larger WORDS",
    );
    assert_says(
        &Unsupported,
        "no instruction of this CPU carries out the requested operation",
    );
}
