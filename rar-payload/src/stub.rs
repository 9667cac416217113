#![allow(missing_docs)]
use crate::{Globals, InvpcidScope, Operation, Request};
#[derive(Clone, Copy, Debug)]
pub struct OperationList {
    operations: [Operation; 4],
    length: usize,
}
impl OperationList {
    pub fn as_slice(&self) -> &[Operation] {
        self.operations.get(..self.length).unwrap_or_default()
    }
}
pub struct Collapsed {
    pub operations: OperationList,
    pub exact: bool,
}
impl Request {
    pub fn collapse(requests: &[Self], limit: usize) -> Collapsed {
        let unused = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
        let mut list = OperationList {
            operations: [unused; 4],
            length: 0,
        };
        let total: usize = requests
            .iter()
            .map(|r| r.operations().len())
            .fold(0, usize::saturating_add);
        let exact = total <= limit.clamp(1, 4);
        if exact {
            for (place, op) in list
                .operations
                .iter_mut()
                .zip(requests.iter().flat_map(Self::operations))
            {
                *place = op;
                list.length += 1;
            }
        } else {
            list.operations[0] = Self::covering(requests);
            list.length = 1;
        }
        Collapsed {
            operations: list,
            exact,
        }
    }
}
