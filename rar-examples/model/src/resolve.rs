//! From a decoded action to a request to the TLB, with the open questions answered by the knobs.

use crate::{
    Action, Contexts, Cr3Mismatch, Globals, Invalidation, InvpcidScope, InvpgScope, Knobs, Outcome,
    Refused, Structures, Tlb, msr,
};

/// Executes `action` and returns the outcome.
pub(crate) fn execute(action: Action, knobs: &Knobs, tlb: &mut impl Tlb) -> Outcome {
    let done = match action {
        Action::Invpg { cr3: Some(cr3), .. } if (cr3 ^ tlb.cr3()) & knobs.cr3_mask != 0 => {
            return Outcome::Cr3Differs(knobs.cr3_mismatch);
        }
        Action::Invpg { scope, .. } => flush(invpg(scope, knobs), knobs, tlb),
        Action::Invpcid(scope) => flush(invpcid(scope, knobs), knobs, tlb),
        Action::Invept(eptp) => flush(Invalidation::Ept(eptp), knobs, tlb),
        Action::Invvpid(scope) => flush(Invalidation::Vpid(scope), knobs, tlb),
        Action::Wrmsr { msr, .. } if is_own(msr) => Err(Refused::MsrWrite { msr }),
        Action::Wrmsr { msr, value } => tlb.write_msr(msr, value),
    };
    done.map_or_else(Outcome::Refused, |()| Outcome::Performed)
}

fn flush(invalidation: Invalidation, knobs: &Knobs, tlb: &mut impl Tlb) -> Result<(), Refused> {
    let performed = knobs.faults.distort(invalidation, tlb.vpid());
    tlb.invalidate_leaving(performed, knobs.faults.leftovers())?;
    if !knobs.faults.stores_not_drained {
        tlb.drain_stores();
    }
    Ok(())
}

fn is_own(msr: u32) -> bool {
    msr == msr::CORE_CAPABILITIES || (msr::CONTROL..=msr::INFO).contains(&msr)
}

fn invpg(scope: InvpgScope, knobs: &Knobs) -> Invalidation {
    let contexts = knobs.invpg_contexts;
    match scope {
        InvpgScope::Pages(pages) => Invalidation::Pages {
            pages,
            reach: knobs.reach,
            contexts,
            globals: knobs.invpg_globals,
            structures: Structures::OfContexts,
        },
        InvpgScope::All(globals) => Invalidation::everything(contexts, globals),
    }
}

fn invpcid(scope: InvpcidScope, knobs: &Knobs) -> Invalidation {
    match scope {
        InvpcidScope::Pages { pcid, pages } => Invalidation::Pages {
            pages,
            reach: knobs.reach,
            contexts: Contexts::Pcid(pcid),
            globals: Globals::Exclude,
            structures: Structures::OfAddresses,
        },
        InvpcidScope::Context { pcid } => {
            Invalidation::everything(Contexts::Pcid(pcid), Globals::Exclude)
        }
        InvpcidScope::AllContexts(globals) => Invalidation::everything(Contexts::All, globals),
    }
}

impl Outcome {
    /// Returns the byte that ends the entry; `None` if the unit leaves it PENDING.
    #[must_use]
    pub const fn status(&self) -> Option<u8> {
        match self {
            Self::Performed
            | Self::SuccessWithoutFlush
            | Self::Cr3Differs(Cr3Mismatch::Success) => Some(crate::SUCCESS),
            Self::Cr3Differs(Cr3Mismatch::Failure)
            | Self::Illegal(_)
            | Self::Refused(_)
            | Self::InjectedFailure => Some(crate::FAILURE),
            Self::Unanswered => None,
        }
    }
}
