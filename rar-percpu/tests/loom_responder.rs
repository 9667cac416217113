//! One entry between its initiator and its responders: what each sees of the other (I4), and who owns it (I11).
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use rar_payload::{InvpcidScope, Operation, Pcid};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ActionState, ApicId, CpuId, Domain, LocalTlb, PayloadTable, PerCpu, PinnedCpu, SlotIndex,
    SoftwareCpu, Unsupported,
};

/// A domain of one CPU, and a TLB that remembers which PCIDs were flushed.
struct World {
    domain: Domain<'static, 1>,
    tlb: Tlb,
}

#[derive(Default)]
struct Tlb {
    flushed: [AtomicBool; 3],
}

// SAFETY: a flush here is the store of its flag.
unsafe impl LocalTlb for Tlb {
    fn flush(&self, _: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let Operation::Invpcid(InvpcidScope::Context { pcid }) = operation else {
            return Err(Unsupported);
        };
        self.flushed
            .get(usize::from(pcid.get()))
            .ok_or(Unsupported)?
            .store(true, Ordering::Relaxed);
        Ok(())
    }

    fn flush_everything(&self, _: &PinnedCpu<'_>) {}
}

impl World {
    fn new() -> Arc<Self> {
        let table: &'static PayloadTable = Box::leak(Box::default());
        let cpus: &'static [PerCpu] = Box::leak(Box::new([PerCpu::new()]));
        let world = Arc::new(Self {
            domain: Domain::new(table, cpus),
            tlb: Tlb::default(),
        });
        world
            .domain
            .register(CpuId::new(0), ApicId::new(0))
            .unwrap();
        // SAFETY: the domain lives as long as the world, and the value is forgotten at once.
        let domain: &'static Domain<'static, 1> = unsafe { &*core::ptr::from_ref(&world.domain) };
        core::mem::forget(SoftwareCpu::join(domain, &pinned(0), &world.tlb).unwrap());
        world
    }

    fn send(&self, pcid: u16) {
        let operation = Operation::Invpcid(InvpcidScope::Context {
            pcid: Pcid::new(pcid).unwrap(),
        });
        self.domain.table().store(slot(), &operation);
        self.domain.cpus()[0].vector().arm(slot());
    }

    fn serve(&self) -> rar_percpu::Served {
        self.domain.serve(&pinned(0), &self.tlb)
    }

    fn succeeded(&self) -> bool {
        self.domain.cpus()[0].vector().load(slot()).state() == Ok(ActionState::Success)
    }

    /// Looks a few times and lets the others run in between: loom does not try every order of loads by itself.
    fn succeeds_soon(&self) -> bool {
        (0..POLLS).any(|_| {
            thread::yield_now();
            self.succeeded()
        })
    }

    fn flushed(&self, pcid: usize) -> bool {
        self.tlb.flushed[pcid].load(Ordering::Relaxed)
    }
}

/// How often the initiator looks; loom needs a bound.
const POLLS: u32 = 2;

fn slot() -> SlotIndex {
    SlotIndex::new(0).unwrap()
}

/// Who finds a byte PENDING finds the payload that was written before it (I4).
#[test]
fn payload_visible_before_pending() {
    loom::model(|| {
        let world = World::new();
        let target = {
            let world = world.clone();
            thread::spawn(move || {
                let served = world.serve();
                assert_eq!(served.failed, 0, "the payload is visible before PENDING");
                if served.succeeded == 1 {
                    assert!(world.flushed(1), "the payload is visible before PENDING");
                }
            })
        };
        world.send(1);
        target.join().unwrap();
    });
}

/// Success means flushed: who sees the byte final sees what the flush did.
#[test]
fn the_flush_is_before_the_final_byte() {
    loom::model(|| {
        let world = World::new();
        world.send(1);
        let target = {
            let world = world.clone();
            thread::spawn(move || {
                let _served = world.serve();
            })
        };
        // A thread of its own, after the target's: loom tries first what it would not come to by reordering loads.
        let initiator = {
            let world = world.clone();
            thread::spawn(move || {
                if world.succeeded() {
                    assert!(world.flushed(1), "success means flushed");
                }
            })
        };
        target.join().unwrap();
        initiator.join().unwrap();
        assert!(world.succeeded() && world.flushed(1));
    });
}

/// A responder is interrupted and its handler responds too (I11): no entry is completed by one who does not own it.
#[test]
fn nested_responders() {
    loom::model(|| {
        let world = World::new();
        world.send(1);
        let outer = {
            let world = world.clone();
            thread::spawn(move || {
                let _served = world.serve();
            })
        };
        let nested = {
            let world = world.clone();
            thread::spawn(move || {
                let _served = world.serve();
            })
        };
        let second = world.succeeds_soon();
        if second {
            assert!(world.flushed(1), "a nested responder lost a flush");
            world.send(2);
        }
        outer.join().unwrap();
        nested.join().unwrap();
        if world.succeeded() {
            assert!(
                world.flushed(1 + usize::from(second)),
                "a nested responder lost a flush"
            );
        }
    });
}
