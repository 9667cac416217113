//! Targets with interrupts disabled that want a lock, and more operations than slots: no flush
//! needs an interrupt.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{CpuSet, Domain, PinnedCpu};
use rar_shootdown::{AllOnline, Instant, Machine, Message, NotSent, Policy, TargetFn};

use crate::world::{
    Driver, Flusher, Kind, Takes, Unit, assert_slots, cpu_id, four, keep, policy, set, space,
    world, write_byte,
};

/// Other CPUs keep flights in the air; the only CPU that is wanted takes no interrupt, and its unit
/// works.
#[test]
fn finding_03_flights_that_are_kept_do_not_make_a_flush_depend_on_interrupts() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 3]);
    shootdown.domain().limit_entries(2);
    shootdown.machine().set_takes(2, Takes::Nothing);
    let held = [1, 2].map(|pcid| shootdown.start(&pinned(1), &[space(pcid)], &AllOnline, ()));
    shootdown
        .flush(&pinned(0), &[space(3)], &AllOnline)
        .unwrap();
    for pending in held {
        pending.wait(&pinned(1)).unwrap();
    }
    assert_eq!(shootdown.machine().sent(), [3, 0, 0, 0]);
    assert_eq!(shootdown.statistics().slotless, 0);
    assert_slots(shootdown, 0, "all is answered");
}

/// The units are slow, and every slot is taken by others: the flush waits for one as long as for an
/// answer.
#[test]
fn finding_03_a_slot_is_waited_for_as_long_as_an_answer() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 3]);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    domain.limit_entries(2);
    machine.set_takes(2, Takes::Nothing);
    machine.set_unit(2, Unit::Later);
    machine.set_unit(0, Unit::Later);
    let held = [1, 2].map(|pcid| shootdown.start(&pinned(1), &[space(pcid)], &AllOnline, ()));
    // Far beyond `slot_timeout`, within `answer_timeout`.
    machine.set_clock(move |look| {
        if look == 80 {
            for cpu in [0, 2] {
                machine.run_unit(domain, cpu_id(cpu), false);
                machine.set_unit(cpu, Unit::Answers);
            }
        }
        look
    });
    shootdown
        .flush(&pinned(0), &[space(3)], &AllOnline)
        .unwrap();
    for pending in held {
        pending.wait(&pinned(1)).unwrap();
    }
    assert!(machine.looks() > 80);
    assert_eq!(machine.sent(), [3, 0, 0, 0]);
    assert_eq!(shootdown.statistics().slotless, 0);
    assert_slots(shootdown, 0, "all is answered");
}

/// Has CPU 0 flush CPUs 1 and 2 after a wait for the only slot, in which something happens.
fn flush_after_a_wait(
    meanwhile: impl FnOnce(&'static Flusher, Vec<Driver>) + Send + 'static,
) -> &'static Flusher {
    let (shootdown, cpus) = world(policy(), &[Kind::Microcode; 3]);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    domain.limit_entries(1);
    machine.set_unit(0, Unit::Later);
    let only_0 = TargetFn(|_: &_| set(&[0]));
    let held = shootdown.start(&pinned(1), &[space(1)], &only_0, ());
    let mut meanwhile = Some((meanwhile, cpus));
    machine.set_clock(move |look| {
        if look == 5 {
            let (meanwhile, cpus) = meanwhile.take().unwrap();
            meanwhile(shootdown, cpus);
            machine.run_unit(domain, cpu_id(0), false);
        }
        look
    });
    shootdown
        .flush(&pinned(0), &[space(3)], &AllOnline)
        .unwrap();
    held.wait(&pinned(1)).unwrap();
    assert!(machine.looks() > 5, "never was a slot waited for");
    assert_eq!(shootdown.statistics().slotless, 0);
    shootdown
}

