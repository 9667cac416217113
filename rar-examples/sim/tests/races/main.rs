//! The races of the driver on 8 CPUs that share all 64 slots, each under many orders.
//!
//! The loom models of the same names explore every order of two or three CPUs; here the shipped
//! code runs at its real size, on RAR units. A race proves something only if it happened, so each
//! scenario counts the interleaving that it is named after.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of eight CPUs, three spaces and few pages"
)]

mod generation;
mod histories;
mod idle;
mod interrupts;
mod membership;
mod nmis;
mod observer;
mod payload;
mod race;
mod responder;
mod slots;
