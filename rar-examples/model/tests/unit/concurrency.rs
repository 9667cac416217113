//! Real threads: initiators arm and signal while the owner serves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rar_model::{InterruptFlag, Knobs, PENDING, PhysicalMemory, RecordingTlb, SUCCESS};

use crate::rig::{EVERYTHING, Rig, VECTOR};

/// How often the owner has served. If the owner panics, far more than that.
struct Services(AtomicUsize);

struct Owner<'s>(&'s Services);

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        self.0.0.store(usize::MAX / 2, Ordering::Release);
    }
}

/// Rounds are short, and the host gives no promise of time: a signal is lost if the owner has
/// served often since, and the byte is still pending.
#[test]
fn no_signal_is_lost_between_threads() {
    const ROUNDS: usize = 1_000;
    /// One that had begun before the signal, one that began after it, and some more.
    const ENOUGH: usize = 10;
    let rig = Rig::enabled(Knobs::DEFAULT);
    for index in [3, 60] {
        rig.arm(index, EVERYTHING);
        rig.set_byte(index, SUCCESS);
    }
    let services = Services(AtomicUsize::new(0));
    let served = || services.0.load(Ordering::Acquire);
    let done = AtomicBool::new(false);
    let mut tlb = RecordingTlb::<0>::new(0);
    thread::scope(|scope| {
        let initiators = [3, 60].map(|index| {
            let (unit, memory) = (&rig.unit, rig.memory());
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    memory.store_u8(VECTOR + index, PENDING);
                    unit.signal();
                    let signalled_after = served();
                    loop {
                        // The count first: the byte is read after these services.
                        let has_served = served() - signalled_after > ENOUGH;
                        if memory.load_u8(VECTOR + index) != PENDING {
                            break;
                        }
                        if has_served {
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
            let this = Owner(&services);
            while !done.load(Ordering::Acquire) {
                let _ = rig.unit.service(InterruptFlag::Clear, &memory, &mut tlb);
                this.0.0.fetch_add(1, Ordering::Release);
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