/// Its vector stays as it is until it comes back. An entry that is armed there would hold its slot
/// for as long: of each flush that waited for one.
#[test]
fn a_cpu_that_goes_offline_while_a_slot_is_waited_for_costs_no_slot() {
    let shootdown = flush_after_a_wait(|shootdown, mut cpus| {
        cpus.remove(2).take_offline(2, shootdown);
        core::mem::forget(cpus);
    });
    assert_slots(shootdown, 0, "CPU 2 is offline");
    assert_eq!(shootdown.machine().tlb.operations(1), 1);
    assert_eq!(shootdown.machine().sent(), [2, 0, 0, 0]);
}

/// One flush has found out that a unit is silent; those that wait for slots need not find out
/// again, at the cost of a slot each.
#[test]
fn a_cpu_that_is_demoted_while_a_slot_is_waited_for_costs_no_slot() {
    let shootdown = flush_after_a_wait(|shootdown, cpus| {
        shootdown.machine().set_unit(2, Unit::Deaf);
        assert!(shootdown.domain().demote(cpu_id(2)));
        core::mem::forget(cpus);
    });
    assert_slots(shootdown, 0, "CPU 2 is flushed by generation");
    let tlb = &shootdown.machine().tlb;
    assert_eq!((tlb.operations(1), tlb.full_flushes(2)), (1, 1));
    assert_eq!(shootdown.machine().sent(), [2, 0, 1, 0]);
    assert_eq!(shootdown.statistics().by_generation, 1);
}

/// No slot comes back, and the target takes no interrupt: the last resort is the NMI.
#[test]
fn finding_03_without_any_slot_the_nmi_reaches_a_target_with_interrupts_disabled() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 3]);
    shootdown.domain().limit_entries(0);
    shootdown.machine().set_takes(2, Takes::Nmis);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_eq!(shootdown.machine().sent(), [0, 0, 1, 1]);
    assert_eq!(shootdown.statistics().errors, 0);
    assert_eq!(shootdown.machine().tlb.full_flushes(2), 1);
}

const INITIATORS: u32 = 16;
const TARGETS: u32 = 4;

/// Hardware in threads: signals and NMIs are latched, and a thread plays all units.
struct Hardware {
    tlb: FakeTlb<24>,
    signalled: AtomicU64,
    nmis: AtomicU64,
    interrupts: AtomicU64,
    /// How often a CPU looked at the clock: no time passes while the host runs something else.
    looks: AtomicU64,
}

impl Machine<1> for Hardware {
    type Tlb = FakeTlb<24>;

