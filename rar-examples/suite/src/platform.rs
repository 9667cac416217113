//! The machine boundary: what a test asks of the machine it runs on.

use core::fmt;
use core::sync::atomic::AtomicU64;
use core::time::Duration;

use rar_payload::Pcid;
use rar_percpu::{CpuId, CpuSet, PinnedCpu};
use rar_shootdown::{Instant, Machine, Shootdown};
use rar_vocabulary::{Backend, Disturbances};

use crate::crash::Crash;
use crate::modes::{Guest, UserMode};
use crate::record::Record;
use crate::space::Space;
use crate::unit_record::{Asked, ProtocolViolations};
use crate::units::RarUnits;
use crate::use_bit::UseBit;
use crate::witness::Witness;

/// How many 4 KiB pages the test region of each space has.
pub const PAGES: u16 = 512;
/// How many 4 KiB frames the tests own.
pub const FRAMES: u16 = 2048;
/// How many 2 MiB frames the tests own.
pub const LARGE_FRAMES: u8 = 2;
/// How long a CPU that waits may take from one look at its clock to the next, if a platform does
/// not say otherwise: a hundred times what it takes, and less than what any time-out here depends
/// on.
const GAP_BOUND: Duration = Duration::from_micros(100);

/// A page under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// 4 KiB, number 0 to [`PAGES`] - 1 of a region that holds 4 KiB mappings only, contiguous in
    /// the address space.
    Small(u16),
    /// The one 2 MiB page, far from the region.
    Large,
}

/// Memory that a page under test can be mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// 4 KiB, number 0 to [`FRAMES`] - 1.
    Small(u16),
    /// 2 MiB, number 0 to [`LARGE_FRAMES`] - 1.
    Large(u8),
}

/// What a page-table entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The frame of the page.
    pub frame: Frame,
    /// Whether it may be written.
    pub access: Access,
    /// Whether the entry is global.
    pub scope: Scope,
}

/// Whether a page may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads only; supervisor stores fault too (`CR0.WP` = 1).
    Read,
    /// Loads and stores.
    Write,
    /// Loads and stores by [`UserMode`] only.
    User,
}

/// Whether an entry belongs to one space or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One address space.
    Space,
    /// All of them: the entry's G bit.
    Global,
}

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// `MOV`.
    Plain,
    /// `MOVNTI`.
    NonTemporal,
}

/// The access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault;

/// Which messages of the driver this CPU ignores.
///
/// A deaf CPU acknowledges the interrupt and does nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeafTo {
    /// None: this CPU serves all of them.
    Nothing,
    /// [`Signal`](rar_shootdown::Message::Signal) and `SecondSignal`; this CPU serves `Interrupt`
    /// and `Nmi`.
    Signals,
    /// All of them: signals, interrupts and NMIs.
    Everything,
}

/// A machine with several CPUs, page tables that can be changed without any flush, and a shootdown
/// under test.
///
/// Every method acts on the CPU that calls it. A method may flush or evict a translation of a page
/// under test only if its text says so. No method may take a lock that another CPU can hold while
/// it waits in a test.
pub trait Platform: Sync {
    /// The machine of the shootdown under test.
    type Machine: Machine + Sync;

    /// Returns the shootdown under test. Its policy skips lazy CPUs in flushes of the pages under
    /// test and of their spaces ([`Policy::lazy`](rar_shootdown::Policy::lazy)).
    fn shootdown(&self) -> &Shootdown<Self::Machine>;

    /// Returns what the machine has counted of the driver.
    fn witness(&self) -> &Witness;

    /// Returns how many entries of the payload table every CPU scans, according to the machine, not
    /// the driver.
    fn entries(&self) -> usize;

    /// Returns the number of CPUs that take part: CPU 0 to this number minus one.
    fn cpus(&self) -> u32;

    /// Returns the name of what makes action bytes final: `hardware`, `vrar`, `model` or
    /// `software`.
    fn backend(&self) -> Backend;

    /// Returns the proof that the code runs on this CPU.
    fn pin(&self) -> PinnedCpu<'_>;

    /// Returns the time.
    fn now(&self) -> Instant;

    /// Returns how many ticks of [`ticks`](Self::ticks) a millisecond has.
    fn ticks_per_millisecond(&self) -> u64;

    /// Returns how many seconds a CPU may take to reach a barrier.
    fn timeout_seconds(&self) -> u64 {
        20
    }

