//! Descriptor tables: a GDT and a TSS for each CPU, one IDT for all.

use core::cell::UnsafeCell;
use core::ptr::from_ref;

use x86::Ring;
use x86::dtables::{DescriptorTablePointer, lgdt, lidt};
use x86::segmentation::{SegmentSelector, load_cs, load_ds, load_es, load_ss};
use x86::task::load_tr;

use super::vector;
use crate::freestanding::int::low32;
use crate::freestanding::once::Once;

const CODE: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
/// As [`CODE`] and [`DATA`], for privilege level 3.
const USER_DATA: u64 = 0x00cf_f300_0000_ffff;
const USER_CODE: u64 = 0x00af_fb00_0000_ffff;
pub(super) const CODE_SELECTOR: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
pub(super) const DATA_SELECTOR: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);
const TSS_SELECTOR: SegmentSelector = SegmentSelector::new(3, Ring::Ring0);
/// The descriptor of the TSS takes two entries.
pub(super) const USER_DATA_SELECTOR: SegmentSelector = SegmentSelector::new(5, Ring::Ring3);
pub(super) const USER_CODE_SELECTOR: SegmentSelector = SegmentSelector::new(6, Ring::Ring3);

const IST_EXCEPTION: u64 = 1;
const IST_NMI: u64 = 2;
const IST_ABORT: u64 = 3;
const IST_INTERRUPT: u64 = 4;

/// SDM vol. 3, "Task Management in 64-bit Mode": 26 words of 32 bits.
const TSS_WORDS: usize = 26;
const TSS_LENGTH: u32 = 104;
const _: () = assert!(size_of::<[u32; TSS_WORDS]>() == TSS_LENGTH as usize);
const TSS_IST: usize = 9;
/// In the descriptor: the CPU uses it.
const TSS_BUSY: u64 = 1 << 41;
const TSS_IO_MAP: usize = 25;

/// GDT and TSS of one CPU.
#[derive(Debug)]
pub(crate) struct Tables(UnsafeCell<Memory>);

#[derive(Debug)]
#[repr(C, align(16))]
struct Memory {
    gdt: [u64; 7],
    tss: [u32; TSS_WORDS],
}

// SAFETY: written once, by the CPU it belongs to, before it takes interrupts; afterwards only the
// processor reads it.
unsafe impl Sync for Tables {}

impl Tables {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Memory {
            gdt: [0; 7],
            tss: [0; TSS_WORDS],
        }))
    }

    /// Fills the tables in and loads them on this CPU.
    ///
    /// # Safety
    ///
    /// 1. The tables belong to this CPU, are in use nowhere, and it takes no interrupt meanwhile.
    /// 2. The stacks are memory of their own, used by nothing else: their tops, in the order of the
    ///    interrupt stack table.
    pub(crate) unsafe fn load(&'static self, tops: [u64; 4]) {
        // SAFETY: no other code uses the tables (1).
        let memory = unsafe { &mut *self.0.get() };
        for (pair, top) in memory.tss.iter_mut().skip(TSS_IST).step_by(2).zip(tops) {
            *pair = low32(top);
        }
        for (pair, top) in memory.tss.iter_mut().skip(TSS_IST + 1).step_by(2).zip(tops) {
            *pair = low32(top >> 32);
        }
        if let Some(io_map) = memory.tss.get_mut(TSS_IO_MAP) {
            // No I/O permission map: its offset is the end of the segment.
            *io_map = TSS_LENGTH << 16;
        }
        let base = from_ref(&memory.tss).addr() as u64;
        let limit = u64::from(TSS_LENGTH) - 1;
        // Present, type 9: an available 64-bit TSS (SDM vol. 3, "TSS Descriptor in 64-bit mode").
        let low = limit | (base & 0x00ff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        memory.gdt = [0, CODE, DATA, low, base >> 32, USER_DATA, USER_CODE];
        // SAFETY: filled in just now; the caller's promises are those of this call.
        unsafe { self.load_again() };
    }

    /// Loads the tables on this CPU, also if it has forgotten them.
    ///
    /// # Safety
    ///
    /// They are filled in, belong to this CPU, and it takes no interrupt meanwhile.
    pub(crate) unsafe fn load_again(&'static self) {
        // SAFETY: no other code uses the tables.
        let memory = unsafe { &mut *self.0.get() };
        if let Some(low) = memory.gdt.get_mut(3) {
            // What was loaded before is busy, and a busy TSS cannot be loaded.
            *low &= !TSS_BUSY;
        }
        // SAFETY: the table is filled in and stays where it is (it is 'static).
        unsafe { lgdt(&DescriptorTablePointer::new(&memory.gdt)) };
        // SAFETY: entry 1 is 64-bit code over all addresses.
        unsafe { load_cs(CODE_SELECTOR) };
        // SAFETY: entry 2 is writable data.
        unsafe { load_ss(DATA_SELECTOR) };
        // SAFETY: as above.
        unsafe { load_ds(DATA_SELECTOR) };
        // SAFETY: as above.
        unsafe { load_es(DATA_SELECTOR) };
        // SAFETY: entries 3 and 4 describe this CPU's TSS, which is not busy.
        unsafe { load_tr(TSS_SELECTOR) };
    }
}

static IDT: Once<[[u64; 2]; 256]> = Once::new();

unsafe extern "C" {
    /// 256 entry points of 16 bytes each, in `trap.s`.
    static rar_kernel_trap_stubs: [[u8; 16]; 256];
}

const fn ist(vector: u64) -> u64 {
    match vector {
        2 => IST_NMI,
        8 | 18 => IST_ABORT,
        0..32 => IST_EXCEPTION,
        _ => IST_INTERRUPT,
    }
}

fn build() -> [[u64; 2]; 256] {
    let stubs = (&raw const rar_kernel_trap_stubs).addr() as u64;
    let mut idt = [[0; 2]; 256];
    for (number, gate) in (0_u64..).zip(&mut idt) {
        let entry = stubs + number * 16;
        let privilege = if number == u64::from(vector::USER_END) {
            3
        } else {
            0
        };
        // Present, type 14: an interrupt gate, which disables interrupts (SDM vol. 3, "64-Bit Mode
        // IDT").
        let low = entry & 0xffff
            | u64::from(CODE_SELECTOR.bits()) << 16
            | ist(number) << 32
            | 0x8e << 40
            | privilege << 45
            | (entry >> 16 & 0xffff) << 48;
        *gate = [low, entry >> 32];
    }
    idt
}

/// Loads the interrupt descriptor table on this CPU, which has its [`Tables`] already.
pub(crate) fn load_idt() {
    let idt = match IDT.get() {
        Some(idt) => Some(idt),
        None => IDT.set(build()),
    };
    if let Some(idt) = idt {
        // SAFETY: 256 gates, each to a stub that saves and restores everything, on a stack of the
        // loaded TSS; it stays forever.
        unsafe { lidt(&DescriptorTablePointer::new(idt)) };
    }
}
