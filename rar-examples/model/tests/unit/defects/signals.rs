//! Units that serve a signal wrongly or not at all.

use rar_model::{
    Activity, CONTROL, Defect, HeldBy, InterruptFlag, Knobs, Loss, PENDING, SUCCESS, Serviced,
    Signalled,
};

use super::observes;
use crate::rig::{ENABLE, EVERYTHING, IGNORE_IF, Rig};

pub(super) fn lost(defect: Defect) {
    let observe = |knobs| {
        let mut rig = Rig::enabled(knobs);
        [(); 7].map(|()| {
            rig.arm(7, EVERYTHING);
            let signalled = rig.unit.signal();
            let _ = rig.service(InterruptFlag::Clear);
            (signalled, rig.byte(7))
        })
    };
    let served = (Signalled::Latched, SUCCESS);
    let lost = (Signalled::Dropped(Loss::Fault), PENDING);
    let wrong = [served, served, lost, served, served, lost, served];
    observes(defect, observe, [[served; 7], wrong]);
}

/// Returns how many scans follow one signal.
fn scans(rig: &mut Rig) -> usize {
    let served = [(); 20].map(|()| rig.service(InterruptFlag::Clear));
    served
        .iter()
        .filter(|served| matches!(served, Serviced::Scanned(_)))
        .count()
}

pub(super) fn duplicated(defect: Defect) {
    let observe = |knobs| {
        let mut rig = Rig::enabled(knobs);
        [(); 2].map(|()| {
            rig.unit.signal();
            scans(&mut rig)
        })
    };
    observes(defect, observe, [[1; 2], [2; 2]]);
}

pub(super) fn delayed(defect: Defect) {
    let observe = |knobs| {
        let mut rig = Rig::enabled(knobs);
        rig.arm(7, EVERYTHING);
        rig.unit.signal();
        let held = Serviced::Held(HeldBy::Delay);
        let late = (0..)
            .take_while(|_| rig.byte(7) == PENDING && rig.service(InterruptFlag::Clear) == held)
            .count();
        (late, rig.byte(7))
    };
    observes(defect, observe, [(0, SUCCESS), (16, SUCCESS)]);
}

pub(super) fn annihilate(defect: Defect) {
    let observe = |knobs| {
        let mut rig = Rig::enabled(knobs);
        let signals = [(); 3].map(|()| rig.unit.signal());
        rig.unit.init();
        let pair = [(); 2].map(|()| rig.unit.signal());
        (signals, pair, scans(&mut rig))
    };
    let (latched, merged) = (Signalled::Latched, Signalled::Merged);
    let lost = Signalled::Dropped(Loss::Fault);
    let right = ([latched, merged, merged], [latched, merged], 1);
    let wrong = ([latched, lost, latched], [latched, lost], 0);
    observes(defect, observe, [right, wrong]);
}

pub(super) fn halt_not_served(defect: Defect) {
    let observe = |knobs| {
        [Activity::Running, Activity::Halted].map(|activity| {
            let mut rig = Rig::enabled(knobs);
            rig.arm(7, EVERYTHING);
            rig.unit.set_activity(activity);
            rig.unit.signal();
            let _ = rig.service(InterruptFlag::Set);
            let asleep = rig.byte(7);
            rig.unit.set_activity(Activity::Running);
            let _ = rig.service(InterruptFlag::Set);
            [asleep, rig.byte(7)]
        })
    };
    let served = [SUCCESS, SUCCESS];
    observes(
        defect,
        observe,
        [[served, served], [served, [PENDING, SUCCESS]]],
    );
}

pub(super) fn ignore_if_unheeded(defect: Defect) {
    let observe = |knobs: Knobs| {
        let mut rig = Rig::enabled(knobs);
        rig.arm(7, EVERYTHING);
        rig.unit.signal();
        [InterruptFlag::Clear, InterruptFlag::Set].map(|interrupts| {
            let _ = rig.service(interrupts);
            rig.byte(7)
        })
    };
    observes(defect, observe, [[SUCCESS, SUCCESS], [PENDING, SUCCESS]]);
}

pub(super) fn disabled_answers(defect: Defect) {
    let before_enable = |knobs| {
        let mut rig = Rig::disabled(knobs);
        rig.arm(7, EVERYTHING);
        let signalled = rig.unit.signal();
        let _ = rig.service(InterruptFlag::Set);
        (signalled, rig.byte(7))
    };
    let right = (Signalled::Dropped(Loss::Disabled), PENDING);
    let wrong = (Signalled::Latched, SUCCESS);
    observes(defect, before_enable, [right, wrong]);
    let after_disable = |knobs| {
        let mut rig = Rig::enabled(knobs);
        rig.arm(7, EVERYTHING);
        rig.unit.signal();
        assert_eq!(rig.unit.write_msr(CONTROL, IGNORE_IF), Ok(()));
        let _ = rig.service(InterruptFlag::Clear);
        let disabled = rig.byte(7);
        assert_eq!(rig.unit.write_msr(CONTROL, ENABLE), Ok(()));
        (disabled, rig.unit.pending())
    };
    observes(defect, after_disable, [(PENDING, false), (SUCCESS, false)]);
}
