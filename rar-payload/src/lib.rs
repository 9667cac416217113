#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

mod chunks;
mod collapse;
mod cost_model;
mod cr3;
mod decode;
mod decode_error;
mod encode;
mod gather;
mod globals;
mod layout;
mod linear_address_width;
#[cfg(feature = "unverified")]
#[expect(
    unsafe_code,
    reason = "the caller that builds an MSR write promises that it is harmless"
)]
mod msr_write;
mod operation;
mod operation_list;
mod operations;
mod page_chunk;
mod page_range;
mod page_run;
mod page_size;
mod payload;
mod pcid;
mod range_error;
mod request;
mod scope;
#[cfg(feature = "unverified")]
mod virtualization;

pub use chunks::Chunks;
pub use collapse::Collapsed;
pub use cost_model::CostModel;
pub use cr3::{Cr3, Cr3Error};
pub use decode_error::DecodeError;
pub use gather::Gather;
pub use globals::Globals;
pub use layout::Field;
pub use linear_address_width::LinearAddressWidth;
#[cfg(feature = "unverified")]
pub use msr_write::MsrWrite;
pub use operation::{InvpcidScope, InvpgScope, Operation};
pub use operation_list::OperationList;
pub use operations::Operations;
pub use page_chunk::{ChunkError, PageChunk};
pub use page_range::PageRange;
pub use page_size::PageSize;
pub use payload::Payload;
pub use pcid::{Pcid, PcidError};
pub use range_error::RangeError;
pub use request::{Request, TableOwner};
#[cfg(feature = "unverified")]
pub use virtualization::{Eptp, EptpError, InveptScope, InvvpidScope, Vpid, VpidError};
