//! INIT and start-up, without the processor's help: QEMU would reset the CPU out of the shim.

use rar_vocabulary::TraceLevel;

use crate::guest::vcpu::{State, Vcpu};
use crate::processor::native;
use crate::processor::vmcb::{FLUSH_ALL, Segment};
use crate::processor::world;

const EFER_SVME: u64 = 1 << 12;
/// CR0 after INIT keeps CD and NW, sets ET, and clears the rest.
const CR0_KEPT: u64 = 0x6000_0000;
const CR0_EXTENSION_TYPE: u64 = 1 << 4;

impl Vcpu<'_> {
    /// Does what INIT does (SDM vol. 3, "Processor State After Reset or INIT").
    pub(crate) fn init(&mut self) {
        self.unit.init();
        self.own
            .real
            .end_of_interrupts(self.own.apic.levels.end_all());
        self.own.apic.init();
        self.own.real.reset();
        self.publish_logical();
        // Also one that the guest did not take while it served another.
        world::unblock_nmi();
        world::take(self.world);
        self.world.forget_nmi();
        self.own.nmi = false;
        self.own.event = 0;
        self.own.offered = None;
        self.cpu.note_reset();
        self.trace(TraceLevel::Offences, format_args!("init"));
        self.set_state(State::WaitsForStartup);
    }

    /// Starts the guest in real mode if a start-up message has come.
    pub(crate) fn try_startup(&mut self) {
        let Some(page) = self.cpu.mailbox.take_startup() else {
            return;
        };
        self.trace(TraceLevel::Offences, format_args!("startup page={page:#x}"));
        let data = Segment {
            selector: 0,
            attributes: 0x0093,
            limit: 0xffff,
            base: 0,
        };
        let table = Segment {
            limit: 0xffff,
            ..Segment::ZERO
        };
        let vmcb = &mut *self.vmcb;
        vmcb.cs = Segment {
            selector: u16::from(page) << 8,
            attributes: 0x009b,
            base: u64::from(page) << 12,
            ..data
        };
        (vmcb.ds, vmcb.es, vmcb.fs, vmcb.gs, vmcb.ss) = (data, data, data, data, data);
        (vmcb.gdtr, vmcb.idtr) = (table, table);
        vmcb.ldtr = Segment {
            attributes: 0x0082,
            ..table
        };
        vmcb.tr = Segment {
            attributes: 0x008b,
            ..table
        };
        vmcb.cpl = 0;
        vmcb.efer = EFER_SVME;
        vmcb.cr0 = vmcb.cr0 & CR0_KEPT | CR0_EXTENSION_TYPE;
        (vmcb.cr2, vmcb.cr3, vmcb.cr4) = (0, 0, 0);
        (vmcb.dr6, vmcb.dr7) = (0xffff_0ff0, 0x400);
        (vmcb.rflags, vmcb.rip, vmcb.rsp, vmcb.rax) = (2, 0, 0, 0);
        vmcb.interrupt_shadow = 0;
        vmcb.tlb_control = FLUSH_ALL;
        let world = &mut *self.world;
        (world.rbx, world.rcx, world.rbp) = (0, 0, 0);
        (world.rsi, world.rdi, world.upper) = (0, 0, [0; 8]);
        world.rdx = u64::from(self.own.shim.config().signature);
        native::load_rest(world.vmcb);
        self.set_state(State::Running);
    }
}
