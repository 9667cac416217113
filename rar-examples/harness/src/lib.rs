#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cargo;
pub mod catalogue;
pub mod collateral_failures;
pub mod defect_names;
pub mod defmt;
pub mod elf;
pub mod ending;
pub mod exit_code;
pub mod expectation;
pub mod expected_detections;
pub mod guest;
mod guest_progress;
pub mod interrupt;
pub mod json_file;
pub mod judged_run;
pub mod kernel;
pub mod logs;
pub mod measurements;
pub mod minimal_kernel;
pub mod modes;
pub mod observed;
pub mod output;
pub mod parallel;
pub mod parent_death;
mod pass_checks;
pub mod process;
pub mod progress;
mod ratios;
pub mod records;
pub mod requirements;
pub mod rescue_image;
pub mod results;
pub mod run;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod setup;
pub mod static_program;
pub mod test_kernel;
pub mod test_output;
pub mod text;
pub mod verdict;
pub mod workspace;
