//! The operations of one request.

use crate::{Chunks, InvpcidScope, Operation, PageRange, Pcid};
#[cfg(feature = "unverified")]
use crate::{InvvpidScope, Vpid};
use core::iter::FusedIterator;

/// The operations that do what a [`Request`](crate::Request) means.
///
/// Its length is exact on 64-bit targets; elsewhere a length above `usize::MAX` is given as
/// `usize::MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Operations(Source);

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Source {
    Single(Option<Operation>),
    Pages {
        pcid: Pcid,
        chunks: Chunks,
    },
    #[cfg(feature = "unverified")]
    VpidPages {
        vpid: Vpid,
        chunks: Chunks,
    },
}

impl Operations {
    #[inline]
    pub(crate) const fn single(operation: Operation) -> Self {
        Self(Source::Single(Some(operation)))
    }

    #[inline]
    pub(crate) const fn pages(pcid: Pcid, range: PageRange) -> Self {
        Self(Source::Pages {
            pcid,
            chunks: range.chunks(),
        })
    }

    #[cfg(feature = "unverified")]
    pub(crate) const fn vpid_pages(vpid: Vpid, range: PageRange) -> Self {
        Self(Source::VpidPages {
            vpid,
            chunks: range.chunks(),
        })
    }
}

impl Iterator for Operations {
    type Item = Operation;

    #[inline]
    fn next(&mut self) -> Option<Operation> {
        match &mut self.0 {
            Source::Single(operation) => operation.take(),
            Source::Pages { pcid, chunks } => {
                let pages = chunks.next()?;
                Some(Operation::Invpcid(InvpcidScope::Pages {
                    pcid: *pcid,
                    pages,
                }))
            }
            #[cfg(feature = "unverified")]
            Source::VpidPages { vpid, chunks } => {
                let pages = chunks.next()?;
                Some(Operation::Invvpid(InvvpidScope::Pages {
                    vpid: *vpid,
                    pages,
                }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::Single(operation) => {
                let left = usize::from(operation.is_some());
                (left, Some(left))
            }
            Source::Pages { chunks, .. } => chunks.size_hint(),
            #[cfg(feature = "unverified")]
            Source::VpidPages { chunks, .. } => chunks.size_hint(),
        }
    }
}

impl ExactSizeIterator for Operations {
    fn len(&self) -> usize {
        self.size_hint().0
    }
}

impl FusedIterator for Operations {}
