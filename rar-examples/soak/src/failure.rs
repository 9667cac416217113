//! The first thing that went wrong.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rar_suite::Space;

use crate::doing::Doing;
use crate::state::FAULT;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A load found what the page no longer shows.
    StaleLoad = 1,
    /// A store went through although the page must not be written.
    StaleStore,
    /// A store faulted although the page may be written.
    RefusedStore,
    /// A store reached a frame after it was freed.
    FrameChanged,
    /// A RAR unit has no record of the flush, although it returned.
    Unrecorded,
    /// A flush ended with an error, and no fault explains it.
    FlushFailed,
    /// A flush used other means than the signal, and no fault explains it.
    OtherMeans,
    /// A fault did not have the effect that the driver promises.
    Unaccounted,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::StaleLoad,
        Self::StaleStore,
        Self::RefusedStore,
        Self::FrameChanged,
        Self::Unrecorded,
        Self::FlushFailed,
        Self::OtherMeans,
        Self::Unaccounted,
    ];

    /// Whether it is the use of a stale translation.
    pub(crate) const fn is_stale(self) -> bool {
        matches!(
            self,
            Self::StaleLoad
                | Self::StaleStore
                | Self::RefusedStore
                | Self::FrameChanged
                | Self::Unrecorded
        )
    }
}

/// The first thing that went wrong in a soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) kind: Kind,
    /// The CPU that noticed it, or that is at fault.
    pub cpu: u32,
    /// The space.
    pub space: Space,
    /// The page, or the frame that changed.
    pub page: u16,
    pub(crate) expected: u64,
    pub(crate) found: u64,
    /// The last flush: its number from 1, and its kind.
    pub flush: u64,
    pub(crate) doing: Doing,
}

impl Failure {
    /// Returns whether a stale translation was used.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.kind.is_stale()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            cpu,
            space,
            page,
            expected,
            found,
            flush,
            doing,
        } = *self;
        let space = space.index();
        match kind {
            Kind::StaleLoad => write!(
                f,
                "stale load: CPU {cpu} read page {page} of space {space} (got {}, expected {})",
                Value(found),
                Value(expected)
            )?,
            Kind::StaleStore => write!(
                f,
                "stale store: CPU {cpu} wrote to page {page} of space {space} (got success, \
                 expected a fault)"
            )?,
            Kind::RefusedStore => write!(
                f,
                "stale protection: CPU {cpu} could not write to page {page} of space {space} \
                 (got a fault, expected success)"
            )?,
            Kind::FrameChanged => write!(
                f,
                "stale store: frame {page} changed after the flush that freed it (got {found:#x}, \
                 expected {expected:#x})"
            )?,
            Kind::Unrecorded => write!(
                f,
                "stale translation: CPU {cpu} may hold page {page} of space {space} (got no \
                 record of a flush by its unit, expected one)"
            )?,
            Kind::FlushFailed => write!(
                f,
                "flush of CPU {cpu}: an error without a fault that explains it ({found} CPUs late)"
            )?,
            Kind::OtherMeans => write!(
                f,
                "flush of CPU {cpu}: {doing} without a fault that explains it (got {found}, \
                 expected {expected})"
            )?,
            Kind::Unaccounted => write!(
                f,
                "fault {doing} on CPU {cpu}: without the effect that the driver promises (got \
                 {found}, expected {expected})"
            )?,
        }
        if kind.is_stale() {
            write!(f, " after a flush for {doing}")?;
        }
        write!(f, ", flush {flush}")
    }
}

struct Value(u64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FAULT => f.write_str("a fault"),
            value => write!(f, "{value:#x}"),
        }
    }
}

/// Room for the first failure; later ones are ignored.
#[derive(Debug)]
pub(crate) struct FirstFailure {
    taken: AtomicBool,
    set: AtomicBool,
    words: [AtomicU64; 7],
}

impl FirstFailure {
    pub(crate) const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            set: AtomicBool::new(false),
            words: [const { AtomicU64::new(0) }; 7],
        }
    }

    pub(crate) fn set(&self, failure: &Failure) {
        if self.taken.swap(true, Ordering::AcqRel) {
            return;
        }
        let space = failure.space.index() as u64;
        let values = [
            failure.kind as u64,
            u64::from(failure.cpu),
            space << 32 | u64::from(failure.page),
            failure.expected,
            failure.found,
            failure.flush,
            failure.doing.code(),
        ];
        for (word, value) in self.words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        self.set.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self) -> Option<Failure> {
        if !self.set.load(Ordering::Acquire) {
            return None;
        }
        let [kind, cpu, place, expected, found, flush, doing] = self
            .words
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        let kind = Kind::ALL.into_iter().find(|each| *each as u64 == kind)?;
        Some(Failure {
            kind,
            cpu: u32::try_from(cpu).ok()?,
            space: Space::nth(usize::try_from(place >> 32).ok()?)?,
            page: u16::try_from(place & 0xffff).ok()?,
            expected,
            found,
            flush,
            doing: Doing::of(doing)?,
        })
    }
}
