//! The unit as a driver sees it: registers, memory and TLB.

mod concurrency;
mod defects;
mod execution;
mod illegal;
mod knob_names;
mod knobs;
mod msrs;
mod properties;
mod readme;
mod rig;
mod scan;
mod signals;
mod structures;
mod tlb_model;
mod words;
