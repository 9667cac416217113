//! The checksum of parts and of the whole.

use crc::{CRC_32_ISO_HDLC, Crc};

/// CRC-32 as zlib, PNG and Ethernet have it.
pub(crate) const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
