//! Two initiators, each with a space of its own, and one target for both.

use loom::thread;

use crate::models::{World, explore};

/// Explores their flushes with that many slots; `lost` says what is wrong if one of them is lost.
pub(crate) fn flush_one_target(slots: u8, preemptions: usize, lost: &'static str) {
    explore(preemptions, move || {
        let world = World::new(slots, 3);
        let flush = move |initiator, space: u16| {
            world.store(usize::from(space), 1);
            world.flush(initiator, space);
            let cached = world.tlbs().cached(2, usize::from(space));
            assert_eq!(cached, 1, "{lost}");
        };
        let other = thread::spawn(move || flush(1, 1));
        flush(0, 2);
        other.join().unwrap();
    });
}
