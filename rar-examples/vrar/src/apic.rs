//! The local APIC that the guest sees: priorities, what is requested and what is in service.
//!
//! The host acknowledges every interrupt of the machine at once, so that a guest in a service
//! routine does not keep the shim's own interrupts out; what the guest sees of them is here. Timers
//! and local vector table are the machine's own.

pub(crate) mod command;
pub(crate) mod level;
pub(crate) mod logical_address;
pub(crate) mod mailbox;
pub(crate) mod page;
pub(crate) mod page_access;
pub(crate) mod real_apic;
pub(crate) mod register_effect;
pub(crate) mod registers;
pub(crate) mod send;
#[cfg(test)]
mod test_machine;
pub(crate) mod vectors;

use crate::apic::level::LevelInterrupts;
use crate::apic::logical_address::LogicalAddress;
use crate::apic::register_effect::{Refused, RegisterEffect};
use crate::apic::vectors::Vectors;

/// How the guest reaches its APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApicMode {
    Disabled,
    Xapic,
    X2apic,
}

const BASE_BOOT: u64 = 1 << 8;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLE: u64 = 1 << 11;
const SOFTWARE_ENABLE: u32 = 1 << 8;

/// The state of one guest's APIC.
#[derive(Clone, Debug)]
pub(crate) struct Apic {
    id: u32,
    base: u64,
    pub(crate) task_priority: u8,
    pub(crate) spurious: u32,
    command: u64,
    logical: LogicalAddress,
    pub(crate) requested: Vectors,
    pub(crate) in_service: Vectors,
    /// Those whose last request was level-triggered.
    pub(crate) trigger_mode: Vectors,
    pub(crate) levels: LevelInterrupts,
}

