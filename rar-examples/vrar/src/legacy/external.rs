//! Interrupts of the legacy controllers, and the guest's accesses to their ports.

use crate::apic::real_apic::LINT0;
use crate::guest::vcpu::Vcpu;
use crate::legacy::machine_pics::Half;
use crate::legacy::pics::{Line, Pics};
use crate::legacy::port_access::PortAccess;
use crate::processor::native;

/// Mask and delivery mode of LINT0; the mode of the legacy controllers, not masked.
const MASK_AND_MODE: u32 = 1 << 16 | 0x700;
const EXTERNAL: u32 = 0x700;

impl Vcpu<'_> {
    /// Requests an interrupt of the legacy controllers.
    pub(crate) fn take_external(&self, line: Line) {
        self.with_pics(|pics| {
            self.own.shim.pics().set_taker(self.own.apic.id());
            pics.take(line, &native::MachinePorts);
        });
    }

    /// Returns whether a legacy controller interrupts this CPU, which may have masked it.
    pub(crate) fn external_waits(&self) -> bool {
        self.own.shim.pics().asks() == Some(self.own.apic.id())
            && self.own.real.read(LINT0) & MASK_AND_MODE == EXTERNAL
    }

    /// Returns the interrupt of a legacy controller that this CPU takes next, with its vector.
    pub(crate) fn next_external(&self) -> Option<(Line, u8)> {
        if !self.external_waits() {
            return None;
        }
        self.with_pics(|pics| {
            pics.settle(&native::MachinePorts);
            pics.next()
        })
        .flatten()
    }

    /// The guest has taken the interrupt.
    pub(crate) fn accept_external(&self, line: Line) {
        self.with_pics(|pics| pics.acknowledge(line, &native::MachinePorts));
    }

    pub(crate) fn external_ends_by_itself(&self) -> bool {
        self.with_pics(|pics| pics.ends_by_itself())
            .unwrap_or(false)
    }

    fn with_pics<T>(&self, action: impl FnOnce(&mut Pics) -> T) -> Option<T> {
        self.own.shim.pics().with(action)
    }

    /// Does what the guest's access to a port asks for; returns whether it could be done.
    pub(crate) fn access_port(&mut self) -> bool {
        let Some(access) = PortAccess::read(self.vmcb.exit_info_1) else {
            self.cpu.note_undecoded(&self.code());
            return false;
        };
        self.vmcb.rax = access.make(
            self.vmcb.rax,
            |port| self.read_port(port),
            |port, value| self.write_port(port, value),
        );
        self.end_port_access();
        true
    }

    fn read_port(&self, port: u16) -> u8 {
        match Half::of_port(port) {
            Some((half, port)) => self
                .with_pics(|pics| pics.read(half, port, &native::MachinePorts))
                .unwrap_or(u8::MAX),
            None => native::read_port(port),
        }
    }

    fn write_port(&self, port: u16, value: u8) {
        let Some((half, port)) = Half::of_port(port) else {
            return native::write_port(port, value);
        };
        self.with_pics(|pics| pics.write(half, port, value, &native::MachinePorts));
        if let Some(id) = self
            .own
            .shim
            .pics()
            .asks()
            .filter(|id| *id != self.own.apic.id())
        {
            self.own.shim.call(self.own.real, id);
        }
    }
}
