//! How many cache lines a flush moves, by what they hold: the driver and other designs on the same
//! machine.
//!
//! Each CPU is a coroutine, and the meter sees every access to shared memory: of initiators and
//! interrupt handlers by `rar_percpu::observed`, of RAR units at their bus. A design warms up
//! first, then its flushes are counted. The same point always gives the same figures.
//!
//! | design | what owns an entry | what a target does |
//! |---|---|---|
//! | [`Driver`](Design::Driver) | a state for each slot, each on its line | its RAR unit answers |
//! | [`Bitmap`](Design::Bitmap) | one bitmap of free slots | the same |
//! | [`Locks`](Design::Locks) | a lock for each slot, each on its line | the same |
//! | [`Calls`](Design::Calls) | none: queued calls, one for each pair | an interrupt handler |
//! | [`Floor`](Design::Floor) | none: each initiator has its own slot | its RAR unit answers |

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

/// The designs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// `rar_shootdown::Shootdown::flush`, without skipping lazy CPUs.
    Driver,
    /// The same with skipping of lazy CPUs, while no CPU is lazy.
    Sparing,
    /// The published design with one bitmap of free slots.
    Bitmap,
    /// The published design with a lock for each slot.
    Locks,
    /// Function calls in a queue for each target, with an ordinary interrupt.
    Calls,
    /// The minimum that the protocol demands.
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

/// How many CPUs flush at once, and how many others each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The CPUs that flush.
    pub initiators: u32,
    /// The CPUs that each of them flushes, without itself.
    pub targets: u32,
    /// The distance between the numbers of two initiators: 1, or 64 so that all have the same home
    /// slot.
    pub apart: u32,
    /// Whether caches fetch lines in pairs.
    pub in_pairs: bool,
}

impl Point {
    /// Returns `initiators` initiators, numbered from 0, each with `targets` targets.
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

    /// Returns the number of CPUs: the minimum needed.
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

    /// Returns the targets of an initiator: the CPUs after it, in a ring. If there are no further
    /// CPUs than one initiator and its targets, all initiators flush all others.
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

    /// How many flushes of each initiator are counted: more where initiators compete, to average
    /// out chance.
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
    /// Returns all cases: each design at each point of the grid, and the points outside of it.
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

/// The result of a point.
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
