//! Which instructions carry out which operation: the decision, apart from the instructions.

use rar_payload::{Globals, InvpcidScope, InvpgScope, LinearAddressWidth, Operation, PageChunk};

use crate::local_tlb::Unsupported;

/// The part of CR3 that names the PCID, while PCIDs are on.
pub(crate) const CR3_PCID: u64 = 0xfff;
/// CR4: global pages.
pub(crate) const CR4_PGE: u64 = 1 << 7;
/// CR4: addresses of 57 bits.
pub(crate) const CR4_LA57: u64 = 1 << 12;
/// CR4: PCIDs.
pub(crate) const CR4_PCIDE: u64 = 1 << 17;

/// The types of `INVPCID` (SDM vol. 2, "INVPCID", documented).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum InvpcidType {
    Address = 0,
    Context = 1,
    AllWithGlobals = 2,
    AllWithoutGlobals = 3,
}

/// The instructions of one CPU that flush, and the registers that they depend on.
pub(crate) trait Instructions {
    /// Whether the CPU has `INVPCID`.
    fn has_invpcid(&self) -> bool;
    /// Whether `INVLPG` drops global translations while PCIDs are on, too.
    fn invlpg_drops_globals(&self) -> bool;
    fn cr3(&self) -> u64;
    fn cr4(&self) -> u64;
    /// Writes back what CR3 holds: bit 63, which would keep the PCID's entries, is clear.
    fn reload_cr3(&self);
    /// Writes back what CR4 holds, except `CR4.PGE`.
    fn set_global_pages(&self, are_on: bool);
    fn invlpg(&self, address: u64);
    /// The PCID is below 4,096, and zero while PCIDs are off; an address is canonical.
    fn invpcid(&self, kind: InvpcidType, pcid: u64, address: u64);
}

/// Carries an operation out, or more.
#[inline]
pub(crate) fn flush(
    instructions: &impl Instructions,
    operation: &Operation,
) -> Result<(), Unsupported> {
    let this = Plan(instructions);
    match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
            this.pages(pages, u64::from(pcid.get()));
        }
        Operation::Invpcid(InvpcidScope::Context { pcid }) => this.context(u64::from(pcid.get())),
        Operation::Invpcid(InvpcidScope::AllContexts(globals)) => this.all(globals),
        // The comparison of CR3 is skipped: a flush too many.
        Operation::Invpg {
            scope: InvpgScope::Pages(pages),
            ..
        } if !this.pcids_on() || instructions.invlpg_drops_globals() => {
            addresses(pages).for_each(|address| instructions.invlpg(address));
        }
        Operation::Invpg {
            scope: InvpgScope::Pages(_),
            ..
        } => this.everything(),
        Operation::Invpg {
            scope: InvpgScope::All(globals),
            ..
        } => this.all(globals),
        _ => return Err(Unsupported),
    }
    Ok(())
}

/// Drops every translation of every PCID, global ones included.
#[inline]
pub(crate) fn flush_everything(instructions: &impl Instructions) {
    Plan(instructions).everything();
}

struct Plan<'i, I>(&'i I);

impl<I: Instructions> Plan<'_, I> {
    fn pages(&self, pages: PageChunk, pcid: u64) {
        let pcids = self.pcids_on();
        if pcids && !self.is_canonical(pages) {
            // INVPCID would fault. A translation there cannot exist without 57-bit addresses, but a
            // flush never does less.
            self.everything();
        } else if pcids && self.0.has_invpcid() {
            addresses(pages)
                .for_each(|address| self.0.invpcid(InvpcidType::Address, pcid, address));
        } else if pcids && pcid != self.current_pcid() {
            self.everything();
        } else {
            addresses(pages).for_each(|address| self.0.invlpg(address));
        }
    }

    fn context(&self, pcid: u64) {
        match self.pcids_on() {
            true if self.0.has_invpcid() => self.0.invpcid(InvpcidType::Context, pcid, 0),
            true if pcid != self.current_pcid() => self.everything(),
            _ => self.0.reload_cr3(),
        }
    }

    fn all(&self, globals: Globals) {
        match globals {
            Globals::Exclude if !self.pcids_on() => self.0.reload_cr3(),
            Globals::Exclude if self.0.has_invpcid() => {
                self.0.invpcid(InvpcidType::AllWithoutGlobals, 0, 0);
            }
            _ => self.everything(),
        }
    }

    fn everything(&self) {
        if self.0.has_invpcid() {
            self.0.invpcid(InvpcidType::AllWithGlobals, 0, 0);
        } else {
            // Either change drops every entry of every PCID with globals.
            let are_on = self.0.cr4() & CR4_PGE != 0;
            self.0.set_global_pages(!are_on);
            self.0.set_global_pages(are_on);
        }
    }

    fn pcids_on(&self) -> bool {
        self.0.cr4() & CR4_PCIDE != 0
    }

    fn current_pcid(&self) -> u64 {
        self.0.cr3() & CR3_PCID
    }

    /// Whether the addresses are canonical for the paging mode that is on.
    fn is_canonical(&self, pages: PageChunk) -> bool {
        let width = if self.0.cr4() & CR4_LA57 != 0 {
            LinearAddressWidth::Bits57
        } else {
            LinearAddressWidth::Bits48
        };
        width.is_canonical(pages.start()) && width.is_canonical(pages.last())
    }
}

fn addresses(pages: PageChunk) -> impl Iterator<Item = u64> {
    (0..u64::from(pages.page_count())).map(move |page| pages.start() + page * pages.size().bytes())
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests;
