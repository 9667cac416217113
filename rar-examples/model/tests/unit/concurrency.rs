//! Real threads: initiators arm and signal while the owner serves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rar_model::{InterruptFlag, Knobs, PENDING, PhysicalMemory, RecordingTlb, SUCCESS};

use crate::rig::{EVERYTHING, Rig, VECTOR};

#[test]
fn no_signal_is_lost_between_threads() {
    const ROUNDS: usize = 2_000;
    const PATIENCE: Duration = Duration::from_secs(30);
    let rig = Rig::enabled(Knobs::DEFAULT);
    for index in [3, 60] {
        rig.arm(index, EVERYTHING);
        rig.set_byte(index, SUCCESS);
    }
    let started = Instant::now();
    let done = AtomicBool::new(false);
    let mut tlb = RecordingTlb::<0>::new(0);
    thread::scope(|scope| {
        let initiators = [3, 60].map(|index| {
            let (unit, memory) = (&rig.unit, rig.memory());
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    memory.store_u8(VECTOR + index, PENDING);
                    unit.signal();
                    while memory.load_u8(VECTOR + index) == PENDING {
                        if started.elapsed() > PATIENCE {
                            return false;
                        }
                        thread::yield_now();
                    }
                }
                true
            })
        });
        let owner = scope.spawn(|| {
            let memory = rig.memory();
            while !done.load(Ordering::Acquire) {
                let _ = rig.unit.service(InterruptFlag::Clear, &memory, &mut tlb);
                thread::yield_now();
            }
        });
        let answered = initiators.map(|initiator| initiator.join().unwrap());
        done.store(true, Ordering::Release);
        owner.join().unwrap();
        assert_eq!(answered, [true; 2], "a signal was lost");
    });
    assert_eq!(tlb.total(), 2 * ROUNDS);
}
