//! A set that CPUs join while an initiator reads it.
#![cfg(rar_loom)]
#![expect(clippy::unwrap_used, reason = "models play the kernel")]

use core::sync::atomic::AtomicBool;

use loom::model;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;
use rar_percpu::{AtomicCpuSet, CpuId};

/// Two CPUs join through the second word of a set, and one of them reads the page table. The
/// initiator sees it in the set, or it has seen the new entry.
#[test]
fn second_word_of_a_set_versus_a_joining_cpu() {
    static JOINED_LATE: AtomicBool = AtomicBool::new(false);
    static SEEN: AtomicBool = AtomicBool::new(false);
    model(|| {
        let shared = Arc::new((AtomicCpuSet::<2>::new(), AtomicU32::new(0)));
        let joins = |cpu: u32| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (set, table) = &*shared;
                set.insert(CpuId::new(cpu)).unwrap();
                fence(Ordering::SeqCst);
                table.load(Ordering::Relaxed)
            })
        };
        let (first, second) = (joins(64), joins(65));
        let (set, table) = &*shared;
        table.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let targets = set.snapshot();
        for (cpu, read) in [(64, first), (65, second)] {
            let is_target = targets.contains(CpuId::new(cpu));
            let reads_new = read.join().unwrap() == 1;
            assert!(is_target || reads_new, "a CPU of the set was missed");
            let reached = if is_target { &SEEN } else { &JOINED_LATE };
            reached.store(true, core::sync::atomic::Ordering::Relaxed);
        }
    });
    let reached = |flag: &AtomicBool| flag.load(core::sync::atomic::Ordering::Relaxed);
    assert!(
        reached(&SEEN) && reached(&JOINED_LATE),
        "one order was never explored"
    );
}
