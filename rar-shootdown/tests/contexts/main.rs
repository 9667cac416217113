//! What a kernel may call, and where. `docs/contexts.md` has the answers, and names each test here.
#![cfg(not(rar_loom))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod bed;
mod calls;
mod early;
mod in_drop;
mod interrupt_handler;
mod interrupts_off;
mod lock_held;
mod nmi;
mod panic;
mod preemption;

#[path = "../soundness/world.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod world;
