//! The machine boundary: what a test asks of the machine it runs on.

use core::fmt;
use core::sync::atomic::AtomicU64;

use rar_payload::Pcid;
use rar_percpu::{CpuId, CpuSet, PinnedCpu};
use rar_shootdown::{Instant, Machine, Shootdown};
use rar_vocabulary::Backend;

use crate::record::Record;
use crate::space::Space;
use crate::units::Units;
use crate::witness::Witness;

/// How many 4 KiB pages the test region of each space has.
pub const PAGES: u16 = 512;
/// How many 4 KiB frames the tests own.
pub const FRAMES: u16 = 2048;
/// How many 2 MiB frames the tests own.
pub const LARGE_FRAMES: u8 = 2;

/// A page under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// 4 KiB, number 0 to [`PAGES`] - 1 of a region that holds 4 KiB mappings only, contiguous in the address space.
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
    /// Where the page leads.
    pub frame: Frame,
    /// Whether it may be written.
    pub access: Access,
    /// Whether the entry is global.
    pub reach: Reach,
}

/// Whether a page may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads only; supervisor stores fault too (`CR0.WP` = 1).
    Read,
    /// Loads and stores.
    Write,
    /// Loads and stores by [`UserMode`], and by nobody else.
    User,
}

/// Whether an entry belongs to one space or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
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

/// Which messages of the driver this CPU pretends not to hear.
///
/// A deaf CPU acknowledges the interrupt and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Hears all of them.
    Both,
    /// Does not hear [`Signal`](rar_shootdown::Message::Signal) and `SecondSignal`; hears `Interrupt` and `Nmi`.
    FallbackOnly,
    /// Hears none, neither signals nor interrupts nor NMIs.
    None,
}

/// What the record of a unit says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No entry named it.
    No,
    /// An entry named it.
    Yes,
    /// The record no longer has all entries, and those that it has do not name the page: it proves neither.
    Forgotten,
}

/// What drivers did that no RAR unit need bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offences {
    /// How often.
    pub count: u64,
    /// One of them, in words.
    pub what: &'static str,
}

/// A CPU at the privilege of an application, which is what most targets of a shootdown are.
pub trait UserMode: Sync {
    /// Loads the first word of a page of [`Access::User`] on this CPU, in user mode and with interrupts enabled, again and again with no pause, no
    /// access to the APIC and no other instruction that waits. It ends when a load finds anything but `value`, at [`leave`](Self::leave), or after so
    /// many milliseconds. Returns what the last load found; a fault finds [`u64::MAX`].
    fn spin(&self, page: Page, value: u64, milliseconds: u64) -> u64;

    /// Returns how many loads the spin of a CPU has made; 0 while it makes none.
    fn rounds(&self, cpu: CpuId) -> u64;

    /// Ends the spin of a CPU.
    fn leave(&self, cpu: CpuId);
}

/// Guests on this machine's processors, in whose address space the kernel's own code runs.
pub trait Guest: Sync {
    /// Runs a guest with a tag of its own on this CPU, in which `until` is asked again and again; returns when it says yes, or `false` if the guest ended
    /// in another way. Translations that an earlier guest has used are gone. Interrupts leave the guest, are handled, and it goes on.
    fn run(&self, until: &dyn Fn() -> bool) -> bool;
}

/// A machine with several CPUs, page tables that can be changed without any flush, and a shootdown under test.
///
/// Every method acts on the CPU that calls it. No method but those whose text says so may flush or evict a translation of a
/// page under test, and none may take a lock that another CPU can hold while it waits in a test.
pub trait Lab: Sync {
    /// The machine of the shootdown under test.
    type Machine: Machine + Sync;

    /// Returns the shootdown under test. Its policy lets lazy CPUs go without flushes of the pages under test and of their
    /// spaces ([`Policy::lazy`](rar_shootdown::Policy::lazy)).
    fn shootdown(&self) -> &Shootdown<Self::Machine>;

    /// Returns what the machine of the shootdown has seen of the driver.
    fn witness(&self) -> &Witness;

    /// Returns how many entries of the payload table every CPU scans, by the word of the machine and not of the driver.
    fn entries(&self) -> usize;

    /// Returns the number of CPUs that take part; they are CPU 0 to this number minus one.
    fn cpus(&self) -> u32;

    /// Returns the name of what makes action bytes final: `hardware`, `vrar`, `model` or `software`.
    fn backend(&self) -> Backend;

    /// Returns the proof of being on this CPU.
    fn pin(&self) -> PinnedCpu<'_>;

    /// Returns the time.
    fn now(&self) -> Instant;

    /// Returns how many ticks of [`ticks`](Self::ticks) a millisecond has.
    fn ticks_per_millisecond(&self) -> u64;

    /// Returns how many seconds a CPU may take to come to a barrier.
    fn patience_seconds(&self) -> u64 {
        20
    }

    /// Returns whether an entry can be global (`CR4.PGE`); elsewhere [`Reach::Global`] means [`Reach::Space`].
    fn has_global_pages(&self) -> bool {
        true
    }

    /// Returns whether a CPU can interrupt itself: it needs a local APIC.
    fn has_interrupts(&self) -> bool {
        true
    }

    /// Returns the counter by which flushes are timed. Everything before the call is done, and nothing after it has begun.
    fn ticks(&self) -> u64;

    /// Lets a moment pass in a spin (`PAUSE`).
    fn relax(&self);

