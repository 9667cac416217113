//! The local APIC of this CPU, in whichever mode the machine runs.

mod local_apic;
mod send;
mod takeover;

pub use local_apic::{LocalApic, XapicRegisters, get, go_to_x2apic};
pub(crate) use local_apic::{choose, end_if_in_service, end_of_interrupt};
pub use send::{
    SendError, send_cluster_requests, send_fixed, send_init, send_physical_requests, send_requests,
};
pub(crate) use send::{send_nmi, send_startup, use_physical_destinations};
