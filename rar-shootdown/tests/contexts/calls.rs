//! Each call that a kernel makes, on CPU 3 of four, and what must have come of it.

use std::sync::{Arc, Mutex};

use rar_percpu::fake::{in_nmi, pinned};
use rar_shootdown::{AllOnline, Pending};

use crate::bed::{Bed, Kernel, Online, assert_flushed, come_up, kernel, register, take_offline};
use crate::world::{Kind, Takes, Unit, cpu_id, space};

/// The CPU that calls.
pub(crate) const CALLER: u32 = 3;

/// The space that the calls flush, and the one that handlers flush.
const OF_CALLS: u16 = 7;
const OF_HANDLERS: u16 = 8;

pub(crate) type Flight = Pending<'static, Bed, Arc<()>, 1>;

/// What a kernel calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Flush,
    /// A flush whose first target does not answer the signal, so that it escalates.
    LateFlush,
    StartAndWait,
    Poll,
    Serve,
    ServeInNmi,
    Drop,
    Lazy,
    BringUp,
    TakeOffline,
    DeclareDead,
}

impl Call {
    pub(crate) const OF_CODE: [Self; 10] = [
        Self::Flush,
        Self::LateFlush,
        Self::StartAndWait,
        Self::Poll,
        Self::Serve,
        Self::Drop,
        Self::Lazy,
        Self::BringUp,
        Self::TakeOffline,
        Self::DeclareDead,
    ];
    /// Those that find what they need at any moment of another call.
    pub(crate) const OF_HANDLERS: [Self; 7] = [
        Self::Flush,
        Self::StartAndWait,
        Self::Poll,
        Self::Serve,
        Self::Drop,
        Self::Lazy,
        Self::DeclareDead,
    ];
    pub(crate) const OF_NMIS: [Self; 3] = [Self::ServeInNmi, Self::Drop, Self::DeclareDead];
}

/// Four CPUs, and what the calls need.
pub(crate) struct Scene {
    pub(crate) kernel: &'static Kernel,
    kind: Kind,
    online: Mutex<Vec<Option<Online>>>,
    /// Flights that CPU 0 has started and no unit has answered.
    flights: Mutex<Vec<Flight>>,
}

impl Scene {
    /// Prepares a call, and a handler's call that may cut into it.
    pub(crate) fn new(kind: Kind, call: Call) -> Arc<Self> {
        let (kernel, online) = kernel(&[kind; 4]);
        let scene = Self {
            kernel,
            kind,
            online: Mutex::new(online.into_iter().map(Some).collect()),
            flights: Mutex::default(),
        };
        let world = &kernel.machine().world;
        // Two flights for the calls that end one, not answered yet: the caller answers no signal by
        // itself.
        world.set_unit(CALLER, Unit::Later);
        world.set_takes(CALLER, Takes::Nothing);
        for _ in 0..2 {
            let owned = Arc::new(());
            let flight = kernel.start(&pinned(0), &[space(1)], &AllOnline, owned);
            scene.flights.lock().unwrap().push(flight);
        }
        if call == Call::BringUp {
            scene.take_offline();
        }
        if call == Call::LateFlush {
            world.lose_signals(1, 1);
        }
        Arc::new(scene)
    }

    fn take_offline(&self) {
        let online = self.online.lock().unwrap()[CALLER as usize].take().unwrap();
        take_offline(self.kernel, CALLER, online);
    }

    pub(crate) fn bring_up(&self) {
        register(self.kernel, CALLER);
        let online = come_up(self.kernel, CALLER, self.kind);
        self.online.lock().unwrap()[CALLER as usize] = Some(online);
    }

    fn flight(&self) -> Flight {
        self.flights.lock().unwrap().pop().unwrap()
    }

