//! The operations of one request.

use crate::{Chunks, InvpcidScope, Operation, PageRange, Pcid};
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
    Pages { pcid: Pcid, chunks: Chunks },
}

impl Operations {
    pub(crate) const fn single(operation: Operation) -> Self {
        Self(Source::Single(Some(operation)))
    }

    pub(crate) const fn pages(pcid: Pcid, range: PageRange) -> Self {
        Self(Source::Pages {
            pcid,
            chunks: range.chunks(),
        })
    }
}

impl Iterator for Operations {
    type Item = Operation;

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
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::Single(operation) => {
                let left = usize::from(operation.is_some());
                (left, Some(left))
            }
            Source::Pages { chunks, .. } => chunks.size_hint(),
        }
    }
}

impl ExactSizeIterator for Operations {
    fn len(&self) -> usize {
        self.size_hint().0
    }
}

impl FusedIterator for Operations {}
