//! What the processor defines: its structures, its registers, the switch to the guest and back.

pub(crate) mod gdt;
pub(crate) mod host_entry;
pub(crate) mod idt;
pub(crate) mod io_permissions;
pub(crate) mod native;
pub(crate) mod permissions;
pub(crate) mod vmcb;
pub(crate) mod world;