    /// Returns whether an entry can be global (`CR4.PGE`); elsewhere [`Scope::Global`] means
    /// [`Scope::Space`].
    fn has_global_pages(&self) -> bool {
        true
    }

    /// Returns whether a CPU can interrupt itself: it needs a local APIC.
    fn has_interrupts(&self) -> bool {
        true
    }

    /// Returns the counter that times flushes. All earlier instructions have finished, and no later
    /// one has begun.
    fn ticks(&self) -> u64;

    /// Lets a moment pass in a spin (`PAUSE`).
    fn relax(&self);

    /// Returns the address of a page under test.
    fn address(&self, page: Page) -> u64;

    /// Returns the PCID of a space ([`Pcid::ZERO`] where PCIDs are off, and for a
    /// [further](Space::Further) space that has none yet).
    fn pcid(&self, space: Space) -> Pcid;

    /// Gives a space a PCID, which the next load of CR3 uses. No CPU runs in the space. Does
    /// nothing where PCIDs are off.
    fn set_pcid(&self, space: Space, pcid: Pcid);

    /// Stores to a frame through an alias that is never under test. `word` counts 8-byte words from
    /// the frame's start.
    fn store_frame(&self, frame: Frame, word: u16, value: u64);

    /// Loads from a frame through an alias that is never under test.
    fn load_frame(&self, frame: Frame, word: u16) -> u64;

    /// Stores a page's entry: one aligned 8-byte store to the page table, no flush. `None` makes it
    /// not present.
    fn map(&self, space: Space, page: Page, mapping: Option<Mapping>);

    /// As [`Self::map`] for a small page, but stores to the spare page table of the space, which is
    /// not in use.
    fn map_in_spare(&self, space: Space, page: u16, mapping: Option<Mapping>);

    /// Exchanges the page table in use for the test region's small pages and the spare one: one
    /// store to the page directory, no flush.
    fn swap_tables(&self, space: Space);

    /// Puts the spare page table of a space to use for the addresses of the large page, whose first
    /// 4 KiB the entry of small page 0 then maps: one store to the page directory, no flush. The
    /// next [`map`](Self::map) of the large page ends that. Meanwhile tables are not exchanged.
    fn split_large(&self, space: Space);

    /// Clears a bit of a small page's entry: one locked access to the page table, no flush.
    fn clear_use(&self, space: Space, page: u16, bit: UseBit);

    /// Returns whether a bit of a small page's entry is set.
    fn is_used(&self, space: Space, page: u16, bit: UseBit) -> bool;

    /// Loads a word of a page under test: one instruction.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if the access faults.
    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault>;

