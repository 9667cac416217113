//! What a test flushes.

use core::sync::atomic::Ordering;

use rar_payload::{PageRange, PageSize, Request};
use rar_percpu::AtomicCpuSet;

use crate::failure::{Assertion, Place};
use crate::platform::{Page, Platform};
use crate::space::Space;
use crate::test_run::TestRun;

impl<L: Platform> TestRun<'_, L> {
    /// Pages of the first space, by number.
    pub(crate) fn pages(&self, first: u16, count: u16) -> Request {
        let pcid = self.platform.pcid(Space::First);
        match self.range(Page::Small(first), u64::from(count), PageSize::Size4K) {
            Some(range) => Request::Pages { pcid, range },
            None => self.whole_space(),
        }
    }

    /// Returns a range of pages for a request. Fails the test if the pages cannot be named.
    pub(crate) fn range(&self, first: Page, count: u64, size: PageSize) -> Option<PageRange> {
        let range = PageRange::new(self.platform.address(first), count, size).ok();
        if range.is_none() {
            self.fail(Assertion::Named, Place::At(first), count, 0);
        }
        range
    }

    pub(crate) fn whole_space(&self) -> Request {
        Request::AddressSpace {
            pcid: self.platform.pcid(Space::First),
        }
    }

    /// Flushes on the CPUs of the first space and asserts success.
    pub(crate) fn flush(&self, request: Request) {
        self.flush_on(request, &self.shared.first);
    }

    pub(crate) fn flush_on(&self, request: Request, targets: &AtomicCpuSet) {
        self.flush_all(&[request], targets);
    }

    /// Flushes several requests under one signal.
    pub(crate) fn flush_all(&self, requests: &[Request], targets: &AtomicCpuSet) {
        self.shared.flushes.fetch_add(1, Ordering::Relaxed);
        let cpu = self.platform.pin();
        if self
            .platform
            .shootdown()
            .flush(&cpu, requests, targets)
            .is_err()
        {
            self.fail(Assertion::FlushEnds, Place::Number(0), 0, 1);
        }
    }
}
