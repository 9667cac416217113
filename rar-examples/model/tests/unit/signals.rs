use rar_model::{
    Activity, CONTROL, Faults, HeldBy, InterruptFlag, Knobs, LatchClear, Loss, PENDING, SUCCESS,
    Serviced, Signalled, Signals, Sleep, Wake,
};

use crate::rig::{ENABLE, EVERYTHING, IGNORE_IF, Rig};

#[test]
fn a_signal_to_a_disabled_unit_is_lost() {
    let mut rig = Rig::disabled(Knobs::DEFAULT);
    rig.arm(0, EVERYTHING);
    assert_eq!(rig.unit.signal(), Signalled::Dropped(Loss::Disabled));
    assert!(!rig.unit.pending());
    assert_eq!(rig.service(InterruptFlag::Set), Serviced::Disabled);
    assert_eq!(rig.unit.write_msr(CONTROL, ENABLE), Ok(()));
    assert_eq!(rig.service(InterruptFlag::Set), Serviced::Idle);
    assert_eq!(rig.byte(0), PENDING);
    rig.pass_with_if();
    assert_eq!(rig.byte(0), SUCCESS);
}

impl Rig {
    fn pass_with_if(&mut self) {
        assert_eq!(self.unit.signal(), Signalled::Latched);
        assert!(matches!(
            self.service(InterruptFlag::Set),
            Serviced::Scanned(_)
        ));
    }
}

#[test]
fn knob_while_disabled_holds() {
    let mut rig = Rig::disabled(Knobs {
        while_disabled: Signals::Hold,
        ..Knobs::DEFAULT
    });
    rig.arm(0, EVERYTHING);
    assert_eq!(rig.unit.signal(), Signalled::Latched);
    assert_eq!(rig.service(InterruptFlag::Set), Serviced::Disabled);
    assert_eq!(rig.unit.write_msr(CONTROL, ENABLE), Ok(()));
    assert!(matches!(
        rig.service(InterruptFlag::Set),
        Serviced::Scanned(_)
    ));
    assert_eq!(rig.byte(0), SUCCESS);
}

#[test]
fn signals_merge() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    rig.arm(3, EVERYTHING);
    rig.arm(9, EVERYTHING);
    assert_eq!(rig.unit.signal(), Signalled::Latched);
    assert_eq!(rig.unit.signal(), Signalled::Merged);
    let Serviced::Scanned(pass) = rig.service(InterruptFlag::Clear) else {
        panic!("not scanned");
    };
    assert_eq!((pass.succeeded, pass.failed, pass.unanswered), (2, 0, 0));
    assert_eq!(rig.service(InterruptFlag::Clear), Serviced::Idle);
}

#[test]
fn without_ignore_if_the_signal_waits_for_interrupts() {
    let mut rig = Rig::disabled(Knobs::DEFAULT);
    assert_eq!(rig.unit.write_msr(CONTROL, ENABLE), Ok(()));
    rig.arm(0, EVERYTHING);
    assert_eq!(rig.unit.signal(), Signalled::Latched);
    for _ in 0..3 {
        assert_eq!(
            rig.service(InterruptFlag::Clear),
            Serviced::Held(HeldBy::InterruptFlag)
        );
        assert_eq!(rig.byte(0), PENDING);
        assert!(rig.unit.pending());
    }
    assert!(matches!(
        rig.service(InterruptFlag::Set),
        Serviced::Scanned(_)
    ));
    assert_eq!(rig.byte(0), SUCCESS);
}

#[test]
fn knob_at_disable() {
    for (policy, left) in [(Signals::Drop, false), (Signals::Hold, true)] {
        let rig = Rig::enabled(Knobs {
            at_disable: policy,
            ..Knobs::DEFAULT
        });
        assert_eq!(rig.unit.signal(), Signalled::Latched);
        assert_eq!(rig.unit.write_msr(CONTROL, ENABLE), Ok(()));
        assert!(rig.unit.pending(), "ENABLE did not change");
        assert_eq!(rig.unit.write_msr(CONTROL, IGNORE_IF), Ok(()));
        assert_eq!(rig.unit.pending(), left);
    }
}

