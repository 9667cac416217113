//! This driver, on the simulated machine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rar_model::Translation;
use rar_percpu::fake::pinned;
use rar_regs::RarSupport;
use rar_shootdown::{AllOnline, GlobalFlush, LazySkip, Machine as _, Policy, Shootdown};

use super::ground::{After, CPUS, IDLE, SPACE, TLB, translations};
use super::workload::{LastCpu, Workload};
use crate::machine::{Machine, MachineConfig, Unwatched, lock};
use crate::schedule::End;

/// A run that is longer has hung.
const MOST_STEPS: u64 = 1_000_000;

/// The order in which CPUs run. It changes nothing about what is lost.
const SEED: u64 = 1;

/// One run.
struct Stage<'s> {
    workload: &'s Workload,
    machine: &'s Machine<'s, TLB>,
    shootdown: &'s Shootdown<&'s Machine<'s, TLB>>,
    support: Option<RarSupport>,
    /// How many CPUs have reached each point.
    came: [AtomicU32; 3],
}

pub(super) fn run(workload: &Workload, global_pages: GlobalFlush) -> Result<After, String> {
    let machine: Machine<'_, TLB> = Machine::new(&Unwatched, MachineConfig::new(CPUS));
    let mut policy = Policy::new();
    policy.global_pages = global_pages;
    if workload.last_cpu == LastCpu::MayBeSkipped {
        policy.lazy = LazySkip::LOWER_HALF;
    }
    let shootdown = Shootdown::new(&machine, policy);
    machine
        .register_cpus(shootdown.domain())
        .map_err(|error| error.to_string())?;
    let stage = Stage {
        workload,
        machine: &machine,
        shootdown: &shootdown,
        support: machine.detect().map_err(|error| error.to_string())?,
        came: Default::default(),
    };
    let left = Mutex::new(vec![Ok(Vec::new()); CPUS as usize]);
    let body = |cpu: u32| {
        let ended = stage.play(cpu);
        if let Some(place) = lock(&left).get_mut(cpu as usize) {
            *place = ended;
        }
    };
    let end = machine.run(SEED, &body, &mut |steps| steps < MOST_STEPS);
    if matches!(end, End::Stopped(_)) {
        return Err(format!(
            "{}: no end after {MOST_STEPS} steps",
            workload.name
        ));
    }
    let contents = left
        .into_inner()
        .unwrap_or_default()
        .into_iter()
        .collect::<Result<_, _>>()?;
    let disturbed = match workload.last_cpu {
        LastCpu::Runs => 0,
        _ => machine.cpu(IDLE).executed(),
    };
    Ok(After {
        contents,
        disturbed,
    })
}

impl Stage<'_> {
    /// Runs one CPU. Returns what it caches at the end.
    fn play(&self, cpu: u32) -> Result<Vec<Translation>, String> {
        let (machine, me) = (self.machine, pinned(cpu));
        let domain = self.shootdown.domain();
        let member = machine
            .join(cpu, self.support)
            .map_err(|error| error.to_string())?;
        self.meet(0);
        machine.cpu(cpu).with_tlb(|tlb| {
            tlb.load_cr3(u64::from(SPACE));
            for translation in translations() {
                tlb.fill(translation);
            }
        });
        let is_idle = cpu == IDLE && self.workload.last_cpu != LastCpu::Runs;
        if is_idle {
            #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_lazy")]
            // SAFETY: 1. The CPU accesses no memory until it has left the mode.
            unsafe {
                domain.enter_lazy(&me);
            }
        }
        self.meet(1);
        if cpu == 0 {
            self.shootdown
                .flush(&me, &self.workload.requests()?, &AllOnline)
                .map_err(|error| error.to_string())?;
        }
        self.meet(2);
        if is_idle {
            let _left = domain.leave_lazy(&me, machine);
        }
        let left = machine.cpu(cpu).with_tlb(|tlb| tlb.iter().collect());
        machine
            .leave(cpu, member)
            .map_err(|error| error.to_string())?;
        Ok(left)
    }

    /// Waits until all CPUs have reached a point.
    fn meet(&self, point: usize) {
        let Some(came) = self.came.get(point) else {
            return;
        };
        came.fetch_add(1, Ordering::AcqRel);
        while came.load(Ordering::Acquire) < CPUS {
            self.machine.relax();
        }
    }
}
