//! Interrupt commands that no driver sends.

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, without_driver};
use crate::units::OddCommand;

/// *Observed*: which units serve a command with a vector, and with each shorthand.
pub(crate) fn odd<L: Platform>(t: &TestRun<'_, L>) {
    try_commands(
        t,
        &[
            ("vector 0xe0", OddCommand::Vector),
            ("self", OddCommand::Own),
            ("all", OddCommand::All),
            ("all but self", OddCommand::Others),
        ],
    );
}

/// *Observed*: which units serve a command with the level bit, or with the trigger mode of levels.
pub(crate) fn level<L: Platform>(t: &TestRun<'_, L>) {
    try_commands(
        t,
        &[
            ("level", OddCommand::Level),
            ("trigger", OddCommand::Trigger),
            ("trigger and level", OddCommand::TriggerLevel),
        ],
    );
}

fn try_commands<L: Platform>(t: &TestRun<'_, L>, cases: &[(&str, OddCommand)]) {
    without_driver(t, |bench| {
        for ((name, command), page) in cases.iter().zip(0..) {
            try_command(bench, page, name, *command);
        }
    });
}

fn try_command<L: Platform>(bench: &Bench<'_, '_, L>, page: u16, name: &str, command: OddCommand) {
    let t = bench.t;
    let next = (t.initiator + 1) % t.platform.cpus();
    let is_meant = |cpu: &u32| match command {
        OddCommand::Vector | OddCommand::Level | OddCommand::Trigger | OddCommand::TriggerLevel => {
            *cpu == next
        }
        OddCommand::Own => *cpu == t.initiator,
        OddCommand::All => true,
        OddCommand::Others => *cpu != t.initiator,
    };
    let all = || 0..t.platform.cpus();
    t.empty_tlbs();
    map_and_touch(t, page, 1, Scope::Space);
    remap_and_control(t, page, 1, Scope::Space);
    t.step(Participants::All, || bench.program(SERVING));
    t.step(Participants::Initiator, || {
        bench.order(FIRST, bench.pages(page, 1), all());
        bench.units.send_odd(command, next);
        let served = |cpu: &u32| bench.is_final(*cpu, FIRST);
        bench.wait_for_answer(|| all().filter(is_meant).all(|cpu| served(&cpu)));
        let meant = all().filter(is_meant).count();
        let did = all().filter(is_meant).filter(served).count();
        let others = all().filter(served).count() - did;
        t.observe(format_args!(
            "{name}: {did} of {meant} served, {others} others"
        ));
        // Afterwards an ordinary command must work.
        bench.signal(all());
        bench.await_success(FIRST, all());
    });
    t.step(Participants::All, || {
        t.expect_gone(Page::Small(page), new_value(page));
    });
}
