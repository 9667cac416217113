//! The local APIC that the guest sees: priorities, what is requested and what is in service.
//!
//! The host acknowledges every interrupt of the machine at once, so that a guest in a service routine does not keep the
//! shim's own interrupts out; what the guest sees of them is here. Timers and local vector table are the machine's own.

use crate::apic_page::LogicalAddress;
use crate::command::Command;
use crate::permissions::X2APIC_FIRST;

/// A register access that raises #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// What a register write asks of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// The service of this vector has ended.
    Ended(u8),
    /// An interrupt command is sent.
    Command(Command),
    /// An interrupt to the CPU itself.
    SelfInterrupt(u8),
}

/// The registers that stay the machine's own.
pub(crate) trait Registers {
    fn read(&self, offset: u32) -> u32;
    fn write(&self, offset: u32, value: u32);
}

/// A set of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vectors([u64; 4]);

impl From<[u64; 4]> for Vectors {
    fn from(words: [u64; 4]) -> Self {
        Self(words)
    }
}

impl Vectors {
    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.0
            .get(usize::from(vector / 64))
            .is_some_and(|word| word >> (vector % 64) & 1 != 0)
    }

    pub(crate) fn insert(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 64)) {
            *word |= 1 << (vector % 64);
        }
    }

    pub(crate) fn remove(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 64)) {
            *word &= !(1 << (vector % 64));
        }
    }

    pub(crate) fn highest(&self) -> Option<u8> {
        let (number, word) = [0_u32, 1, 2, 3]
            .iter()
            .zip(&self.0)
            .rfind(|(_, word)| **word != 0)?;
        u8::try_from(number * 64 + 63 - word.leading_zeros()).ok()
    }

    pub(crate) fn add(&mut self, words: [u64; 4]) {
        for (word, more) in self.0.iter_mut().zip(words) {
            *word |= more;
        }
    }

    fn word(&self, number: u32) -> u32 {
        (0..32)
            .filter(|bit| u8::try_from(number * 32 + bit).is_ok_and(|vector| self.contains(vector)))
            .fold(0, |word, bit| word | 1 << bit)
    }
}

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

/// Register numbers: the offset in the page, divided by 16.
mod register {
    pub(super) const ID: u32 = 0x02;
    pub(super) const VERSION: u32 = 0x03;
    pub(super) const TASK_PRIORITY: u32 = 0x08;
    pub(super) const PROCESSOR_PRIORITY: u32 = 0x0A;
    pub(super) const END_OF_INTERRUPT: u32 = 0x0B;
    pub(super) const LOGICAL_DESTINATION: u32 = 0x0D;
    pub(super) const SPURIOUS: u32 = 0x0F;
    pub(super) const IN_SERVICE: u32 = 0x10;
    pub(super) const TRIGGER_MODE: u32 = 0x18;
    pub(super) const REQUESTED: u32 = 0x20;
    pub(super) const ERROR_STATUS: u32 = 0x28;
    pub(super) const COMMAND: u32 = 0x30;
    pub(super) const LOCAL_FIRST: u32 = 0x32;
    pub(super) const LOCAL_LAST: u32 = 0x37;
    pub(super) const INITIAL_COUNT: u32 = 0x38;
    pub(super) const CURRENT_COUNT: u32 = 0x39;
    pub(super) const DIVIDE: u32 = 0x3E;
    pub(super) const SELF_INTERRUPT: u32 = 0x3F;
}

