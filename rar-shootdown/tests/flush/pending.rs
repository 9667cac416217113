//! A flush in flight: polled, queued, finished elsewhere.

use super::*;

#[test]
fn a_flush_is_polled_without_waiting_and_gives_back_only_at_its_end() {
    on_machine(64, |shootdown, _online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let frame = Arc::new(());
        let pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, frame.clone());
        assert!(!pending.is_done());
        let mut pending = pending.try_wait(&initiator).unwrap_err();
        assert_eq!(pending.poll(&initiator), Poll::Pending);
        assert_eq!(Arc::strong_count(&frame), 2);
        let unflushed = CpuSet::<1>::of([cpu(3)]).unwrap();
        let shown = format!("{pending:?}");
        assert!(shown.contains(&format!("unflushed: {unflushed:?}")));
        // CPU 3 gets round to it at last.
        shootdown.domain().answer(&pinned(3), tlb(shootdown));
        assert!(pending.is_done());
        assert_eq!(pending.poll(&initiator), Poll::Ready(Ok(())));
        drop(pending.try_wait(&initiator).unwrap());
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
    });
}

#[test]
fn a_flush_that_is_only_polled_escalates_and_reports_its_error() {
    on_machine_left(64, 1, "CPU 3 hears nothing", |shootdown, _online| {
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let mut pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, ());
        let error = loop {
            match pending.poll(&initiator) {
                Poll::Pending => {}
                Poll::Ready(outcome) => break outcome.unwrap_err(),
            }
        };
        assert!(matches!(error, FlushError::NoAnswer { late: 1, .. }));
        assert_eq!(sent(shootdown), [1, 0, 1, 1]);
        assert!(!pending.is_done());
        // It still is in flight, and ends when the CPU answers the next request.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nmi);
        let end = loop {
            match pending.poll(&initiator) {
                Poll::Pending => {}
                Poll::Ready(outcome) => break outcome,
            }
        };
        assert_eq!(end, Ok(()));
        pending.try_wait(&initiator).unwrap();
        // The NMI's handler served the vector too, so that the late byte is final and the slot can
        // be had.
        assert_eq!(shootdown.domain().reclaim_slots(), 1);
        // One more flight, which leaves its slot in quarantine.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        drop(shootdown.start(&initiator, &[pages(1)], &AllOnline, ()));
    });
}

#[test]
fn a_flush_is_finished_on_another_cpu_and_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Pending<'static, FakeMachine<CPUS>, Box<[u8]>, 1>>();
    on_machine(64, |shootdown, _online| {
        shootdown.machine().set_hearing(cpu(3), Hearing::Interrupt);
        let frame = Arc::new(());
        let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, frame.clone());
        let owned = frame.clone();
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || pending.wait(&pinned(2)).map_err(|late| late.error));
            drop(worker.join().unwrap().unwrap());
        });
        drop(owned);
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(sent(shootdown), [1, 0, 1, 0]);
    });
}

#[test]
fn a_flush_that_ends_on_a_target_serves_that_target_meanwhile() {
    on_machine(64, |shootdown, _online| {
        // CPU 3 takes no interrupt: it waits, and serves itself.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
        pending.wait(&pinned(3)).unwrap();
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
        assert_eq!(tlb(shootdown).operations(cpu(3)), 1);
    });
}

#[test]
fn many_flushes_wait_in_a_queue_and_take_no_slot_from_anybody() {
    on_machine(3, |shootdown, _online| {
        let initiator = pinned(0);
        let frame = Arc::new(());
        let mut queue: std::collections::VecDeque<_> = (0..200)
            .map(|_| shootdown.start(&initiator, &[pages(1)], &AllOnline, frame.clone()))
            .collect();
        shootdown
            .flush(&pinned(1), &[pages(63 * 3)], &AllOnline)
            .unwrap();
        assert_eq!(Arc::strong_count(&frame), 201);
        while let Some(pending) = queue.pop_back() {
            drop(pending.try_wait(&pinned(2)).unwrap());
        }
        assert_eq!(Arc::strong_count(&frame), 1);
        let statistics = shootdown.statistics();
        assert_eq!((statistics.slotless, statistics.fallbacks), (0, 0));
        assert_eq!(sent(shootdown), [201, 0, 0, 0]);
    });
}

#[test]
fn a_flight_that_is_dropped_reports_the_slot_that_it_leaves_in_quarantine() {
    let shootdown = slot_wait::spinning(64);
    let machine = &shootdown.machine().machine;
    machine.set_hearing(cpu(3), Hearing::Nothing);
    let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
    let reports = || {
        let [_, _, reports, _] = shootdown.machine().calls();
        reports
    };
    let before = reports();
    drop(pending);
    assert_eq!(reports(), before + 1);
    assert_eq!(shootdown.domain().free_and_quarantined_slots(), (63, 1));
}
