//! The RAR units of this machine, as tests use them instead of the driver.

use rar_kernel::{Kernel, apic, kernel, percpu, probe, smp};
use rar_payload::Payload;
use rar_percpu::{CpuSet, SlotIndex};
use rar_regs::{ApicId, IcrError, X2apicIcr, send_x2apic};
use rar_suite::{
    Ability, Addresses, Destination, Executed, GeneralProtection, Guest, LongString, OddCommand,
    Platform as _, RarUnits, Register, Space,
};
use x86::cpuid::CpuId;

use super::instructions::{self, Pcids};
use super::lab::KernelLab;
use super::shim::record;
use super::{mwait, nmi_work, shim, vmx};

/// The width of physical addresses where CPUID does not say.
const LEAST_WIDTH: u32 = 36;

impl RarUnits for KernelLab {
    fn read(&self, register: Register) -> Result<u64, GeneralProtection> {
        // SAFETY: reading a register of a unit changes nothing.
        unsafe { probe::read_register(register as u32) }.ok_or(GeneralProtection)
    }

    fn write(&self, register: Register, value: u64) -> Result<(), GeneralProtection> {
        // SAFETY: units are enabled with no bases but those of `addresses`, memory that only units
        // and atomics touch. The driver's own enabling, of a CPU that is online, has promised the
        // same.
        unsafe { probe::write_register(register as u32, value) }.ok_or(GeneralProtection)
    }

    fn addresses(&self) -> Addresses {
        let me = percpu::this().id();
        let Some(state) = self.domain().cpu(me) else {
            self.give_up(format_args!("CPU {me} has no vector"))
        };
        // Frames are mapped one to one.
        Addresses {
            table: core::ptr::from_ref(self.domain().table()).addr() as u64,
            vector: core::ptr::from_ref(state.vector()).addr() as u64,
        }
    }

    fn store_entry(&self, slot: SlotIndex, words: [u64; 8]) {
        // SAFETY: 1. Tests use slots while no flush is in flight. 2. They name no register but one
        // that this kernel does not use.
        unsafe {
            self.domain()
                .table()
                .store_payload(slot, &Payload::from_words(words))
        };
    }

    fn cr3(&self) -> u64 {
        // SAFETY: ring 0; reading it changes nothing.
        unsafe { x86::controlregs::cr3() }
    }

    fn physical_address_bits(&self) -> u32 {
        let widths = CpuId::new().get_processor_capacity_feature_info();
        widths.map_or(LEAST_WIDTH, |widths| {
            u32::from(widths.physical_address_bits())
        })
    }

    fn signal(&self, targets: &CpuSet) {
        // Not by the machine of the driver, which signals CPUs that are online.
        let ids = targets
            .iter()
            .filter_map(|target| smp::apic_id(target.get()));
        if let Err(error) = apic::send_requests(ids) {
            self.give_up(format_args!("requests: {error}"));
        }
    }

    fn signal_by(&self, destination: Destination, targets: &CpuSet) {
        let ids = targets
            .iter()
            .filter_map(|target| smp::apic_id(target.get()));
        let sent = match destination {
            Destination::Physical => apic::send_physical_requests(ids),
            Destination::Cluster => apic::send_cluster_requests(ids),
        };
        if let Err(error) = sent {
            self.give_up(format_args!("requests by {destination:?}: {error}"));
        }
    }

    fn timeout_spins(&self) -> u32 {
        // A virtual CPU whose turn has come has the shim's call pending and leaves its guest at the
        // next block of code; with a thread of the host for each CPU, the sender may be suspended
        // between its request and the call.
        100_000
    }

    fn can(&self, ability: Ability) -> bool {
        match ability {
            // A boot processor of its own would go back to the firmware.
            Ability::Reset => shim::is_shim(),
            Ability::Guest => vmx::obstacle().is_none(),
            Ability::Pcids => kernel().is_some_and(Kernel::has_pcid),
            Ability::Record => record().is_some(),
            Ability::Mwait => mwait::has_mwait(),
            Ability::NonMaskable => true,
            Ability::Clusters | Ability::OddCommands => {
                matches!(apic::get(), Some(apic::LocalApic::X2apic))
            }
        }
    }

    fn reset(&self) {
        smp::reset();
    }

    fn run_guest(&self, until: &dyn Fn() -> bool) -> bool {
        Guest::run(self, until)
    }

    fn send_odd(&self, command: OddCommand, to: u32) {
        let icr = smp::apic_id(to).map(|id| odd_request(command, id));
        match icr {
            None => {}
            // SAFETY: ring 0 and x2APIC mode (`Ability::OddCommands`); a RAR unit takes the message
            // or drops it.
            Some(Ok(icr)) => unsafe { send_x2apic(icr) },
            Some(Err(error)) => self.give_up(format_args!("{command:?}: {error}")),
        }
    }

    fn mwait_states(&self) -> u32 {
        mwait::mwait_states()
    }

    fn mwait(&self, hint: u32) {
        mwait::mwait(hint);
    }

    fn run_string(&self, string: LongString) {
        self.frames.run_string(string);
    }

    fn run_in_nmi(&self, work: &dyn Fn()) -> bool {
        nmi_work::run(work)
    }

    fn without_pcids(&self, work: &dyn Fn()) {
        if !kernel().is_some_and(Kernel::has_pcid) {
            return work();
        }
        self.space(Space::First).enter_without_pcid();
        instructions::set_pcids(Pcids::Off);
        work();
        instructions::set_pcids(Pcids::On);
        self.space(Space::First).enter();
    }

    fn executed(&self) -> Executed {
        let Some(record) = record() else {
            self.give_up(format_args!("no record of what units execute"))
        };
        let entries = record.total();
        let last = entries
            .checked_sub(1)
            .and_then(|number| record.execution(number));
        Executed {
            entries,
            last: last.map_or(0, |last| last.hash),
            announced: last.and_then(|last| last.announced),
        }
    }
}

/// Returns a request that no driver sends.
fn odd_request(command: OddCommand, to: ApicId) -> Result<X2apicIcr, IcrError> {
    const LEVEL: u64 = 1 << 14;
    const TRIGGER: u64 = 1 << 15;
    const VECTOR: u64 = 0xe0;
    const SHORTHAND: u32 = 18;
    let usual = X2apicIcr::rar(to)?.bits();
    let mode = usual & 0xffff_ffff;
    Ok(X2apicIcr::from_bits(match command {
        OddCommand::Vector => usual | VECTOR,
        OddCommand::Level => usual | LEVEL,
        OddCommand::Trigger => usual | TRIGGER,
        OddCommand::TriggerLevel => usual | TRIGGER | LEVEL,
        OddCommand::Own => mode | 1 << SHORTHAND,
        OddCommand::All => mode | 2 << SHORTHAND,
        OddCommand::Others => mode | 3 << SHORTHAND,
    }))
}
