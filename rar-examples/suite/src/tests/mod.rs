//! The tests, one idea a file. Every CPU runs every line;
//! [`TestRun::step`](crate::test_run::TestRun::step) says which CPUs act.

pub(crate) mod crash;
pub(crate) mod deferred;
pub(crate) mod guest;
pub(crate) mod hotplug;
pub(crate) mod hung;
pub(crate) mod interrupts;
pub(crate) mod large_page;
pub(crate) mod late;
pub(crate) mod membership;
pub(crate) mod nested;
pub(crate) mod precision;
pub(crate) mod remap;
pub(crate) mod revoke;
pub(crate) mod silent;
pub(crate) mod sleep;
pub(crate) mod slots;
pub(crate) mod spaces;
pub(crate) mod storm;
pub(crate) mod tables;
pub(crate) mod unit;
pub(crate) mod use_bits;
pub(crate) mod user;
pub(crate) mod writers;