impl Apic {
    /// Returns the APIC as the guest left the machine's.
    pub(crate) fn new(id: u32, base: u64, task_priority: u8, spurious: u32) -> Self {
        Self {
            id,
            base,
            task_priority,
            spurious,
            command: 0,
            logical: LogicalAddress::RESET,
            requested: Vectors::default(),
            in_service: Vectors::default(),
            trigger_mode: Vectors::default(),
            levels: LevelInterrupts::default(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Does what INIT does.
    pub(crate) fn init(&mut self) {
        *self = Self::new(self.id, self.base, 0, 0xff);
    }

    pub(crate) fn mode(&self) -> ApicMode {
        match (self.base & BASE_ENABLE != 0, self.base & BASE_X2APIC != 0) {
            (false, _) => ApicMode::Disabled,
            (true, false) => ApicMode::Xapic,
            (true, true) => ApicMode::X2apic,
        }
    }

    fn is_enabled(&self) -> bool {
        self.mode() != ApicMode::Disabled && self.spurious & SOFTWARE_ENABLE != 0
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Writes IA32_APIC_BASE (SDM vol. 3, "x2APIC State Transitions"). The address and the boot
    /// flag cannot be changed here. An APIC that is disabled forgets everything, as at a reset;
    /// what it has not ended at the machine's APIC ends there.
    pub(crate) fn write_base(&mut self, value: u64) -> Result<RegisterEffect, Refused> {
        let mode = BASE_ENABLE | BASE_X2APIC;
        let (old, new) = (self.base & mode, value & mode);
        let legal = match new {
            0 | BASE_ENABLE => old != mode || new == 0,
            BASE_X2APIC => false,
            _ => old & BASE_ENABLE != 0,
        };
        if !legal || (value ^ self.base) & !(mode | BASE_BOOT) != 0 {
            return Err(Refused);
        }
        self.base = (self.base & !mode) | new;
        Ok(match self.mode() {
            ApicMode::Xapic => RegisterEffect::Nothing,
            ApicMode::X2apic => {
                self.logical = LogicalAddress::RESET;
                RegisterEffect::Nothing
            }
            ApicMode::Disabled => {
                let ends = self.levels.end_all();
                self.init();
                RegisterEffect::EndsAtMachine(ends)
            }
        })
    }

    /// Requests an interrupt, as a message on the bus does.
    pub(crate) fn request(&mut self, vectors: [u64; 4]) {
        if self.is_enabled() {
            // Vectors below 16 are illegal and not delivered.
            let [first, second, third, fourth] = vectors;
            let vectors = [first & !0xffff, second, third, fourth];
            self.requested.add(vectors);
            self.trigger_mode.subtract(vectors);
        }
    }

    /// Requests an interrupt that the machine's APIC took, and keeps whether it is still to be
    /// acknowledged there.
    pub(crate) fn take(&mut self, vector: u8, level: bool) {
        if level {
            // Also for one that is disabled: the line would only come again.
            self.trigger_mode.insert(vector);
            self.levels.take(vector);
        } else if self.mode() == ApicMode::Disabled {
            return;
        } else {
            self.trigger_mode.remove(vector);
        }
        self.requested.insert(vector);
    }

    pub(crate) fn task_priority(&self) -> u8 {
        self.task_priority
    }

    pub(crate) fn set_task_priority(&mut self, value: u8) {
        self.task_priority = value;
    }

    /// Returns the class of the running code: a vector must be above it.
    pub(crate) fn priority_class(&self) -> u8 {
        let serving = self.in_service.highest().unwrap_or(0) >> 4;
        serving.max(self.task_priority >> 4)
    }

    /// Returns the vector that the processor takes next if it takes interrupts.
    pub(crate) fn next(&self) -> Option<u8> {
        if self.mode() == ApicMode::Disabled {
            return None;
        }
        let above = |vector: &u8| vector >> 4 > self.priority_class();
        self.requested.highest().filter(above)
    }

    /// Returns whether a request waits that a write of the task priority can let through or hold
    /// back.
    pub(crate) fn heeds_task_priority(&self) -> bool {
        let serving = self.in_service.highest().unwrap_or(0) >> 4;
        let waiting = self.requested.highest();
        waiting.is_some_and(|vector| vector >> 4 > serving)
    }

    /// The processor takes the vector that [`next`](Self::next) named.
    pub(crate) fn accept(&mut self, vector: u8) {
        self.requested.remove(vector);
        self.in_service.insert(vector);
    }

    /// Ends the service of the highest vector.
    pub(crate) fn end(&mut self) -> RegisterEffect {
        let Some(vector) = self.in_service.highest() else {
            return RegisterEffect::Nothing;
        };
        self.in_service.remove(vector);
        match self.levels.end(vector) {
            0 => RegisterEffect::Nothing,
            ends => RegisterEffect::EndsAtMachine(ends),
        }
    }

    /// Returns the logical address of an x2APIC: cluster in 31:16, member in 15:0.
    pub(crate) fn logical_id(&self) -> u32 {
        (self.id >> 4) << 16 | 1 << (self.id & 0xf)
    }

    /// Returns the logical address of an xAPIC.
    pub(crate) fn logical(&self) -> LogicalAddress {
        self.logical
    }

    /// Returns the logical address that the machine's xAPIC must have, so that devices reach this
    /// CPU by the address that the guest gave it.
    pub(crate) fn machine_logical(&self) -> LogicalAddress {
        match self.mode() {
            ApicMode::X2apic => LogicalAddress::of_x2apic(self.id),
            ApicMode::Xapic | ApicMode::Disabled => self.logical,
        }
    }

    pub(crate) fn logical_mut(&mut self) -> &mut LogicalAddress {
        &mut self.logical
    }

    pub(crate) fn command(&self) -> u64 {
        self.command
    }

    pub(crate) fn set_command(&mut self, command: u64) {
        self.command = command;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apic::test_machine::{machine, x2apic};

    fn request(apic: &mut Apic, vector: u8) {
        let mut words = [0; 4];
        words[usize::from(vector / 64)] = 1 << (vector % 64);
        apic.request(words);
    }

    #[test]
    fn modes_change_only_as_the_manual_says() {
        let at = |base| Apic::new(0, base, 0, 0x1ff);
        let (off, xapic, both) = (0xfee0_0000, 0xfee0_0800, 0xfee0_0c00);
        for (from, to, legal) in [
            (off, xapic, true),
            (off, both, false),
            (xapic, both, true),
            (xapic, off, true),
            (both, off, true),
            (both, xapic, false),
            (both, both, true),
            (xapic, 0xfee0_0400, false),
            (xapic, 0xfed0_0800, false),
        ] {
            assert_eq!(at(from).write_base(to).is_ok(), legal, "{from:#x} {to:#x}");
        }
        assert_eq!(at(xapic).read(0x802, &machine()), Err(Refused));
    }

    #[test]
    fn an_apic_that_is_disabled_forgets_its_interrupts() {
        let mut apic = x2apic(0);
        apic.take(0x61, true);
        apic.accept(0x61);
        request(&mut apic, 0x71);
        let ends = apic.write_base(0xfee0_0100);
        assert_eq!(ends, Ok(RegisterEffect::EndsAtMachine(1)));
        apic.take(0x45, false);
        assert_eq!(apic.next(), None);
        apic.write_base(0xfee0_0900).unwrap();
        assert_eq!(apic.in_service.highest(), None);
        assert_eq!((apic.requested.highest(), apic.spurious), (None, 0xff));
    }

    #[test]
    fn a_vector_waits_for_the_service_of_its_class_and_for_the_task_priority() {
        let mut apic = x2apic(0);
        request(&mut apic, 0x45);
        request(&mut apic, 0x41);
        assert_eq!(apic.next(), Some(0x45));
        apic.accept(0x45);
        assert_eq!(apic.next(), None);
        request(&mut apic, 0x51);
        assert_eq!(apic.next(), Some(0x51));
        assert!(apic.heeds_task_priority());
        apic.write(0x808, 0x50, &machine()).unwrap();
        assert_eq!(apic.next(), None);
        assert!(apic.heeds_task_priority());
        apic.write(0x808, 0, &machine()).unwrap();
        apic.accept(0x51);
        assert!(!apic.heeds_task_priority(), "0x41 waits for an end");
        assert_eq!(apic.read(0x80a, &machine()), Ok(0x50));
        assert_eq!(apic.read(0x812, &machine()), Ok(1 << 5 | 1 << 17));
        assert_eq!(
            apic.write(0x80b, 0, &machine()),
            Ok(RegisterEffect::Nothing)
        );
        assert_eq!(
            apic.write(0x80b, 0, &machine()),
            Ok(RegisterEffect::Nothing)
        );
        assert_eq!(apic.next(), Some(0x41));
    }

    #[test]
    fn level_interrupts_end_at_the_machine() {
        let mut apic = x2apic(0);
        apic.take(0x60, true);
        apic.accept(0x60);
        assert_eq!(apic.read(0x81b, &machine()), Ok(1));
        assert_eq!(
            apic.write(0x80b, 0, &machine()),
            Ok(RegisterEffect::EndsAtMachine(1))
        );
        assert_eq!(apic.read(0x81b, &machine()), Ok(1), "as on a processor");
        request(&mut apic, 0x60);
        assert_eq!(apic.read(0x81b, &machine()), Ok(0));
        apic.accept(0x60);
        apic.end();
    }

    #[test]
    fn a_disabled_apic_takes_nothing_and_init_forgets() {
        let mut apic = x2apic(0);
        request(&mut apic, 0x45);
        apic.init();
        assert_eq!(apic.next(), None);
        request(&mut apic, 0x45);
        assert_eq!(apic.next(), None, "software-disabled");
        apic.write(0x80f, 0x1ff, &machine()).unwrap();
        request(&mut apic, 0x0f);
        assert_eq!(apic.next(), None, "illegal vector");
        request(&mut apic, 0x45);
        assert_eq!(apic.next(), Some(0x45));
    }
}