    /// Returns the address of a page under test.
    fn address(&self, page: Page) -> u64;

    /// Returns the PCID of a space ([`Pcid::ZERO`] where PCIDs are off).
    fn pcid(&self, space: Space) -> Pcid;

    /// Stores to a frame through an alias that is never under test. `word` counts 8-byte words from the frame's start.
    fn store_frame(&self, frame: Frame, word: u16, value: u64);

    /// Loads from a frame through an alias that is never under test.
    fn load_frame(&self, frame: Frame, word: u16) -> u64;

    /// Stores a page's entry: one aligned 8-byte store to the page table, no flush. `None` makes it not present.
    fn map(&self, space: Space, page: Page, mapping: Option<Mapping>);

    /// As [`Self::map`] for a small page, but stores to the spare page table of the space, which is not in use.
    fn map_in_spare(&self, space: Space, page: u16, mapping: Option<Mapping>);

    /// Makes the spare page table the one in use for the test region's small pages, and the other one the spare: one store to the page
    /// directory, no flush.
    fn swap_tables(&self, space: Space);

    /// Loads a word of a page under test: one instruction.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if the access faults.
    fn load(&self, page: Page, word: u16) -> Result<u64, PageFault>;

    /// Stores a word of a page under test: one instruction, and no fence.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if the access faults.
    fn store(&self, page: Page, word: u16, value: u64, kind: StoreKind) -> Result<(), PageFault>;

    /// Loads CR3: this CPU runs in the space from here on. Flushes what a CR3 load flushes.
    fn enter(&self, space: Space);

    /// Flushes this CPU's whole TLB, globals included.
    fn flush_own_tlb(&self);

    /// Flushes one page from this CPU's TLB by `INVLPG`.
    fn invlpg(&self, page: Page);

    /// Returns whether this CPU's unit was asked to flush a page since the last [`Self::flush_own_tlb`], on a machine where more
    /// leaves the TLB than that, so that a load cannot show what was left alone, and a record tells. `None` where a load shows it.
    fn asked_to_flush(&self, _page: Page) -> Option<Asked> {
        None
    }

    /// Returns whether the instruction by which a CPU flushes one page leaves the page beside it in the TLB. Processors may drop more than they are
    /// asked to, and then no load can show what a flush has spared. The machine executes the instruction itself to find out: by the driver's
    /// TLB, which is under test, a driver that flushes everything would look like such a processor.
    fn spares_neighbours(&self) -> bool {
        true
    }

    /// Returns what the drivers of all CPUs did so far that no RAR unit need bear, where somebody looks.
    fn offences(&self) -> Offences {
        Offences::default()
    }

    /// Disables interrupts.
    fn disable_interrupts(&self);

    /// Enables interrupts.
    fn enable_interrupts(&self);

    /// Enables interrupts and halts until the next one; returns with interrupts enabled.
    fn halt(&self);

    /// Sends an interrupt that does nothing but end a halt.
    fn wake(&self, cpu: CpuId);

    /// Returns whether there are non-maskable interrupts whose handler serves the flush generation of its CPU.
    fn has_nmi(&self) -> bool {
        false
    }

    /// Sends such an interrupt; nothing happens where there is none.
    fn send_nmi(&self, _cpu: CpuId) {}

    /// Sends an ordinary interrupt that asks for nothing to each of these CPUs: by the code that sends the signal to CPUs that answer in
    /// software, and to a handler behind the same entry, which counts it and does no more. Returns whether all were sent.
    fn send_bare_ipi(&self, targets: &CpuSet) -> bool;

    /// Returns where a CPU counts those interrupts; nobody else writes there but between two of them. Each CPU has a cache line of its own.
    fn bare_ipis(&self, cpu: CpuId) -> &AtomicU64;

    /// Returns whether software that has this machine's processors beneath it plays the RAR units, and an instruction calls it.
    fn has_bare_exit(&self) -> bool {
        false
    }

    /// Executes such an instruction: the way to that software and back, with next to nothing done there. Returns whether there is one.
    fn bare_exit(&self) -> bool {
        false
    }

    /// Interrupts this CPU itself; the handler calls [`crate::Suite::on_interrupt`], and this returns after it has.
    fn interrupt_self(&self);

    /// Sets what this CPU pretends not to hear.
    fn set_hearing(&self, hearing: Hearing);

    /// Takes this CPU offline in the domain. It goes on running the test.
    fn go_offline(&self);

    /// Brings this CPU online in the domain again.
    fn come_online(&self);

    /// Programs this CPU's RAR unit anew and arms the CPU again, after the driver has demoted it
    /// ([`RarCpu::verify`](rar_percpu::RarCpu::verify)). Called on a CPU that is online; one that answers in software has nothing to do.
    fn verify_unit(&self) {
        self.go_offline();
        self.come_online();
    }

    /// Returns this machine's user mode, if it has one.
    fn user_mode(&self) -> Option<&dyn UserMode> {
        None
    }

    /// Returns how this machine runs guests.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn guest(&self) -> Result<&dyn Guest, &'static str> {
        Err("the machine runs no guests")
    }

    /// Returns the machine's RAR units, if it has any that tests may use in place of the driver.
    fn units(&self) -> Option<&dyn Units> {
        None
    }

    /// Hands over a finished test's record. Called on one CPU at a time.
    fn emit(&self, record: &Record<'_>);

    /// Ends the machine, since a CPU no longer takes part.
    fn give_up(&self, why: fmt::Arguments<'_>) -> !;
}
