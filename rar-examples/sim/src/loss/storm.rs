//! A storm of flushes: many entries for one space are pending on a CPU that answers late.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use comfy_table::{CellAlignment, Table, presets};
use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{AtomicCpuSet, CpuId};
use rar_regs::RarSupport;
use rar_shootdown::{Machine as _, Shootdown};

use super::ground::{SPACE, TLB, USER, translations};
use crate::machine::{Answering, Machine, MachineConfig, Unwatched, Vector, lock};
use crate::platform::STEPS;
use crate::schedule::End;

/// How many pages each flush names; no two name the same.
pub const PAGES: u64 = 10;

const TARGET: u32 = 0;
const MOST_STEPS: u64 = 10_000_000;

/// The cost of a storm for its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storm {
    /// Pages that were flushed one by one.
    pub pages: u64,
    /// Flushes of a whole space or more.
    pub whole: u64,
    /// Translations that are gone although no flush names them.
    pub needless: u64,
}

/// Lets `initiators` CPUs start a flush on a CPU that is held up, then lets that answer.
///
/// # Errors
///
/// The reason, if the machine cannot be brought up, or a flush fails.
pub fn measure(backend: Answering, initiators: u32) -> Result<Storm, String> {
    let config = MachineConfig {
        backend,
        ..MachineConfig::new(initiators + 1)
    };
    let machine: Machine<'_, TLB> = Machine::new(&Unwatched, config);
    let shootdown = Shootdown::new(&machine, STEPS);
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let domain = shootdown.domain();
    machine
        .register_cpus(domain)
        .map_err(|error| text(&error))?;
    let target = AtomicCpuSet::new();
    target
        .insert(CpuId::new(TARGET))
        .map_err(|error| text(&error))?;
    let stage = Stage {
        machine: &machine,
        shootdown: &shootdown,
        support: machine.detect().map_err(|error| text(&error))?,
        target: &target,
        came: Default::default(),
    };
    let result = Mutex::new(Ok(Storm::default()));
    let body = |cpu: u32| {
        let ended = stage.play(cpu);
        if ended.is_err() || cpu == TARGET {
            *lock(&result) = ended;
        }
    };
    match machine.run(1, &body, &mut |steps| steps < MOST_STEPS) {
        End::Complete(_) => result.into_inner().map_err(|error| text(&error))?,
        End::Stopped(steps) => Err(format!("no end after {steps} steps")),
    }
}

struct Stage<'s> {
    machine: &'s Machine<'s, TLB>,
    shootdown: &'s Shootdown<&'s Machine<'s, TLB>>,
    support: Option<RarSupport>,
    target: &'s AtomicCpuSet,
    /// How many CPUs have reached each point.
    came: [AtomicU32; 3],
}

impl Stage<'_> {
    fn play(&self, cpu: u32) -> Result<Storm, String> {
        let machine = self.machine;
        let member = machine
            .join(cpu, self.support)
            .map_err(|error| error.to_string())?;
        let storm = match cpu {
            TARGET => Ok(self.answer()),
            _ => self.flush(cpu).map(|()| Storm::default()),
        };
        machine
            .leave(cpu, member)
            .map_err(|error| error.to_string())?;
        storm
    }

    /// Starts a flush, and ends it when the target continues.
    fn flush(&self, cpu: u32) -> Result<(), String> {
        self.meet(0);
        let me = pinned(cpu);
        let pcid = Pcid::new(SPACE).map_err(|error| error.to_string())?;
        let start = USER + ((u64::from(cpu - 1) * PAGES) << 12);
        let range = PageRange::new(start, PAGES, PageSize::Size4K);
        let range = range.map_err(|error| error.to_string())?;
        let request = Request::Pages { pcid, range };
        let pending = self.shootdown.start(&me, &[request], self.target, ());
        self.meet(1);
        let ended = pending.wait(&me).map_err(|late| late.error.to_string());
        self.meet(2);
        ended
    }

    /// Waits until all flushes have been started, then answers them.
    fn answer(&self) -> Storm {
        let (machine, target) = (self.machine, self.machine.cpu(TARGET));
        let witness = machine.witness();
        let id = CpuId::new(TARGET);
        target.with_tlb(|tlb| {
            for translation in translations() {
                tlb.fill(translation);
            }
        });
        let held = || target.with_tlb(|tlb| tlb.iter().count()) as u64;
        let cached = held();
        let is_unit = machine.backend() == Answering::Units;
        if is_unit {
            machine.set_deaf_to(TARGET, &[Vector::Signal]);
        }
        target.set_interrupts(false);
        self.meet(0);
        self.meet(1);
        let count = || (witness.flushes_of(id), witness.whole_flushes_of(id));
        let before = (count(), target.executed());
        machine.set_deaf_to(TARGET, &[]);
        target.set_interrupts(true);
        self.meet(2);
        let (flushes, whole) = count();
        let by_software = flushes - before.0.0;
        let (whole, executed) = (whole - before.0.1, target.executed() - before.1);
        Storm {
            pages: PAGES * (by_software - whole + executed),
            whole,
            needless: cached - held() - PAGES * u64::from(machine.cpus() - 1),
        }
    }

    /// Waits until all CPUs have reached a point.
    fn meet(&self, point: usize) {
        let Some(came) = self.came.get(point) else {
            return;
        };
        came.fetch_add(1, Ordering::AcqRel);
        while came.load(Ordering::Acquire) < self.machine.cpus() {
            self.machine.relax();
        }
    }
}

/// Returns the table of storms of some sizes, in software and by units.
///
/// # Errors
///
/// As [`measure`].
pub fn table() -> Result<String, String> {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "entries pending",
        "software: pages",
        "whole flushes",
        "entries lost",
        "unit: pages",
        "whole flushes",
        "entries lost",
    ]);
    for initiators in [1, 4, 5, 16, 63] {
        let mut row = vec![initiators.to_string()];
        for backend in [Answering::Software, Answering::Units] {
            let storm = measure(backend, initiators)?;
            row.extend([storm.pages, storm.whole, storm.needless].map(|count| count.to_string()));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(format!(
        "What one CPU does for entries of {PAGES} pages each of one space, all pending at \
         once\n\n{table}\n"
    ))
}
