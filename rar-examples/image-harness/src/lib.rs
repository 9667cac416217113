#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod boot;
pub mod boot_plan;
mod bus_writes;
pub mod case;
pub mod catalogue;
pub mod catalogue_run;
pub mod deaf_peer;
pub mod defects;
mod disordered_image;
pub mod expected_records;
pub mod expected_report;
pub mod firmware_catalogue;
pub mod grub;
mod grub_disk;
pub mod grub_entry;
mod image_key;
pub mod machine;
pub mod mutated;
pub mod new_folder;
mod old_system;
mod qemu_socket;
mod qr_check;
pub mod screen_watcher;
mod screens;
pub mod test_machine;
