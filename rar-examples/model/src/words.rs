//! Actions and outcomes in words, for a reader who looks at a trace.

use core::fmt;

use crate::{Action, Globals, InvpcidScope, InvpgScope, InvvpidScope, Outcome, PageSize, Pages};

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.size {
            PageSize::Size4K => "4K",
            PageSize::Size2M => "2M",
            PageSize::Size1G => "1G",
        };
        let pages = if self.count == 1 { "page" } else { "pages" };
        write!(f, "{} {pages} of {size} at {:#x}", self.count, self.start)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invpg { cr3, scope } => {
                match cr3 {
                    Some(cr3) => write!(f, "INVPG if CR3 is {cr3:#x}: ")?,
                    None => f.write_str("INVPG: ")?,
                }
                match scope {
                    InvpgScope::Pages(pages) => pages.fmt(f),
                    InvpgScope::All(globals) => write!(f, "everything{}", suffix(*globals)),
                }
            }
            Self::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
                write!(f, "INVPCID: {pages} of PCID {pcid}")
            }
            Self::Invpcid(InvpcidScope::Context { pcid }) => {
                write!(f, "INVPCID: PCID {pcid}{}", suffix(Globals::Exclude))
            }
            Self::Invpcid(InvpcidScope::AllContexts(globals)) => {
                write!(f, "INVPCID: all PCIDs{}", suffix(*globals))
            }
            Self::Invept(Some(pointer)) => write!(f, "INVEPT: EPT pointer {pointer:#x}"),
            Self::Invept(None) => f.write_str("INVEPT: all EPT pointers"),
            Self::Invvpid(scope) => write_vpids(*scope, f),
            Self::Wrmsr { msr, value } => write!(f, "WRMSR: {value:#x} to register {msr:#x}"),
        }
    }
}

fn suffix(globals: Globals) -> &'static str {
    match globals {
        Globals::Include => ", globals included",
        Globals::Exclude => " except globals",
    }
}

fn write_vpids(scope: InvvpidScope, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match scope {
        InvvpidScope::Pages { vpid, pages } => write!(f, "INVVPID: {pages} of VPID {vpid}"),
        InvvpidScope::One(vpid) => write!(f, "INVVPID: VPID {vpid}"),
        InvvpidScope::All => f.write_str("INVVPID: all VPIDs except 0"),
        InvvpidScope::OneExceptGlobals(vpid) => {
            write!(f, "INVVPID: VPID {vpid}{}", suffix(Globals::Exclude))
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Performed => f.write_str("performed"),
            Self::Cr3Differs(_) => f.write_str("CR3 differs"),
            Self::Illegal(illegal) => illegal.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
            Self::InjectedFailure => f.write_str("a defect answers FAILURE"),
            Self::SuccessWithoutFlush => f.write_str("a defect answers SUCCESS without a flush"),
            Self::Unanswered => f.write_str("a defect leaves the entry"),
        }
    }
}
