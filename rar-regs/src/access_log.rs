//! What a fake CPU remembers of the accesses it saw.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::MsrOperation;

/// How many accesses a log holds.
const RECORDS: usize = 256;

/// One access that a [`FakeCpu`](crate::FakeCpu) saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MsrRecord {
    /// The address of the register.
    pub msr: u32,
    /// The instruction.
    pub access: MsrOperation,
    /// What was read or written; 0 for a read that faulted.
    pub value: u64,
    /// Whether the access faulted.
    pub faulted: bool,
}

/// The first accesses, in order. One thread at a time may push; any may look.
pub(crate) struct AccessLog {
    records: [Record; RECORDS],
    /// All accesses, those that found no room too.
    pushed: AtomicUsize,
}

/// A record in atomics: the register's address in bits 31:0 of `key`, [`WRITE`] and [`FAULT`] above
/// them.
struct Record {
    key: AtomicU64,
    value: AtomicU64,
}

const WRITE: u64 = 1 << 32;
const FAULT: u64 = 1 << 33;

impl AccessLog {
    pub(crate) const fn new() -> Self {
        Self {
            records: [const {
                Record {
                    key: AtomicU64::new(0),
                    value: AtomicU64::new(0),
                }
            }; RECORDS],
            pushed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn push(&self, access: MsrRecord) {
        let index = self.pushed.load(Ordering::Relaxed);
        if let Some(record) = self.records.get(index) {
            record.set(access);
        }
        // Pairs with the Acquire load in `iter`: a reader that sees the count sees the record.
        self.pushed
            .store(index.saturating_add(1), Ordering::Release);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = MsrRecord> {
        let pushed = self.pushed.load(Ordering::Acquire);
        self.records.iter().take(pushed).map(Record::get)
    }

    pub(crate) fn lost(&self) -> usize {
        self.pushed.load(Ordering::Relaxed).saturating_sub(RECORDS)
    }

    pub(crate) fn clear(&self) {
        self.pushed.store(0, Ordering::Release);
    }
}

impl Record {
    fn set(&self, access: MsrRecord) {
        let operation = match access.access {
            MsrOperation::Read => 0,
            MsrOperation::Write => WRITE,
        };
        let fault = if access.faulted { FAULT } else { 0 };
        self.key
            .store(u64::from(access.msr) | operation | fault, Ordering::Relaxed);
        self.value.store(access.value, Ordering::Relaxed);
    }

    fn get(&self) -> MsrRecord {
        let key = self.key.load(Ordering::Relaxed);
        let [a, b, c, d, ..] = key.to_le_bytes();
        MsrRecord {
            msr: u32::from_le_bytes([a, b, c, d]),
            access: if key & WRITE == 0 {
                MsrOperation::Read
            } else {
                MsrOperation::Write
            },
            value: self.value.load(Ordering::Relaxed),
            faulted: key & FAULT != 0,
        }
    }
}
