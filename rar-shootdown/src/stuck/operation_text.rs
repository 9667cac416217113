//! An operation in words.

use rar_payload::{Globals, InvpcidScope, InvpgScope, Operation, PageChunk};

/// Shows what an operation flushes.
pub(super) struct InWords(pub(super) Operation);

impl core::fmt::Display for InWords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.0 {
            Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
                write_pages(f, pages)?;
                write!(f, " of PCID {}", pcid.get())
            }
            Operation::Invpcid(InvpcidScope::Context { pcid }) => {
                write!(f, "all of PCID {}", pcid.get())
            }
            Operation::Invpcid(InvpcidScope::AllContexts(globals)) => write_all(f, *globals),
            Operation::Invpg {
                cr3: None,
                scope: InvpgScope::Pages(pages),
            } => {
                write_pages(f, pages)?;
                f.write_str(" of any PCID")
            }
            Operation::Invpg {
                cr3: None,
                scope: InvpgScope::All(globals),
            } => write_all(f, *globals),
            other => write!(f, "{other:?}"),
        }
    }
}

fn write_pages(f: &mut core::fmt::Formatter<'_>, pages: &PageChunk) -> core::fmt::Result {
    let (count, size, start) = (pages.page_count(), pages.size(), pages.start());
    let plural = if count == 1 { "" } else { "s" };
    write!(f, "{count} page{plural} of {size} from {start:#x}")
}

fn write_all(f: &mut core::fmt::Formatter<'_>, globals: Globals) -> core::fmt::Result {
    f.write_str(match globals {
        Globals::Include => "everything",
        Globals::Exclude => "everything except globals",
    })
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn each_flush_of_everything_says_whether_globals_go_too() {
        let both = |globals| {
            let scope = InvpgScope::All(globals);
            [
                Operation::Invpcid(InvpcidScope::AllContexts(globals)),
                Operation::Invpg { cr3: None, scope },
            ]
        };
        for operation in both(Globals::Include) {
            assert_eq!(InWords(operation).to_string(), "everything");
        }
        for operation in both(Globals::Exclude) {
            let text = InWords(operation).to_string();
            assert_eq!(text, "everything except globals");
        }
    }
}