/// The state of one guest's APIC.
#[derive(Clone, Debug)]
pub(crate) struct Apic {
    id: u32,
    base: u64,
    task_priority: u8,
    spurious: u32,
    command: u64,
    logical: LogicalAddress,
    requested: Vectors,
    in_service: Vectors,
    /// Taken from a controller that is no local APIC: they have no priority and no end.
    external: Vectors,
    /// Level-triggered: acknowledged at the machine's APIC when the guest ends them.
    level: Vectors,
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
            external: Vectors::default(),
            level: Vectors::default(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Does what INIT does.
    pub(crate) fn init(&mut self) {
        *self = Self::new(self.id, self.base, 0, 0xFF);
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

    /// Writes IA32_APIC_BASE (SDM vol. 3, "x2APIC State Transitions"). The address and the boot flag cannot be changed here.
    pub(crate) fn write_base(&mut self, value: u64) -> Result<(), Refused> {
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
        Ok(())
    }

    /// Requests an interrupt, as a message on the bus does.
    pub(crate) fn request(&mut self, vectors: [u64; 4]) {
        if self.is_enabled() {
            // Vectors below 16 are illegal and not delivered.
            let [first, second, third, fourth] = vectors;
            self.requested.add([first & !0xFFFF, second, third, fourth]);
        }
    }

    /// Requests an interrupt that the machine's APIC took, and keeps whether it is still to be acknowledged there.
    pub(crate) fn take(&mut self, vector: u8, level: bool) {
        if level {
            self.level.insert(vector);
        }
        self.requested.insert(vector);
    }

    /// Requests an interrupt of a legacy controller.
    pub(crate) fn take_external(&mut self, vector: u8) {
        self.external.insert(vector);
    }

    pub(crate) fn task_priority(&self) -> u8 {
        self.task_priority
    }

    pub(crate) fn set_task_priority(&mut self, value: u8) {
        self.task_priority = value;
    }

    /// Returns the class of the running code: a vector must be above it.
    fn priority_class(&self) -> u8 {
        let serving = self.in_service.highest().unwrap_or(0) >> 4;
        serving.max(self.task_priority >> 4)
    }

    /// Returns the vector that the processor takes next if it takes interrupts.
    pub(crate) fn next(&self) -> Option<u8> {
        self.external.highest().or_else(|| {
            self.requested
                .highest()
                .filter(|vector| vector >> 4 > self.priority_class())
        })
    }

    /// Returns whether another vector can be taken once this one was, before the guest ends anything.
    pub(crate) fn waits_behind(&self, vector: u8) -> bool {
        let mut after = self.clone();
        after.accept(vector);
        after.next().is_some()
    }

    /// The processor takes the vector that [`next`](Self::next) named.
    pub(crate) fn accept(&mut self, vector: u8) {
        if self.external.contains(vector) {
            self.external.remove(vector);
        } else {
            self.requested.remove(vector);
            self.in_service.insert(vector);
        }
    }

    fn end(&mut self) -> Effect {
        let Some(vector) = self.in_service.highest() else {
            return Effect::Nothing;
        };
        self.in_service.remove(vector);
        if self.level.contains(vector) {
            self.level.remove(vector);
            return Effect::Ended(vector);
        }
        Effect::Nothing
    }

    /// Returns the logical address of an x2APIC: cluster in 31:16, member in 15:0.
    pub(crate) fn logical_id(&self) -> u32 {
        (self.id >> 4) << 16 | 1 << (self.id & 0xF)
    }

    /// Returns the logical address of an xAPIC.
    pub(crate) fn logical(&self) -> LogicalAddress {
        self.logical
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

    /// Reads a register of an x2APIC.
    pub(crate) fn read(&self, msr: u32, real: &impl Registers) -> Result<u64, Refused> {
        if self.mode() != ApicMode::X2apic {
            return Err(Refused);
        }
        self.register(msr, real)
    }

    /// Reads a register by its number in an x2APIC, whatever the mode.
    pub(crate) fn register(&self, msr: u32, real: &impl Registers) -> Result<u64, Refused> {
        let number = msr.wrapping_sub(X2APIC_FIRST);
        Ok(u64::from(match number {
            register::ID => self.id,
            register::TASK_PRIORITY => u32::from(self.task_priority),
            register::PROCESSOR_PRIORITY => {
                let class = self.priority_class();
                let task = self.task_priority;
                u32::from(if task >> 4 == class { task } else { class << 4 })
            }
            register::LOGICAL_DESTINATION => self.logical_id(),
            register::SPURIOUS => self.spurious,
            register::IN_SERVICE..register::TRIGGER_MODE => {
                self.in_service.word(number - register::IN_SERVICE)
            }
            register::TRIGGER_MODE..register::REQUESTED => {
                self.level.word(number - register::TRIGGER_MODE)
            }
            register::REQUESTED..register::ERROR_STATUS => {
                self.requested.word(number - register::REQUESTED)
            }
            register::ERROR_STATUS => 0,
            register::COMMAND => return Ok(self.command),
            register::VERSION
            | register::LOCAL_FIRST..=register::LOCAL_LAST
            | register::INITIAL_COUNT
            | register::CURRENT_COUNT
            | register::DIVIDE => real.read(number << 4),
            _ => return Err(Refused),
        }))
    }

    /// Writes a register of an x2APIC.
    pub(crate) fn write(
        &mut self,
        msr: u32,
        value: u64,
        real: &impl Registers,
    ) -> Result<Effect, Refused> {
        if self.mode() != ApicMode::X2apic {
            return Err(Refused);
        }
        self.write_register(msr, value, real)
    }

    /// Writes a register by its number in an x2APIC, whatever the mode.
    pub(crate) fn write_register(
        &mut self,
        msr: u32,
        value: u64,
        real: &impl Registers,
    ) -> Result<Effect, Refused> {
        let number = msr.wrapping_sub(X2APIC_FIRST);
        if number == register::COMMAND {
            let command = Command::from_x2apic(value).ok_or(Refused)?;
            self.command = value;
            return Ok(Effect::Command(command));
        }
        let value = u32::try_from(value).map_err(|_| Refused)?;
        match number {
            register::TASK_PRIORITY => self.task_priority = byte(value)?,
            register::END_OF_INTERRUPT if value == 0 => return Ok(self.end()),
            register::SPURIOUS if value & !0x13FF == 0 => self.spurious = value,
            register::ERROR_STATUS if value == 0 => {}
            register::SELF_INTERRUPT => return Ok(Effect::SelfInterrupt(byte(value)?)),
            register::LOCAL_FIRST..=register::LOCAL_LAST
            | register::INITIAL_COUNT
            | register::DIVIDE => real.write(number << 4, value),
            _ => return Err(Refused),
        }
        Ok(Effect::Nothing)
    }
}

fn byte(value: u32) -> Result<u8, Refused> {
    u8::try_from(value).map_err(|_| Refused)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// One register of the machine.
    struct Machine(Cell<u32>);

    impl Registers for Machine {
        fn read(&self, offset: u32) -> u32 {
            if offset == 0x320 { self.0.get() } else { 0 }
        }

        fn write(&self, offset: u32, value: u32) {
            if offset == 0x320 {
                self.0.set(value);
            }
        }
    }

    fn machine() -> Machine {
        Machine(Cell::new(0))
    }

    fn x2apic(id: u32) -> Apic {
        let mut apic = Apic::new(id, 0xFEE0_0900, 0, 0x1FF);
        apic.write_base(0xFEE0_0D00).unwrap();
        apic
    }

    fn request(apic: &mut Apic, vector: u8) {
        let mut set = Vectors::default();
        set.insert(vector);
        apic.request(set.0);
    }

    #[test]
    fn modes_change_only_as_the_manual_says() {
        let at = |base| Apic::new(0, base, 0, 0x1FF);
        let (off, xapic, both) = (0xFEE0_0000, 0xFEE0_0800, 0xFEE0_0C00);
        for (from, to, legal) in [
            (off, xapic, true),
            (off, both, false),
            (xapic, both, true),
            (xapic, off, true),
            (both, off, true),
            (both, xapic, false),
            (both, both, true),
            (xapic, 0xFEE0_0400, false),
            (xapic, 0xFED0_0800, false),
        ] {
            assert_eq!(at(from).write_base(to).is_ok(), legal, "{from:#x} {to:#x}");
        }
        assert_eq!(at(xapic).read(0x802, &machine()), Err(Refused));
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
        apic.write(0x808, 0x50, &machine()).unwrap();
        assert_eq!(apic.next(), None);
        apic.write(0x808, 0, &machine()).unwrap();
        apic.accept(0x51);
        assert_eq!(apic.read(0x80A, &machine()), Ok(0x50));
        assert_eq!(apic.read(0x812, &machine()), Ok(1 << 5 | 1 << 17));
        assert_eq!(apic.write(0x80B, 0, &machine()), Ok(Effect::Nothing));
        assert_eq!(apic.write(0x80B, 0, &machine()), Ok(Effect::Nothing));
        assert_eq!(apic.next(), Some(0x41));
    }

    #[test]
    fn level_interrupts_end_at_the_machine_and_external_ones_have_no_end() {
        let mut apic = x2apic(0);
        apic.take(0x60, true);
        apic.accept(0x60);
        assert_eq!(apic.write(0x80B, 0, &machine()), Ok(Effect::Ended(0x60)));
        apic.take_external(0x20);
        apic.accept(0x20);
        assert_eq!((apic.next(), apic.in_service.highest()), (None, None));
    }

    #[test]
    fn registers_and_refusals() {
        let mut apic = x2apic(0x25);
        assert_eq!(apic.read(0x802, &machine()), Ok(0x25));
        assert_eq!(apic.read(0x80D, &machine()), Ok(0x2_0020));
        let machine = machine();
        apic.write(0x832, 0x1_0030, &machine).unwrap();
        assert_eq!(apic.read(0x832, &machine), Ok(0x1_0030));
        let icr = 7 << 32 | 0x300;
        let command = Command::from_x2apic(icr).unwrap();
        assert_eq!(
            apic.write(0x830, icr, &machine),
            Ok(Effect::Command(command))
        );
        assert_eq!(apic.read(0x830, &machine), Ok(icr));
        assert_eq!(apic.write(0x830, 1 << 12, &machine), Err(Refused));
        assert_eq!(
            apic.write(0x83F, 0x41, &machine),
            Ok(Effect::SelfInterrupt(0x41))
        );
        for (msr, value) in [
            (0x802, 1),
            (0x808, 0x100),
            (0x80B, 1),
            (0x80D, 0),
            (0x80F, 0x1_0000),
            (0x810, 0),
            (0x831, 0),
            (0x839, 0),
            (0x8FF, 0),
            (0x832, 1 << 32),
        ] {
            assert_eq!(apic.write(msr, value, &machine), Err(Refused), "{msr:#x}");
        }
        for msr in [0x800, 0x80B, 0x80E, 0x831, 0x83F, 0x840] {
            assert_eq!(apic.read(msr, &machine), Err(Refused), "{msr:#x}");
        }
    }

    #[test]
    fn a_disabled_apic_takes_nothing_and_init_forgets() {
        let mut apic = x2apic(0);
        request(&mut apic, 0x45);
        apic.init();
        assert_eq!(apic.next(), None);
        request(&mut apic, 0x45);
        assert_eq!(apic.next(), None, "software-disabled");
        apic.write(0x80F, 0x1FF, &machine()).unwrap();
        request(&mut apic, 0x0F);
        assert_eq!(apic.next(), None, "illegal vector");
        request(&mut apic, 0x45);
        assert_eq!(apic.next(), Some(0x45));
    }
}
