//! The tests below the driver: RAR units without a driver.
//!
//! Each shows the stale translation first, as every test does, then asserts one rule of the unit.
//! Rules that no document states are marked *observed*: a unit that differs may be right, and the
//! driver must work with it.

pub(crate) mod again;
pub(crate) mod bench;
pub(crate) mod combinations;
pub(crate) mod commands;
pub(crate) mod delivery;
pub(crate) mod destinations;
pub(crate) mod disabled;
pub(crate) mod entries;
pub(crate) mod enumeration;
pub(crate) mod foreign;
pub(crate) mod guest;
pub(crate) mod idle;
pub(crate) mod interrupts;
pub(crate) mod itself;
pub(crate) mod late;
pub(crate) mod lost;
pub(crate) mod meanings;
pub(crate) mod nmi;
pub(crate) mod order;
pub(crate) mod pages;
pub(crate) mod pcids_off;
mod probe;
pub(crate) mod registers;
pub(crate) mod rescan;
pub(crate) mod reserved;
pub(crate) mod reset;
pub(crate) mod spaces;
mod steps;
pub(crate) mod stores;
pub(crate) mod storm;
pub(crate) mod strings;
pub(crate) mod use_bits;
pub(crate) mod walks;
