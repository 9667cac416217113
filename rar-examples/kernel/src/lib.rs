#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod acpi;
mod boot_info;
mod com_port;
mod command_line;
mod cpu_model;
mod frame_ring;
mod id_runs;
mod io_apic;
mod io_apic_list;
mod kernel_options;
mod left_registers;
mod little_endian;
mod live_entries;
mod memory_map;
mod msr_list;
mod note_text;
pub mod options;
mod page;
mod page_sum;
mod physical_memory;
mod pixel_format;
mod roll_call;
mod sheet;
mod sheet_layout;
mod start_slot;
mod stray_table;
#[cfg(test)]
mod test_memory;
mod text_grid;
mod text_size;
mod transmitter;
mod tsc;
mod vector_set;
mod wrap;

pub use acpi::{
    AcpiError, Behind, CpuList, FirmwareTables, HardwareFacts, LOCAL_APIC_DEFAULT, MadtEntries,
    MadtEntry, MadtSummary, MalformedEntry, NoCpuList, Place, PmTimer, Remedy, ResetRegister,
    Signature, Table, TableFault, TableNote, TableNotes, demands_physical_destinations, find_table,
    hpet_frequency, read_hpet, read_madt, read_pm_timer, read_pm1_control, read_reset_register,
    search_rsdp,
};
pub use boot_info::{
    BootFaults, BootInfo, BootInfoError, Display, Firmware, Framebuffer, MULTIBOOT2_MAGIC, Module,
    Modules, PVH_MAGIC, Rsdp, UnknownDisplay, read_boot_info, read_framebuffer, read_multiboot2,
    read_pvh,
};
pub use com_port::ComPort;
pub use command_line::CommandLine;
pub use cpu_model::{InvlpgErratum, invlpg_erratum, keeps_globals, model_name, revision};
pub use frame_ring::FrameRing;
pub use id_runs::{IdRuns, id_runs};
pub use io_apic::{IoApicRegisters, LiveEntry, NotIoApic, mask_entries, restore_entry};
pub use io_apic_list::IoApicList;
pub use kernel_options::{ApicMode, KernelOptions};
pub use left_registers::{MemoryTypes, announces_rar};
pub use live_entries::{Among, LiveEntries};
pub use memory_map::{FreeRanges, MemoryKind, MemoryMap, Region};
pub use msr_list::{WRITTEN_MSRS, Written, is_written};
pub use note_text::NoteText;
pub use page::{CAPTION_COLUMNS, CAPTION_ROWS, NARROW_CAPTION_COLUMNS, Page, Placement, place};
pub use page_sum::page_sum;
pub use physical_memory::PhysicalMemory;
pub use pixel_format::{Channel, Colours, PixelFormat, palette};
pub use roll_call::{StartMachine, call_roll};
pub use sheet::{Bar, COUNT_COLUMNS, LABEL_COLUMNS, Sheet, SheetRow};
pub use sheet_layout::{PlacedRow, SheetLayout};
pub use start_slot::StartSlot;
pub use stray_table::{NMI_VECTOR, StrayTable, Strays};
pub use text_grid::{Cell, Ink, TextGrid};
pub use text_size::text_zoom;
pub use transmitter::{Sent, SerialLoss, SerialPort, Transmitter};
pub use tsc::{
    Clock, ClockSource, ClockSources, Look, NoRate, Rate, Timer, agree, measure, rate_of_leaf_15,
    rate_of_leaf_16,
};
pub use vector_set::VectorSet;
pub use wrap::{Wrap, lines_of, wrap};

// A test links the standard library, which has a panic handler and memory functions of its own.
#[cfg(all(feature = "freestanding", not(test)))]
mod freestanding;
#[cfg(all(feature = "freestanding", not(test)))]
pub use freestanding::*;