    /// Flushes a page of the first space as [`invlpg`](Self::invlpg), and loads a word of it: by a
    /// page walk, which takes as long as the machine can make it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    fn load_by_walk(&self, page: Page, word: u16) -> Result<u64, PageFault> {
        self.invlpg(page);
        self.load(page, word)
    }

    /// Stores a word of a page under test: one instruction, and no fence.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if the access faults.
    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault>;

    /// Loads CR3: this CPU runs in the space from here on. Flushes what a CR3 load flushes.
    fn enter(&self, space: Space);

    /// Loads CR3 and keeps the cached translations of the space. This CPU runs in the space from
    /// here on. As [`enter`](Self::enter) where PCIDs are off.
    fn enter_keeping(&self, space: Space);

    /// Flushes this CPU's whole TLB, globals included.
    fn flush_own_tlb(&self);

    /// Flushes one page from this CPU's TLB by `INVLPG`.
    fn invlpg(&self, page: Page);

    /// Returns whether this CPU's unit was asked to flush a page since the last
    /// [`Self::flush_own_tlb`]. For machines whose TLB evicts more than that, so that only a record
    /// shows what was not flushed. `None` where a load shows it.
    fn asked_to_flush(&self, _page: Page) -> Option<Asked> {
        None
    }

    /// Returns whether the instruction that flushes one page leaves its neighbour in the TLB.
    /// Processors may evict more than requested, and then no load can show what a flush has spared.
    /// The machine must execute the instruction itself: with the driver's TLB, which is under test,
    /// a driver that flushes everything would look like such a processor.
    fn spares_neighbours(&self) -> bool {
        true
    }

    /// Returns whether translations stay in the TLB while a flush works that does not name them. A
    /// hypervisor may empty the TLB at each exit, and then no load can show what was kept.
    fn keeps_translations(&self) -> bool {
        true
    }

    /// Returns the protocol violations of the drivers of all CPUs so far, if the machine detects
    /// any.
    fn protocol_violations(&self) -> ProtocolViolations {
        ProtocolViolations::default()
    }

    /// Disables interrupts.
    fn disable_interrupts(&self);

    /// Enables interrupts.
    fn enable_interrupts(&self);

    /// Enables interrupts and halts until the next one; returns with interrupts enabled.
    fn halt(&self);

    /// Sends an interrupt that only ends a halt.
    fn wake(&self, cpu: CpuId);

    /// Returns whether there are non-maskable interrupts whose handler serves the flush generation
    /// of its CPU.
    fn has_nmi(&self) -> bool {
        false
    }

    /// Sends such an interrupt, if the machine has them.
    fn send_nmi(&self, _cpu: CpuId) {}

    /// Returns how many interrupts and NMIs that no code asked for came so far, on all CPUs. A test
    /// that fails while one comes has shown nothing. Gaps are not the platform's to count.
    fn disturbances(&self) -> Disturbances {
        Disturbances::NONE
    }

    /// Returns how long a CPU that waits may take from one look at its clock to the next. If it
    /// takes longer, it did not run meanwhile.
    fn gap_bound(&self) -> Duration {
        GAP_BOUND
    }

    /// Returns how often this CPU has left the code of the test so far, for the handler of an
    /// interrupt or for other work of the kernel. That takes time, but none is lost.
    fn detours(&self) -> u64 {
        0
    }

    /// Expects no NMI any more that was sent to this CPU before.
    fn forget_sent_nmis(&self) {}

    /// Sends each of these CPUs an ordinary interrupt that only counts. It uses the code that
    /// signals CPUs without units, and its handler has the same entry. Returns whether all were
    /// sent.
    fn send_bare_ipi(&self, targets: &CpuSet) -> bool;

    /// Returns where a CPU counts those interrupts. Other writers are allowed only between two of
    /// them. Each CPU has its own cache line.
    fn bare_ipis(&self, cpu: CpuId) -> &AtomicU64;

    /// Returns whether a hypervisor plays the RAR units, and an instruction calls it.
    fn has_bare_exit(&self) -> bool {
        false
    }

    /// Executes that instruction: an exit to the hypervisor and back, with almost no work. Returns
    /// whether there is one.
    fn bare_exit(&self) -> bool {
        false
    }

    /// Interrupts this CPU and returns after the handler, which calls
    /// [`crate::Suite::on_interrupt`].
    fn interrupt_self(&self);

    /// Sets which messages this CPU ignores.
    fn set_deaf_to(&self, deaf_to: DeafTo);

    /// Takes this CPU offline in the domain. The CPU continues the test.
    fn go_offline(&self);

    /// Brings this CPU online in the domain again.
    fn come_online(&self);

    /// Reprograms this CPU's RAR unit and lets the driver use it again after a demotion
    /// ([`RarCpu::verify`](rar_percpu::RarCpu::verify)). Called on an online CPU; does nothing on a
    /// CPU without a unit.
    fn verify_unit(&self) {
        self.go_offline();
        self.come_online();
    }

    /// Has software answer for this CPU from now on, while it stays online
    /// ([`RarCpu::switch_to_software`](rar_percpu::RarCpu::switch_to_software)). Does nothing on a
    /// CPU without a unit.
    fn switch_to_software(&self);

    /// Returns this machine's user mode, if it has one.
    fn user_mode(&self) -> Option<&dyn UserMode> {
        None
    }

    /// Returns how this machine runs guests.
    ///
    /// # Errors
    ///
    /// The reason, if the machine runs no guests.
    fn guest(&self) -> Result<&dyn Guest, &'static str> {
        Err("the machine runs no guests")
    }

    /// Returns how this machine's CPUs crash.
    ///
    /// # Errors
    ///
    /// The reason, if none does.
    fn crash(&self) -> Result<&dyn Crash, &'static str>;

    /// Returns the machine's RAR units, if tests may use them instead of the driver.
    fn units(&self) -> Option<&dyn RarUnits> {
        None
    }

    /// Emits a record. Called on one CPU at a time.
    fn emit(&self, record: &Record<'_>);

    /// Ends the run, since a CPU no longer takes part.
    fn give_up(&self, why: fmt::Arguments<'_>) -> !;
}
