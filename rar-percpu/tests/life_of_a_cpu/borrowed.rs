//! What a kernel supplies, behind a reference: the same promises, and the same answers.

use rar_percpu::{LocalTlb, NotQuiet, PhysicalAddressOf, Unsupported};

use super::*;

/// A TLB that drops translations of guests, too, and looks at the domain while it flushes.
struct Looks<'d> {
    domain: &'d Domain<1>,
    tlb: FakeTlb<2>,
    seen: std::cell::RefCell<Vec<Result<(), NotQuiet>>>,
}

// SAFETY: 1. to 4. hold since there is no translation to keep.
unsafe impl LocalTlb for Looks<'_> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.tlb.flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.seen.borrow_mut().push(self.domain.check_quiet());
        self.tlb.flush_everything(cpu);
    }

    fn drops_guest_translations(&self) -> bool {
        true
    }
}

#[test]
fn a_tlb_drops_translations_of_guests_only_if_it_says_so() {
    let domain = Domain::new();
    let (plain, looks) = (FakeTlb::<2>::new(), looks(&domain));
    let drops: fn(&dyn LocalTlb) -> bool = |tlb| tlb.drops_guest_translations();
    assert_eq!([drops(&plain), drops(&&plain)], [false; 2]);
    assert_eq!([drops(&looks), drops(&&looks)], [true; 2]);
}

#[test]
fn a_borrowed_tlb_flushes() {
    // It has no room for CPU 2.
    let (tlb, cpu) = (FakeTlb::<2>::new(), pinned(1));
    let borrowed: &dyn LocalTlb = &&tlb;
    borrowed.flush_everything(&cpu);
    assert_eq!(tlb.full_flushes(cpu.id()), 1);
    assert_eq!(borrowed.flush(&cpu, &EVERYTHING), Ok(()));
    assert_eq!(tlb.last_operation(cpu.id()), Some(EVERYTHING));
    assert_eq!(borrowed.flush(&pinned(2), &EVERYTHING), Err(Unsupported));
}

#[test]
fn a_borrowed_kernel_gives_the_same_physical_addresses() {
    let place = [0_u8; 64];
    let address = place.as_ptr().cast::<()>();
    let owned = FakeAddresses.physical_address_of(address, 64);
    assert!(owned.is_some_and(|address| address > 0));
    let borrowed: &dyn PhysicalAddressOf = &&FakeAddresses;
    assert_eq!(borrowed.physical_address_of(address, 64), owned);
}

#[test]
fn a_domain_is_not_quiet_while_a_cpu_is_on_its_way_down() {
    let domain = Domain::new();
    let _memory = registered::<1>(&domain);
    let (cpu, tlb) = (pinned(0), looks(&domain));
    let online = SoftwareCpu::bring_online(&domain, &cpu, &&tlb).unwrap();
    tlb.seen.take();
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
    // Out of the set already, and not done.
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(tlb.seen.take(), [Err(NotQuiet::Online { cpu: cpu.id() })]);
    assert_eq!(domain.check_quiet(), Ok(()));
}

fn looks(domain: &Domain<1>) -> Looks<'_> {
    Looks {
        domain,
        tlb: FakeTlb::new(),
        seen: std::cell::RefCell::default(),
    }
}
