//! What other CPUs leave for a CPU to find at its next stay in the host.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::apic::logical_address::LogicalAddress;
use crate::bits::low;

/// Set in `startup` beside the page number.
const STARTED: u32 = 1 << 8;

/// Messages of the bus that the shim stands in for.
#[derive(Debug)]
pub(crate) struct Mailbox {
    vectors: [AtomicU64; 4],
    init: AtomicBool,
    startup: AtomicU32,
    /// The CPU has been called, and has not looked yet.
    called: AtomicBool,
    /// Logical destination and, in the upper half, format of the guest's xAPIC: a sender finds two
    /// that belong together.
    logical: AtomicU64,
}

impl Mailbox {
    pub(crate) const fn new() -> Self {
        Self {
            vectors: [const { AtomicU64::new(0) }; 4],
            init: AtomicBool::new(false),
            startup: AtomicU32::new(0),
            called: AtomicBool::new(false),
            logical: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_logical(&self, address: LogicalAddress) {
        let both = u64::from(address.format) << 32 | u64::from(address.destination);
        self.logical.store(both, Ordering::Release);
    }

    pub(crate) fn logical(&self) -> LogicalAddress {
        let both = self.logical.load(Ordering::Acquire);
        LogicalAddress {
            destination: low(both),
            format: low(both >> 32),
        }
    }

    pub(crate) fn post_vector(&self, vector: u8) {
        if let Some(word) = self.vectors.get(usize::from(vector / 64)) {
            word.fetch_or(1 << (vector % 64), Ordering::AcqRel);
        }
    }

    /// A start-up message from before is forgotten; one that comes after it counts, also if the CPU
    /// has not looked meanwhile.
    pub(crate) fn post_init(&self) {
        self.startup.store(0, Ordering::Release);
        self.init.store(true, Ordering::Release);
    }

    pub(crate) fn post_startup(&self, page: u8) {
        self.startup
            .store(STARTED | u32::from(page), Ordering::Release);
    }

    /// Returns whether the CPU must be called: no CPU has since it looked last.
    pub(crate) fn call(&self) -> bool {
        !self.called.swap(true, Ordering::AcqRel)
    }

    /// The CPU is about to look: a CPU that posts from now on calls it again.
    pub(crate) fn look(&self) {
        self.called.swap(false, Ordering::AcqRel);
    }

    pub(crate) fn take_vectors(&self) -> [u64; 4] {
        self.vectors.each_ref().map(|word| {
            if word.load(Ordering::Relaxed) == 0 {
                return 0;
            }
            word.swap(0, Ordering::AcqRel)
        })
    }

    pub(crate) fn take_init(&self) -> bool {
        self.init.load(Ordering::Relaxed) && self.init.swap(false, Ordering::AcqRel)
    }

    /// Returns the page of a start-up message, if one came.
    pub(crate) fn take_startup(&self) -> Option<u8> {
        let posted = self.startup.swap(0, Ordering::AcqRel);
        let [page, ..] = posted.to_le_bytes();
        (posted != 0).then_some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_kind_merge_and_one_call_is_enough() {
        let mailbox = Mailbox::new();
        mailbox.post_vector(0x45);
        mailbox.post_vector(0x45);
        mailbox.post_startup(8);
        mailbox.post_startup(9);
        assert!(mailbox.call() && !mailbox.call());
        mailbox.look();
        assert!(mailbox.call());
        assert_eq!(mailbox.take_vectors(), [0, 1 << 5, 0, 0]);
        assert_eq!(mailbox.take_vectors(), [0; 4]);
        assert_eq!(mailbox.take_startup(), Some(9));
        assert_eq!(mailbox.take_startup(), None);
        assert!(!mailbox.take_init());
    }

    #[test]
    fn a_logical_address_is_never_a_mix_of_two() {
        let mailbox = Mailbox::new();
        let address = |number| LogicalAddress {
            destination: number,
            format: !number,
        };
        mailbox.set_logical(address(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..200_000 {
                    mailbox.set_logical(address(number));
                }
            });
            loop {
                let seen = mailbox.logical();
                assert_eq!(seen, address(seen.destination));
                if seen.destination == 199_999 {
                    break;
                }
            }
        });
    }

    #[test]
    fn a_start_up_counts_if_it_comes_after_init() {
        let mailbox = Mailbox::new();
        mailbox.post_startup(8);
        mailbox.post_init();
        assert!(mailbox.take_init());
        assert_eq!(mailbox.take_startup(), None);
        mailbox.post_init();
        mailbox.post_startup(8);
        assert!(mailbox.take_init());
        assert_eq!(mailbox.take_startup(), Some(8));
    }
}
