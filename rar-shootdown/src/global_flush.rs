//! How ranges that are mapped global are flushed.

use rar_payload::{InvpgScope, Operation, Request};

use crate::policy::Policy;

/// How [`Request::GlobalPages`] is flushed: by everything with globals, or page by page.
///
/// INVPCID of one address space spares global translations, so that a range of the kernel costs
/// every CPU its whole TLB. INVPG imitates INVLPG, which drops them by address; no public source
/// says that it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GlobalFlush {
    /// By everything of every address space, global translations included.
    #[default]
    Everything,
    /// By INVPG of the pages, if the entries for all requests fit [`Policy::max_operations`]; else
    /// by everything.
    ByAddress(InvpgDropsGlobals),
}

/// A promise by a kernel that has tried it on the machine: INVPG drops global translations by
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InvpgDropsGlobals(());

impl InvpgDropsGlobals {
    /// Returns the promise.
    ///
    /// # Safety
    ///
    /// Memory is freed on the word of flushes that rely on it:
    ///
    /// 1. On every CPU whose microcode answers, an INVPG entry of some pages, without comparison of
    ///    CR3, drops their global translations, whatever PCID is current, or is answered by FAILURE
    ///    (facts: unknown; expected, as INVLPG does). The boot image asks a machine by its test
    ///    `unit-invpg`.
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of flushes that rely on it"
    )]
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

/// Operations that reach nothing but what the requests name.
pub(crate) struct ByAddress {
    operations: [Operation; Policy::MAX_OPERATIONS],
    length: usize,
}

impl ByAddress {
    /// Returns the operations for the requests, global ranges among them, or `None` if they do not
    /// fit the policy.
    pub(crate) fn new(policy: &Policy, requests: &[Request]) -> Option<Self> {
        if !policy.has_by_address(requests) {
            return None;
        }
        let first = requests.first()?.widened();
        let mut list = Self {
            operations: [first; Policy::MAX_OPERATIONS],
            length: 0,
        };
        for request in requests {
            if let Request::GlobalPages { range } = request {
                for pages in range.chunks() {
                    let scope = InvpgScope::Pages(pages);
                    list.push(Operation::Invpg { cr3: None, scope })?;
                }
            } else {
                for operation in request.operations() {
                    list.push(operation)?;
                }
            }
        }
        (list.length <= policy.max_operations).then_some(list)
    }

    pub(crate) fn as_slice(&self) -> &[Operation] {
        self.operations.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, operation: Operation) -> Option<()> {
        *self.operations.get_mut(self.length)? = operation;
        self.length += 1;
        Some(())
    }
}

impl Policy {
    /// Returns whether one of the requests is for global pages that go by address.
    #[inline]
    pub(crate) fn has_by_address(&self, requests: &[Request]) -> bool {
        let is_global = |request: &Request| matches!(request, Request::GlobalPages { .. });
        self.global_pages != GlobalFlush::Everything && requests.iter().any(is_global)
    }
}
