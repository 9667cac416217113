//! What each error and each event says: the CPU or the slot first, and the remedy.

use rar_percpu::{ActionByte, CpuId, SlotIndex};
use rar_shootdown::{Event, FlushError, Message, NotSent};

const CPU: CpuId = CpuId::new(7);

#[track_caller]
fn assert_says(what: &impl ToString, text: &str) {
    assert_eq!(what.to_string(), text);
}

#[test]
fn why_a_flush_did_not_end() {
    let (cpu, late) = (CPU, 2);
    let remedy = "wait again, or stop the CPUs and declare them dead before anything is freed";
    let entry = SlotIndex::new(5).map(|slot| (slot, ActionByte(1)));
    let cause = NotSent::Busy;
    for (error, text) in [
        (
            FlushError::NoAnswer { cpu, late, entry },
            format!(
                "CPU 7: no answer to a TLB flush or its fallback in time (2 CPUs late, slot 5, \
                 action byte 0x01); {remedy}"
            ),
        ),
        (
            FlushError::NoAnswer {
                cpu,
                late,
                entry: None,
            },
            format!(
                "CPU 7: no answer to a TLB flush or its fallback in time (2 CPUs late); {remedy}"
            ),
        ),
        (
            FlushError::NotSent { cpu, late, cause },
            format!(
                "CPU 7: could not be sent a TLB flush (2 CPUs late, the local APIC stayed busy); \
                 {remedy}"
            ),
        ),
        (
            FlushError::Unsupported,
            "local TLB: cannot drop translations tagged by EPT or VPID; implement \
             LocalTlb::drops_guest_translations"
                .to_owned(),
        ),
    ] {
        assert_says(&error, &text);
        assert_says(&Event::Error(error), &text);
        assert_says(&Event::Leaked(error), &format!("memory leaked: {text}"));
    }
}

#[test]
fn why_a_message_was_not_sent() {
    for (cause, text) in [
        (NotSent::Unsupported, "the machine offers no such message"),
        (NotSent::Busy, "the local APIC stayed busy"),
        (
            NotSent::Unreachable(CPU),
            "CPU 7 has no APIC id that can be addressed",
        ),
    ] {
        assert_says(&cause, text);
        let message = Message::Nmi;
        let event = Event::NotSent { message, cause };
        assert_says(&event, &format!("Nmi: not sent, {text}"));
    }
}

#[test]
fn what_is_worth_a_line_in_a_log() {
    let (cpu, count, slot) = (CPU, 3, SlotIndex::new(5).unwrap());
    for (event, text) in [
        (
            Event::Failure { cpu, slot },
            "CPU 7: answered FAILURE in slot 5",
        ),
        (
            Event::SecondSignal { cpu, count },
            "CPU 7: silent, signalled once more (3 CPUs)",
        ),
        (
            Event::Fallback { cpu, count },
            "CPU 7: asked for a full flush by interrupt (3 CPUs)",
        ),
        (
            Event::Nmi { cpu, count },
            "CPU 7: asked for a full flush by NMI (3 CPUs)",
        ),
        (
            Event::NoSlot,
            "payload table: no free slot, flushing by interrupt",
        ),
        (
            Event::Quarantine { slot },
            "slot 5: in quarantine, a CPU has not answered",
        ),
        (
            Event::Demotion { cpu },
            "CPU 7: RAR unit silent, flushed by interrupt from now on; verify the unit",
        ),
        (Event::Promotion { cpu }, "CPU 7: RAR unit answers again"),
    ] {
        assert_says(&event, text);
    }
}
