//! A CPU as its host sees it: why it left its guest, and what is done before it enters again.

pub(crate) mod cpuid;
pub(crate) mod cr8;
pub(crate) mod entry;
pub(crate) mod exit;
pub(crate) mod msr;
pub(crate) mod start;
pub(crate) mod vcpu;
