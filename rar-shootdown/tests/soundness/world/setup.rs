//! CPUs that are brought online in a world, and what they flush.

use super::*;

/// What drives a CPU of a running world.
pub(crate) enum Driver {
    Unit(RarCpu<'static, &'static FakeCpu, Enabled, 1>),
    Software(SoftwareCpu<'static, 1>),
}

impl Driver {
    pub(crate) fn unit(&self) -> &RarCpu<'static, &'static FakeCpu, Enabled, 1> {
        match self {
            Self::Unit(unit) => unit,
            Self::Software(_) => unreachable!("the CPU answers in software"),
        }
    }

    pub(crate) fn take_offline(self, cpu: u32, shootdown: &Flusher) {
        let tlb = &shootdown.machine().tlb;
        match self {
            // SAFETY: a host; the CPU uses no translation.
            Self::Unit(unit) => drop(unsafe { unit.take_offline(&pinned(cpu), tlb) }.unwrap()),
            // SAFETY: a host; the CPU uses no translation.
            Self::Software(cpus) => unsafe { cpus.take_offline(&pinned(cpu), tlb) }.unwrap(),
        }
    }
}

pub(crate) fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A policy whose times are a hundred looks at the clock.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = Duration::from_nanos(100);
    policy.fallback_timeout = Duration::from_nanos(100);
    policy.slot_timeout = Duration::from_nanos(10);
    policy.resignal_after = None;
    policy
}

/// Returns an orchestrator with these CPUs online, and what drives each.
pub(crate) fn world(policy: Policy, kinds: &[Kind]) -> (&'static Flusher, Vec<Driver>) {
    let shootdown = keep(Flusher::new(World::new(), policy));
    let drivers = (0..)
        .zip(kinds)
        .map(|(number, kind)| bring_online(shootdown, number, *kind, keep(PerCpu::new())))
        .collect();
    shootdown.machine().tlb.clear();
    (shootdown, drivers)
}

pub(crate) fn bring_online(
    shootdown: &'static Flusher,
    number: u32,
    kind: Kind,
    memory: &'static PerCpu,
) -> Driver {
    let (domain, tlb, cpu) = (shootdown.domain(), &shootdown.machine().tlb, pinned(number));
    domain
        .register(cpu.id(), ApicId::new(number), memory)
        .unwrap();
    match kind {
        Kind::Software => Driver::Software(SoftwareCpu::bring_online(domain, &cpu, tlb).unwrap()),
        Kind::Microcode => {
            let registers = keep(FakeCpu::with_rar(63));
            let support = Detection::new().detect(registers).unwrap();
            let configured = RarCpu::detect(domain, &cpu, support, registers)
                .and_then(|detected| detected.configure(&cpu, &FakeAddresses))
                .unwrap();
            // SAFETY: a host; nothing follows the addresses.
            let enabled =
                unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, tlb) }.unwrap();
            Driver::Unit(enabled)
        }
    }
}

/// Asserts that every slot is free but those in quarantine, for the reason given.
pub(crate) fn assert_slots(shootdown: &Flusher, quarantined: usize, why: &str) {
    let domain = shootdown.domain();
    assert_eq!(
        domain.free_and_quarantined_slots(),
        (domain.entries() - quarantined, quarantined),
        "free slots and those in quarantine ({why})"
    );
    for cpu in 0..CPUS {
        let cpu = cpu_id(u32::try_from(cpu).unwrap());
        assert!(!domain.holds_slots(cpu), "CPU {cpu} holds slots");
    }
}

pub(crate) fn cpu_id(number: u32) -> CpuId {
    CpuId::new(number)
}

pub(crate) fn set(cpus: &[u32]) -> CpuSet<1> {
    CpuSet::of(cpus.iter().copied().map(CpuId::new)).unwrap()
}

pub(crate) fn space(pcid: u16) -> Request {
    Request::AddressSpace {
        pcid: Pcid::new(pcid).unwrap(),
    }
}

pub(crate) fn pages(pcid: u16, start: u64, count: u64) -> Request {
    Request::Pages {
        pcid: Pcid::new(pcid).unwrap(),
        range: PageRange::new(start, count, PageSize::Size4K).unwrap(),
    }
}

/// Four requests that are four operations.
pub(crate) fn four() -> [Request; 4] {
    [space(1), space(2), space(3), space(4)]
}
