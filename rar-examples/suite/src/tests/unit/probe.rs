//! An entry of any words, and how the units treat it.

use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::ActionState;

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, old_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, SERVING};
use crate::unit_record::Asked;

/// Publishes the final byte of an entry to all CPUs.
const BYTE: usize = 2;

/// The fields of an entry, legal or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) kind: u8,
    pub(crate) subtype: u8,
    pub(crate) size: u8,
    pub(crate) count: u8,
    /// Further bits of quadword 0.
    pub(crate) control: u64,
    /// Quadword 1.
    pub(crate) zero: u64,
    /// Quadword 2.
    pub(crate) operand: u64,
    /// Quadword 3.
    pub(crate) address: u64,
    /// Quadwords 4 to 7.
    pub(crate) software: u64,
}

/// How the units treated an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The byte of all targets at the end; `None` if they differ.
    pub(crate) byte: Option<u8>,
    /// How many of the pages under test were flushed on all targets.
    pub(crate) flushed: u64,
}

impl Fields {
    /// The quadwords, by the bit positions of the layout.
    pub(crate) fn words(self) -> [u64; 8] {
        let field = |value: u8, bit: u32| u64::from(value) << bit;
        let control = self.control
            | field(self.kind, 8)
            | field(self.subtype, 32)
            | field(self.size, 35)
            | field(self.count, 37);
        let [a, b, c, d] = [self.software; 4];
        [control, self.zero, self.operand, self.address, a, b, c, d]
    }
}

impl Tried {
    pub(crate) fn is(self, state: ActionState) -> bool {
        self.byte == Some(state as u8)
    }
}

/// One letter: S for SUCCESS and F for FAILURE where the flush matches the answer, s for SUCCESS
/// without a flush, f for FAILURE with one, P for an entry that stays PENDING, ? for anything else.
impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (success, failure) = (self.is(ActionState::Success), self.is(ActionState::Failure));
        f.write_str(match (success, failure, self.flushed) {
            (true, _, 0) => "s",
            (true, ..) => "S",
            (_, true, 0) => "F",
            (_, true, _) => "f",
            _ if self.is(ActionState::Pending) => "P",
            _ => "?",
        })
    }
}

/// Shows that `pages` pages from `first` on are stale, has all other CPUs execute an entry, and
/// checks the pages again. All CPUs call it; only the initiator's result counts.
pub(crate) fn attempt<L: Platform>(
    bench: &Bench<'_, '_, L>,
    first: u16,
    pages: u16,
    fields: Fields,
) -> Tried {
    let t = bench.t;
    t.empty_tlbs();
    map_and_touch(t, first, pages, Scope::Space);
    remap_and_control(t, first, pages, Scope::Space);
    t.step(Participants::All, || bench.program(SERVING));
    t.step(Participants::Initiator, || {
        bench.order_words(FIRST, fields.words(), bench.others());
        bench.signal(bench.others());
        bench.wait_for_answer(|| bench.others().all(|cpu| bench.is_final(cpu, FIRST)));
        let mut bytes = bench.others().map(|cpu| bench.byte(cpu, FIRST));
        let byte = bytes
            .next()
            .filter(|first| bytes.all(|byte| byte == *first));
        t.word(BYTE)
            .store(byte.map_or(u64::MAX, u64::from), Release);
    });
    t.step(Participants::Others, || {
        let gone = |page: &u16| is_gone(bench, *page);
        let gone = (first..first + pages).filter(gone).count();
        t.published(t.me).store(gone as u64, Release);
    });
    let flushed = bench.others().map(|cpu| t.published(cpu).load(Acquire));
    let byte = u8::try_from(t.word(BYTE).load(Acquire)).ok();
    let tried = Tried {
        byte,
        flushed: flushed.min().unwrap_or(0),
    };
    t.barrier();
    if !tried.is(ActionState::Success) && !tried.is(ActionState::Failure) {
        forget(bench);
    }
    tried
}

/// Whether this CPU no longer uses what it had cached of a page.
fn is_gone<L: Platform>(bench: &Bench<'_, '_, L>, page: u16) -> bool {
    let (platform, page, old) = (bench.t.platform, Page::Small(page), old_value(page));
    let asked = platform.asked_to_flush(page);
    asked.map_or_else(
        || platform.load(page, 0) != Ok(old),
        |asked| asked == Asked::Yes,
    )
}

/// Clears what is still PENDING, which the next signal would execute, as the driver does when a CPU
/// comes online.
fn forget<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    bench.write(crate::units::Register::Control, 0);
    t.platform.come_online();
    t.barrier();
    t.platform.go_offline();
    t.barrier();
}
