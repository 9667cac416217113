//! Calls in the handler of an interrupt, which cuts into any other call on its CPU.

use rar_percpu::LifeCycleError;
use rar_percpu::fake::pinned;
use rar_shootdown::AllOnline;

use crate::bed::{come_up, kernel, take_offline};
use crate::calls::{Call, Scene, cut_everywhere};
use crate::world::{Kind, cpu_id, space};

#[test]
fn a_handler_cuts_into_each_moment_of_each_call() {
    let moments = cut_everywhere(&Call::OF_CODE, &Call::OF_HANDLERS);
    for (call, moments) in Call::OF_CODE.iter().zip(moments) {
        // Those that touch no machine have no moment.
        let least = match call {
            Call::Serve if moments == 0 => 0,
            Call::Drop | Call::DeclareDead => 0,
            Call::LateFlush => 100,
            _ => 1,
        };
        assert!(moments >= least, "{call:?}: {moments} moments");
    }
}

/// A handler, too, may be what takes a CPU down and brings it up, as that of a request by another
/// CPU.
#[test]
fn a_handler_takes_its_cpu_down_and_brings_it_up() {
    for kind in [Kind::Microcode, Kind::Software] {
        let scene = Scene::new(kind, Call::TakeOffline);
        let (kernel, domain) = (scene.kernel, scene.kernel.domain());
        let inner = std::sync::Arc::clone(&scene);
        // While the CPU waits for its own flush.
        kernel.machine().cut_in(1, move || {
            inner.call(Call::TakeOffline, 1);
            assert!(!domain.is_online(cpu_id(3)));
            inner.call(Call::BringUp, 1);
        });
        kernel.flush(&pinned(3), &[space(5)], &AllOnline).unwrap();
        assert!(kernel.machine().has_cut_in());
        assert!(domain.is_online(cpu_id(3)));
        scene.goes_on("a handler took its CPU down and up");
    }
}

/// What a handler finds online is online: it brings nothing up a second time.
#[test]
fn a_handler_that_brings_up_its_own_cpu_while_it_is_online_gets_an_error() {
    let (kernel, mut online) = kernel(&[Kind::Software; 2]);
    let (domain, cpu) = (kernel.domain(), pinned(1));
    let again = rar_percpu::SoftwareCpu::bring_online(domain, &cpu, kernel.tlb());
    assert_eq!(
        again.map(drop).unwrap_err(),
        LifeCycleError::Taken(cpu.id())
    );
    take_offline(kernel, 1, online.remove(1));
    let _back = come_up(kernel, 1, Kind::Software);
}
