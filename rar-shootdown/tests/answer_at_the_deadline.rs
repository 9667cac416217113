//! A CPU that flushes while the initiator reads the clock for the last time before its deadline: a
//! look behind that reading sees it.
#![cfg(not(rar_loom))]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{Pcid, Request};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, PinnedCpu, SoftwareCpu};
use rar_shootdown::{AllOnline, FlushError, Instant, Machine, Message, NotSent, Policy, Shootdown};

/// CPU 1 answers no message. It serves during one reading of the clock, if it does.
struct ServesAtOneReading {
    tlb: FakeTlb<2>,
    readings: AtomicU64,
    serves_at: AtomicU64,
    /// How many readings there were when an interrupt was sent last.
    interrupted_at: AtomicU64,
}

static SHOOTDOWN: OnceLock<Shootdown<ServesAtOneReading, 1>> = OnceLock::new();

const NEVER: u64 = u64::MAX;

impl Machine<1> for ServesAtOneReading {
    type Tlb = FakeTlb<2>;

    fn tlb(&self) -> &FakeTlb<2> {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        _: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        if message == Message::Interrupt {
            let readings = self.readings.load(Ordering::Relaxed);
            self.interrupted_at.store(readings, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Each reading is a second after the one before.
    fn now(&self) -> Instant {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        if reading == self.serves_at.load(Ordering::Relaxed) {
            SHOOTDOWN.get().map(|shootdown| shootdown.serve(&pinned(1)));
        }
        Instant::from_nanos((reading + 1) * 1_000_000_000)
    }
}

#[test]
fn a_flush_whose_target_has_served_at_the_last_moment_is_no_error() {
    let shootdown = SHOOTDOWN.get_or_init(|| {
        let machine = ServesAtOneReading {
            tlb: FakeTlb::new(),
            readings: AtomicU64::new(0),
            serves_at: AtomicU64::new(NEVER),
            interrupted_at: AtomicU64::new(0),
        };
        Shootdown::new(machine, Policy::new())
    });
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    for number in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(number), ApicId::new(number), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(domain, &pinned(number), &machine.tlb).unwrap();
    }
    let request = Request::AddressSpace { pcid: Pcid::ZERO };
    let flush = |serves_at| {
        machine.readings.store(0, Ordering::Relaxed);
        machine.serves_at.store(serves_at, Ordering::Relaxed);
        let flushes = machine.tlb.full_flushes(CpuId::new(1));
        let ended = shootdown.flush(&pinned(0), &[request], &AllOnline);
        let served = machine.tlb.full_flushes(CpuId::new(1)) - flushes;
        (ended, served, machine.readings.load(Ordering::Relaxed))
    };

    // An entry that is answered at the last moment needs no full flush.
    assert!(flush(NEVER).0.is_err());
    let last = machine.interrupted_at.load(Ordering::Relaxed) - 1;
    for (serves_at, fallbacks) in [(last, 0), (last + 1, 1)] {
        let before = shootdown.statistics().fallbacks;
        assert_eq!(flush(serves_at).0, Ok(()));
        assert_eq!(shootdown.statistics().fallbacks, before + fallbacks);
    }

    // Without slots the flush goes by generation.
    domain.limit_entries(0);
    let (ended, served, readings) = flush(NEVER);
    assert!(matches!(ended, Err(FlushError::NoAnswer { .. })) && served == 0);
    let errors = shootdown.statistics().errors;
    assert_eq!(flush(readings - 1), (Ok(()), 1, readings));
    assert_eq!(shootdown.statistics().errors, errors);
    // Later is too late.
    assert!(flush(readings).0.is_err());
}
