//! The report about CPUs that do not answer, as the porting guide shows it.

use std::time::Duration;

use rar_model::{Knobs, PageSize};
use rar_percpu::fake::pinned;
use rar_regs::InterruptPolicy;

use crate::rig::{Setup, run_in_trouble};
use crate::scene::{TAGS, is_page, make_stale, map, members, pages};

const GUIDE: &str = include_str!("../../../../docs/porting.md");

/// CPUs 2 to 4 loop with interrupts disabled, and so does CPU 6, in a flush of its own.
#[test]
fn the_guide_shows_the_report_of_cpus_that_loop_with_interrupts_disabled() {
    let mut setup = Setup::new(Knobs::DEFAULT)
        .cpus(8)
        .interrupts(InterruptPolicy::RespectIf);
    // The clock goes on by a nanosecond each time that it is read.
    setup.policy.answer_timeout = Duration::from_micros(100);
    setup.policy.resignal_after = Some(Duration::from_micros(50));
    setup.policy.fallback_timeout = Duration::from_micros(400);
    run_in_trouble::<16>(setup, |rig, _units| {
        map(rig, 4, PageSize::Size4K);
        make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
        for cpu in [2, 3, 4, 6] {
            rig.set_interrupts(cpu, false);
        }
        let all = members(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let of_cpu_6 = members(&[2]);
        let own = rig
            .shootdown
            .start(&pinned(6), &[pages(3, 1)], &of_cpu_6, ());
        let initiator = pinned(0);
        let late = rig
            .shootdown
            .start(&initiator, &[pages(1, 2)], &all, "the frames")
            .wait(&initiator)
            .unwrap_err();
        let report = late.pending.stuck(&initiator).to_string();
        assert!(GUIDE.contains(&report), "the guide has another:\n{report}");
        for cpu in [1, 5, 7] {
            assert_eq!(rig.stale(cpu), [], "CPU {cpu} is not late");
        }
        for cpu in [2, 3, 4, 6] {
            assert_eq!(rig.stale(cpu).len(), 2, "control: CPU {cpu}");
            rig.set_interrupts(cpu, true);
        }
        late.pending.wait(&initiator).unwrap();
        own.wait(&pinned(6)).unwrap();
        assert_eq!(rig.stale(6), []);
    });
}
