//! How many cache lines a flush moves, by what they hold: the driver beside other designs, on the same machine.
//!
//! Each CPU is a coroutine, and the meter sees every access to what CPUs share: those of the initiators by
//! `rar_percpu::observed`, those of the RAR units at the units' bus, those of interrupt handlers as those of initiators. A
//! design warms up first; the flushes that are counted come after. The same point gives the same figures.
//!
//! | design | what owns an entry | what a target does |
//! |---|---|---|
//! | [`Driver`](Design::Driver) | a state for each slot, each on its line | its RAR unit answers |
//! | [`Bitmap`](Design::Bitmap) | one bitmap of free slots | the same |
//! | [`Locks`](Design::Locks) | a lock for each slot, each on its line | the same |
//! | [`Calls`](Design::Calls) | none: a call for each pair of CPUs, a queue for each target | an interrupt handler takes its queue |
//! | [`Floor`](Design::Floor) | nobody: each initiator has a slot for ever | its RAR unit answers |

mod calls;
mod gate;
mod ground;
mod run;
mod slots;

#[cfg(test)]
mod tests;

pub use run::measure;

use std::fmt;

use crate::meter::{ByKind, Kind};

/// Who flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// `rar_shootdown::Shootdown::flush`, no CPU being skipped for being lazy.
    Driver,
    /// The same where CPUs in lazy TLB mode are skipped, and none is in it.
    Sparing,
    /// The published design with one bitmap of free slots.
    Bitmap,
    /// The published design with a lock for each slot.
    Locks,
    /// Function calls in a queue for each target, with an ordinary interrupt.
    Calls,
    /// What the protocol demands, and no more.
    Floor,
}

impl Design {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Driver,
        Self::Sparing,
        Self::Bitmap,
        Self::Locks,
        Self::Calls,
        Self::Floor,
    ];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "flush",
            Self::Sparing => "flush, lazy CPUs skipped",
            Self::Bitmap => "bitmap of slots",
            Self::Locks => "lock per slot",
            Self::Calls => "IPI calls",
            Self::Floor => "floor",
        }
    }
}

/// How many CPUs flush how many others at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The CPUs that flush.
    pub initiators: u32,
    /// The CPUs that each of them flushes, itself not counted.
    pub targets: u32,
    /// By how much the numbers of two initiators differ: 1, or 64 so that all have the same home slot.
    pub apart: u32,
    /// Whether caches fetch lines in pairs.
    pub in_pairs: bool,
}

impl Point {
    /// Returns so many initiators, numbered from 0, each with so many targets.
    #[must_use]
    pub const fn new(initiators: u32, targets: u32) -> Self {
        Self {
            initiators,
            targets,
            apart: 1,
            in_pairs: false,
        }
    }

    /// Every number of initiators with every number of targets.
    #[must_use]
    pub fn grid() -> Vec<Self> {
        let initiators = [1, 4, 64];
        let targets = [1, 8, 63, 255, 1023];
        let points = initiators
            .into_iter()
            .flat_map(|initiators| targets.map(|targets| Self::new(initiators, targets)));
        points.collect()
    }

    /// Returns how many CPUs there are: no more than are needed.
    #[must_use]
    pub const fn cpus(&self) -> u32 {
        let last = (self.initiators - 1) * self.apart;
        let most = if last > self.targets {
            last
        } else {
            self.targets
        };
        most + 1
    }

    /// Returns the targets of an initiator: the CPUs behind it, in a ring. Where there are no more CPUs than an initiator and its
    /// targets, all initiators flush the same CPUs, but for themselves.
    pub fn targets_of(&self, initiator: u32) -> impl Iterator<Item = u32> + use<> {
        let cpus = self.cpus();
        (1..=self.targets).map(move |distance| (initiator + distance) % cpus)
    }

    /// Whether each initiator can have a slot of its own, found by its number.
    const fn has_slots_for_all(&self) -> bool {
        self.apart == 1 && self.initiators <= 64
    }

    /// Whether the point is not of the grid.
    #[must_use]
    pub fn is_special(&self) -> bool {
        !Self::grid().contains(self)
    }

    /// Whether a CPU is an initiator.
    const fn is_initiator(&self, cpu: u32) -> bool {
        cpu.is_multiple_of(self.apart) && cpu / self.apart < self.initiators
    }

    /// Whether the initiators are threads of one process: they flush the same CPUs.
    const fn is_one_space(&self) -> bool {
        self.cpus() == self.targets + 1
    }

    /// How many flushes of each initiator are counted: where initiators meet, chance has to even out.
    fn flushes(self) -> u32 {
        if self.initiators == 1 {
            return 4;
        }
        (32_768 / (self.initiators * self.targets)).clamp(3, 128)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.initiators, self.targets)?;
        if self.apart > 1 {
            f.write_str(", one home")?;
        }
        if self.in_pairs {
            f.write_str(", pairs")?;
        }
        Ok(())
    }
}

/// Initiators that have to wait for slots.
const MORE_THAN_SLOTS: u32 = 128;

/// A design at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The design.
    pub design: Design,
    /// The point.
    pub point: Point,
}

impl Case {
    /// Returns all cases: each design at each point of the grid, and what some points want to know besides.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut points = Point::grid();
        let two = Point::new(2, 255);
        points.extend([two, Point { apart: 64, ..two }]);
        points.push(Point {
            in_pairs: true,
            ..Point::new(64, 63)
        });
        points.push(Point::new(MORE_THAN_SLOTS, 127));
        let cases = points
            .into_iter()
            .flat_map(|point| Design::ALL.map(|design| Self { design, point }));
        cases
            .filter(|case| case.design != Design::Floor || case.point.has_slots_for_all())
            .collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lines, {}, {}", self.design.name(), self.point)
    }
}

/// What a point gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Flushes of all initiators together.
    pub flushes: u32,
    /// Transfers of all these flushes.
    pub transfers: ByKind,
}

impl Figures {
    /// Returns the transfers for each flush.
    #[must_use]
    pub fn per_flush(&self) -> f64 {
        self.share(self.transfers.total())
    }

    /// Returns the transfers of one kind for each flush.
    #[must_use]
    pub fn of(&self, kind: Kind) -> f64 {
        self.share(self.transfers.of(kind))
    }

    fn share(&self, count: u64) -> f64 {
        u32::try_from(count).map_or(f64::INFINITY, f64::from) / f64::from(self.flushes)
    }
}
