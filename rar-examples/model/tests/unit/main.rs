//! The unit as a driver sees it: registers, memory and TLB.

mod concurrency;
mod execution;
mod illegal;
mod knobs;
mod msrs;
mod properties;
mod rig;
mod scan;
mod signals;
mod structures;
mod tlb_model;
