//! The units of the simulated machine, for tests below the driver.

use rar_model::{Activity, Pcids, Tlb as _};
use rar_payload::Payload;
use rar_percpu::{CpuId, CpuSet, PhysicalAddressOf as _, SlotIndex};
use rar_shootdown::{Machine as _, Message};
use rar_suite::{
    Ability, Addresses, Destination, Executed, GeneralProtection, Guest, LongString, OddCommand,
    Platform as _, RarUnits, Register, Space, payload_hash,
};

use super::SimPlatform;
use crate::machine::Addressing;
use crate::schedule::step;

/// One sub-state each, as MWAIT numbers them.
const C1_AND_C6: u32 = 1 << 4 | 1 << 24;
/// How many moments a long-running instruction takes.
const ITERATIONS: u32 = 200;

impl SimPlatform<'_> {
    fn physical_address<T>(&self, of: &T) -> u64 {
        let address = std::ptr::from_ref(of).cast();
        let physical = self
            .machine()
            .driver()
            .physical_address_of(address, size_of::<T>());
        physical
            .unwrap_or_else(|| self.give_up(format_args!("memory of the driver has no address")))
    }
}

impl RarUnits for SimPlatform<'_> {
    fn read(&self, register: Register) -> Result<u64, GeneralProtection> {
        step();
        let read = self.cpu().with_unit(|unit| unit.read_msr(register as u32));
        read.map_err(|_| GeneralProtection)
    }

    fn write(&self, register: Register, value: u64) -> Result<(), GeneralProtection> {
        step();
        let written = self
            .cpu()
            .with_unit(|unit| unit.write_msr(register as u32, value));
        written.map_err(|_| GeneralProtection)
    }

    fn addresses(&self) -> Addresses {
        let domain = self.machine().domain();
        let Some(state) = domain.cpu(CpuId::new(self.me())) else {
            self.give_up(format_args!("CPU {} has no vector", self.me()))
        };
        Addresses {
            table: self.physical_address(domain.table()),
            vector: self.physical_address(state.vector()),
        }
    }

    #[expect(unsafe_code, reason = "a payload is any 64 bytes")]
    fn store_entry(&self, slot: SlotIndex, words: [u64; 8]) {
        step();
        let table = self.machine().domain().table();
        // SAFETY: 1. tests of units take every CPU offline and run in step, so no flush is in
        // flight, and units read only entries of the test. 2. The units of this machine are
        // software, and write no register of the host.
        unsafe { table.store_payload(slot, &Payload::from_words(words)) };
    }

    fn cr3(&self) -> u64 {
        self.cpu().with_tlb(|tlb| tlb.cr3())
    }

    fn physical_address_bits(&self) -> u32 {
        self.cpu()
            .with_unit(|unit| u32::from(unit.knobs().physical_address_bits))
    }

    fn signal(&self, targets: &CpuSet) {
        let (cpu, machine) = (self.pin(), self.machine());
        let _sent = machine.send(Message::Signal, &cpu, machine.domain(), targets);
    }

    fn signal_by(&self, destination: Destination, targets: &CpuSet) {
        let addressing = match (self.machine().addressing(), destination) {
            (Addressing::Xapic, _) => Addressing::Xapic,
            (_, Destination::Physical) => Addressing::Physical,
            (_, Destination::Cluster) => Addressing::Cluster,
        };
        self.machine().send_rar(self.me(), targets, addressing);
    }

    fn timeout_spins(&self) -> u32 {
        // A unit serves between two instructions.
        4
    }

    fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Reset
            | Ability::Guest
            | Ability::Pcids
            | Ability::Record
            | Ability::Mwait
            | Ability::OddCommands
            | Ability::NonMaskable => true,
            Ability::Clusters => self.machine().addressing() != Addressing::Xapic,
        }
    }

    fn reset(&self) {
        step();
        self.cpu().with_unit(|unit| unit.init());
    }

    fn run_guest(&self, until: &dyn Fn() -> bool) -> bool {
        Guest::run(self, until)
    }

    fn send_odd(&self, command: OddCommand, to: u32) {
        let me = self.me();
        let is_named = |cpu: &u32| match command {
            OddCommand::Vector
            | OddCommand::Level
            | OddCommand::Trigger
            | OddCommand::TriggerLevel => *cpu == to,
            OddCommand::Own => *cpu == me,
            OddCommand::All => true,
            OddCommand::Others => *cpu != me,
        };
        let machine = self.machine();
        machine.send_odd(me, (0..machine.cpus()).filter(is_named));
    }

    fn mwait_states(&self) -> u32 {
        C1_AND_C6
    }

    fn mwait(&self, hint: u32) {
        let activity = if hint == 0 {
            Activity::Halted
        } else {
            Activity::DeepSleep
        };
        self.machine().sleep_in(self.me(), activity);
    }

    fn run_string(&self, _: LongString) {
        // Units serve between two iterations.
        for _ in 0..ITERATIONS {
            step();
        }
    }

    fn run_in_nmi(&self, work: &dyn Fn()) -> bool {
        // The simulated machine has no NMIs. Its units treat a handler as any code: only IF
        // matters.
        let cpu = self.cpu();
        let before = cpu.set_interrupts(false);
        work();
        cpu.set_interrupts(before);
        true
    }

    fn without_pcids(&self, work: &dyn Fn()) {
        let (me, machine) = (self.me(), self.machine());
        machine.set_pcids(me, Pcids::Disabled);
        work();
        machine.set_pcids(me, Pcids::Enabled);
        self.enter(Space::First);
    }

    fn executed(&self) -> Executed {
        let last = self.cpu().record().pop_back();
        Executed {
            entries: self.cpu().executed(),
            last: last.map_or(0, |last| payload_hash(last.words)),
            announced: None,
        }
    }
}

impl Guest for SimPlatform<'_> {
    fn run(&self, until: &dyn Fn() -> bool) -> bool {
        self.cpu().forget_guest();
        self.cpu().set_guest(true);
        while !until() {
            step();
        }
        self.cpu().set_guest(false);
        if self.trouble.forgets_at_exit() {
            self.flush_own_tlb();
        }
        true
    }
}
