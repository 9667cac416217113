//! One CPU as its host sees it.
//!
//! Other files add what it does: `entry.rs` prepares the next stay in the guest, `exit.rs` handles
//! the end of one, `msr.rs`, `page.rs` and `external.rs` its accesses to registers, `start.rs` INIT
//! and start-up, `unit.rs` the RAR unit, `send.rs` the interrupts that it sends.

use rar_model::RarUnit;

use crate::apic::Apic;
use crate::apic::real_apic::RealApic;
use crate::cpu::Cpu;
use crate::legacy::pics::Line;
use crate::processor::vmcb::Vmcb;
use crate::processor::world::World;
use crate::shim::Shim;
use crate::trace::reported::Reported;

/// What the host of a CPU keeps to itself.
#[derive(Debug)]
pub(crate) struct VcpuState {
    pub(crate) shim: &'static Shim,
    pub(crate) apic: Apic,
    pub(crate) real: RealApic,
    pub(crate) state: State,
    /// A non-maskable interrupt waits.
    pub(crate) nmi: bool,
    /// What is delivered at the next entry before anything else; 0 for nothing.
    pub(crate) event: u64,
    /// What the processor delivers as soon as the guest takes interrupts.
    pub(crate) offered: Option<Offered>,
    /// The counts that the trace has.
    pub(crate) reported: Reported,
    /// A trace looks at resets since this CPU has counted something.
    pub(crate) watches_resets: bool,
}

/// Whose interrupt the processor delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// The local APIC's, with this vector.
    Apic(u8),
    /// One of the legacy controllers'.
    External(Line),
}

/// What the guest of a CPU is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Halted,
    /// After INIT: for a start-up message.
    WaitsForStartup,
    /// After a triple fault: for INIT.
    Gone,
}

/// One CPU as its host sees it, between two stays in the guest.
#[derive(Debug)]
pub(crate) struct Vcpu<'a> {
    pub(crate) vmcb: &'a mut Vmcb,
    pub(crate) world: &'a mut World,
    pub(crate) own: &'a mut VcpuState,
    pub(crate) cpu: &'a Cpu,
    pub(crate) unit: &'a RarUnit,
}