    fn tlb(&self) -> &FakeTlb<24> {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        let latch = match message {
            Message::Interrupt => &self.interrupts,
            Message::Nmi => &self.nmis,
            _ => &self.signalled,
        };
        latch.fetch_or(targets.words()[0], Ordering::AcqRel);
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.looks.fetch_add(1, Ordering::Relaxed))
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

/// Each initiator holds a lock while it flushes that a target spins for with interrupts disabled;
/// the target serves nothing but its NMIs, and its unit answers. The table has fewer entries than
/// the initiators want.
#[test]
fn finding_03_sixteen_initiators_with_locks_held_exhaust_the_slots_and_all_flushes_end_well() {
    type Crowd = rar_shootdown::Shootdown<Hardware, 1>;
    let mut policy = Policy::new();
    // In looks: only a hang takes 2^30, and a flush that waits long for slots makes do with fewer.
    policy.answer_timeout = Duration::from_nanos(1 << 30);
    policy.fallback_timeout = Duration::from_nanos(1 << 30);
    policy.slot_timeout = Duration::from_nanos(1 << 10);
    policy.resignal_after = None;
    let shootdown: &'static Crowd = keep(Crowd::new(
        Hardware {
            tlb: FakeTlb::new(),
            signalled: AtomicU64::new(0),
            nmis: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            looks: AtomicU64::new(0),
        },
        policy,
    ));
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    for number in 0..INITIATORS + TARGETS {
        std::mem::forget(enabled_unit(domain, number, &machine.tlb));
    }
    domain.limit_entries(16);
    let targets: Vec<_> = (INITIATORS..INITIATORS + TARGETS).collect();
    let locks = [const { AtomicBool::new(false) }; INITIATORS as usize];
    let (done, exhausted) = (AtomicU64::new(0), AtomicBool::new(false));
    let is_over = || done.load(Ordering::Acquire) == u64::from(INITIATORS);
    std::thread::scope(|scope| {
        for number in 0..INITIATORS {
            let (lock, targets) = (&locks[number as usize], &targets);
            let (done, exhausted) = (&done, &exhausted);
            scope.spawn(move || {
                let cpu = pinned(number);
                let target = TargetFn(|_: &_| set(targets));
                for _ in 0..20 {
                    while lock.swap(true, Ordering::AcqRel) {
                        std::thread::yield_now();
                    }
                    let pending = shootdown.start(&cpu, &four(), &target, ());
                    if domain.free_and_quarantined_slots().0 == 0 {
                        exhausted.store(true, Ordering::Release);
                    }
                    pending.wait(&cpu).map_err(|late| late.error).unwrap();
                    lock.store(false, Ordering::Release);
                }
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
        for number in INITIATORS..INITIATORS + TARGETS {
            let locks = &locks;
            scope.spawn(move || {
                // Interrupts are disabled: all it does is spin for one lock after the other.
                for lock in locks.iter().cycle() {
                    while lock.swap(true, Ordering::AcqRel) {
                        if machine.nmis.fetch_and(!(1 << number), Ordering::AcqRel) & 1 << number
                            != 0
                        {
                            shootdown.serve(&pinned(number));
                        }
                        if is_over() {
                            return;
                        }
                        std::thread::yield_now();
                    }
                    lock.store(false, Ordering::Release);
                    if is_over() {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| {
            while !is_over() {
                let mut signalled = machine.signalled.swap(0, Ordering::AcqRel);
                // Now and then the units are slow, so that the slots run out.
                std::thread::sleep(Duration::from_micros(200));
                while signalled != 0 {
                    answer(domain, signalled.trailing_zeros());
                    signalled &= signalled - 1;
                }
            }
        });
    });
    let statistics = shootdown.statistics();
    assert_eq!(
        (
            statistics.errors,
            statistics.slotless,
            statistics.fallbacks,
            statistics.nmis,
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(machine.interrupts.load(Ordering::Acquire), 0);
    assert!(
        exhausted.load(Ordering::Acquire),
        "the test is no test: slots were left"
    );
    assert!(
        statistics.collapsed > 0,
        "no flush had to do with fewer slots"
    );
    domain.reclaim_slots();
    assert_eq!(domain.free_and_quarantined_slots(), (16, 0));
}

/// What a unit does once it is signalled.
fn answer(domain: &Domain<1>, number: u32) {
    let Some(state) = domain.cpu(cpu_id(number)) else {
        return;
    };
    for slot in rar_percpu::SlotIndex::all() {
        if state.vector().load(slot).0 == 1 {
            rar_payload::Operation::decode(&domain.table().load(slot)).unwrap();
            write_byte(state, slot, 0);
        }
    }
}

fn enabled_unit(
    domain: &'static Domain<1>,
    number: u32,
    tlb: &FakeTlb<24>,
) -> rar_percpu::RarCpu<'static, &'static rar_regs::FakeCpu, rar_percpu::Enabled, 1> {
    let cpu = pinned(number);
    let memory = keep(rar_percpu::PerCpu::new());
    domain
        .register(cpu.id(), rar_percpu::ApicId::new(number), memory)
        .unwrap();
    let registers = keep(rar_regs::FakeCpu::with_rar(63));
    let support = rar_regs::Detection::new().detect(registers).unwrap();
    let configured = rar_percpu::RarCpu::detect(domain, &cpu, support, registers)
        .and_then(|detected| detected.configure(&cpu, &rar_percpu::fake::FakeAddresses))
        .unwrap();
    // SAFETY: a host; nothing follows the addresses.
    unsafe { configured.bring_online(&cpu, rar_regs::InterruptPolicy::IgnoreIf, tlb) }.unwrap()
}