    /// Makes a call, and checks what came of it.
    pub(crate) fn call(&self, call: Call, pcid: u16) {
        let (kernel, cpu) = (self.kernel, pinned(CALLER));
        let flushed: Vec<_> = (0..4).map(|cpu| self.flushes(cpu)).collect();
        match call {
            Call::Flush | Call::LateFlush => {
                kernel.flush(&cpu, &[space(pcid)], &AllOnline).unwrap();
            }
            Call::StartAndWait => {
                let frame = Arc::new(());
                let pending = kernel.start(&cpu, &[space(pcid)], &AllOnline, frame.clone());
                drop(pending.wait(&cpu).unwrap());
                assert_eq!(Arc::strong_count(&frame), 1, "the flush gave it back");
            }
            Call::Poll => {
                let mut flight = self.flight();
                let _far = flight.poll(&cpu);
                // The caller itself is the target that has not answered.
                let _was_done = flight.is_done();
                drop(flight.wait(&cpu).unwrap());
            }
            Call::Serve => drop(kernel.serve(&cpu)),
            Call::ServeInNmi => drop(kernel.serve_in_nmi(&in_nmi(CALLER))),
            Call::Drop => drop(self.flight()),
            Call::Lazy => {
                // SAFETY: a host; the CPU uses no translation.
                unsafe { kernel.domain().enter_lazy(&cpu) };
                kernel
                    .flush(&pinned(0), &[space(pcid)], &AllOnline)
                    .unwrap();
                let _left = kernel.domain().leave_lazy(&cpu, kernel.tlb());
            }
            Call::BringUp => self.bring_up(),
            Call::TakeOffline => self.take_offline(),
            // SAFETY: nothing executes as CPU 2 any more, and the test does not run its unit.
            Call::DeclareDead => unsafe { kernel.domain().declare_dead(cpu_id(2)) },
        }
        let is_flush = matches!(
            call,
            Call::Flush | Call::LateFlush | Call::StartAndWait | Call::Lazy
        );
        for (cpu, first) in (0..4).zip(flushed).filter(|_| is_flush) {
            // A CPU that died, or is not online, is not flushed.
            if kernel.domain().is_online(cpu_id(cpu)) {
                assert_flushed(kernel, cpu, first, pcid, &format!("{call:?}"));
            }
        }
    }

    fn flushes(&self, cpu: u32) -> usize {
        self.kernel.machine().world.tlb.of(cpu).len()
    }

    /// Makes a call into which another cuts at one moment; returns whether the call lasted that
    /// long.
    pub(crate) fn call_cut_by(self: &Arc<Self>, call: Call, moment: u64, handler: Call) -> bool {
        let scene = Arc::clone(self);
        let machine = self.kernel.machine();
        machine.cut_in(moment, move || scene.call(handler, OF_HANDLERS));
        self.call(call, OF_CALLS);
        machine.has_cut_in()
    }

    /// The machine goes on: the next flush reaches every CPU that is online, no CPU holds a slot,
    /// and what is open ends.
    pub(crate) fn goes_on(&self, why: &str) {
        let (kernel, domain) = (self.kernel, self.kernel.domain());
        let world = &kernel.machine().world;
        for cpu in 0..4 {
            world.set_unit(cpu, Unit::Answers);
            world.set_takes(cpu, Takes::Interrupts);
        }
        self.flights.lock().unwrap().clear();
        world.tlb.clear();
        kernel.flush(&pinned(0), &[space(9)], &AllOnline).unwrap();
        for cpu in domain.online().iter() {
            assert_flushed(kernel, cpu.get(), 0, 9, why);
        }
        for cpu in 0..4 {
            world.run_unit(domain, cpu_id(cpu), false);
            let _served = kernel.serve(&pinned(cpu));
            assert!(!domain.holds_slots(cpu_id(cpu)), "{why}: CPU {cpu}");
        }
        domain.reclaim_slots();
        assert_eq!(domain.free_and_quarantined_slots(), (64, 0), "{why}");
    }
}

/// Makes each of the calls once for each moment, with each of the handlers cutting in there;
/// returns how many moments each call had at least.
pub(crate) fn cut_everywhere(calls: &[Call], handlers: &[Call]) -> Vec<u64> {
    let mut least = vec![u64::MAX; calls.len()];
    for kind in [Kind::Microcode, Kind::Software] {
        for (call, least) in calls.iter().zip(&mut least) {
            for handler in handlers {
                let mut moment = 0;
                loop {
                    let scene = Scene::new(kind, *call);
                    let is_cut = scene.call_cut_by(*call, moment, *handler);
                    scene.goes_on(&format!("{kind:?}: {handler:?} in {call:?} at {moment}"));
                    if !is_cut {
                        break;
                    }
                    moment += 1;
                }
                *least = moment.min(*least);
            }
        }
    }
    least
}