#[test]
fn init_clears_the_latch() {
    let mut rig = Rig::enabled(Knobs::DEFAULT);
    assert_eq!(rig.unit.signal(), Signalled::Latched);
    rig.unit.init();
    assert_eq!(rig.service(InterruptFlag::Set), Serviced::Idle);
}

#[test]
fn knob_while_inhibited() {
    for policy in [Signals::Hold, Signals::Drop] {
        let mut rig = Rig::enabled(Knobs {
            while_inhibited: policy,
            ..Knobs::DEFAULT
        });
        rig.arm(0, EVERYTHING);
        rig.unit.set_activity(Activity::Inhibited);
        let signalled = rig.unit.signal();
        let served = rig.service(InterruptFlag::Set);
        assert_eq!(rig.byte(0), PENDING);
        rig.unit.set_activity(Activity::Running);
        let later = rig.service(InterruptFlag::Set);
        if policy == Signals::Hold {
            let held = Serviced::Held(HeldBy::Activity(Activity::Inhibited));
            assert_eq!((signalled, served), (Signalled::Latched, held));
            assert!(matches!(later, Serviced::Scanned(_)));
            assert_eq!(rig.byte(0), SUCCESS);
        } else {
            assert_eq!(
                (signalled, served),
                (Signalled::Dropped(Loss::Inhibited), Serviced::Idle)
            );
            assert_eq!((later, rig.byte(0)), (Serviced::Idle, PENDING));
        }
    }
}

#[test]
fn knobs_halted_and_deep_sleep() {
    let sleeps = [Sleep::Serve, Sleep::ServeAndWake, Sleep::Hold];
    for (activity, policy) in [Activity::Halted, Activity::DeepSleep]
        .into_iter()
        .flat_map(|activity| sleeps.map(|policy| (activity, policy)))
    {
        let mut knobs = Knobs {
            halted: Sleep::Hold,
            deep_sleep: Sleep::Hold,
            ..Knobs::DEFAULT
        };
        match activity {
            Activity::Halted => knobs.halted = policy,
            _ => knobs.deep_sleep = policy,
        }
        let mut rig = Rig::enabled(knobs);
        rig.arm(0, EVERYTHING);
        rig.unit.set_activity(activity);
        assert_eq!(rig.unit.signal(), Signalled::Latched);
        let served = rig.service(InterruptFlag::Set);
        match policy {
            Sleep::Hold => {
                assert_eq!(served, Serviced::Held(HeldBy::Activity(activity)));
                assert_eq!(rig.byte(0), PENDING);
                rig.unit.set_activity(Activity::Running);
                assert!(matches!(
                    rig.service(InterruptFlag::Set),
                    Serviced::Scanned(_)
                ));
            }
            Sleep::Serve | Sleep::ServeAndWake => {
                let Serviced::Scanned(pass) = served else {
                    panic!("not scanned: {served:?}");
                };
                let (wake, now) = if policy == Sleep::Serve {
                    (Wake::AsBefore, activity)
                } else {
                    (Wake::Woken, Activity::Running)
                };
                assert_eq!((pass.wake, rig.unit.activity()), (wake, now));
            }
        }
        assert_eq!(rig.byte(0), SUCCESS);
    }
}

#[test]
fn knob_delay_holds_a_fresh_signal() {
    let mut rig = Rig::enabled(Knobs {
        faults: Faults {
            delay: 2,
            ..Faults::NONE
        },
        ..Knobs::DEFAULT
    });
    for _ in 0..2 {
        rig.arm(0, EVERYTHING);
        assert_eq!(rig.unit.signal(), Signalled::Latched);
        for _ in 0..2 {
            assert_eq!(
                rig.service(InterruptFlag::Set),
                Serviced::Held(HeldBy::Delay)
            );
            assert_eq!(rig.unit.signal(), Signalled::Merged);
            assert_eq!(rig.byte(0), PENDING);
        }
        assert!(matches!(
            rig.service(InterruptFlag::Set),
            Serviced::Scanned(_)
        ));
        assert_eq!(rig.byte(0), SUCCESS);
    }
}

#[test]
fn the_default_acknowledges_before_the_scan() {
    assert_eq!(Knobs::default().latch_clear, LatchClear::BeforeScan);
}
