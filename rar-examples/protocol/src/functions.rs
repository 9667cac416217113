//! What each transition stands for: a function of the driver, or something outside it.

use crate::transition::Transition;

/// What a transition stands for.
#[derive(Clone, Copy, Debug)]
pub enum Function {
    /// A step of a function of the driver.
    Driver {
        /// The file of the function.
        file: &'static str,
        /// The name of the function.
        name: &'static str,
        /// The public item through which it is reached; the compiler has resolved its path.
        public: &'static str,
        /// The text of the file, in which a test looks for the function.
        source: &'static str,
    },
    /// Not a step of the driver: of the kernel, or of the hardware.
    Outside(&'static str),
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Driver { file, name, .. } => write!(f, "{file}: {name}"),
            Self::Outside(what) => write!(f, "{what}"),
        }
    }
}

macro_rules! driver {
    ($file:literal, $name:ident, $($public:tt)+) => {{
        // The path must lead to something.
        let _ = $($public)+;
        Function::Driver {
            file: $file,
            name: stringify!($name),
            public: stringify!($($public)+),
            source: include_str!(concat!("../../../", $file)),
        }
    }};
}

impl Transition {
    /// Returns what the transition stands for.
    #[must_use]
    pub fn function(self) -> Function {
        match self.actor() {
            crate::transition::Actor::Initiator => self.of_an_initiator(),
            crate::transition::Actor::Unit => {
                Function::Outside("RAR unit (rar-model: RarUnit::service)")
            }
            crate::transition::Actor::Target => self.of_a_target(),
        }
    }

    fn of_an_initiator(self) -> Function {
        use rar_percpu::{Claimed, Domain, EntryWords, Posted};
        use rar_shootdown::{Event, Message};
        match self {
            Self::BeginFlush => driver!(
                "rar-percpu/src/domain.rs",
                begin_flush,
                Domain::<1>::begin_flush
            ),
            Self::ReadTargets => driver!(
                "rar-shootdown/src/shootdown.rs",
                aim,
                Domain::<1>::keep_online_others
            ),
            Self::TakesEntriesOnly => {
                driver!(
                    "rar-percpu/src/domain.rs",
                    takes_entries_only,
                    Domain::<1>::takes_entries_only
                )
            }
            Self::SortTarget => driver!(
                "rar-percpu/src/generation.rs",
                service,
                Domain::<1>::sort_targets
            ),
            Self::ClaimSlot => {
                driver!("rar-percpu/src/slots.rs", claim_at, Domain::<1>::claim_near)
            }
            Self::NoFreeSlot => driver!(
                "rar-percpu/src/slots.rs",
                claim_several,
                Domain::<1>::post::<EntryWords, 1>
            ),
            Self::LookAtSlot | Self::TakeOver => {
                driver!("rar-percpu/src/slots.rs", try_claim, Domain::<1>::claim)
            }
            Self::ReadByte => driver!("rar-percpu/src/domain_slots.rs", bytes, Domain::<1>::claim),
            Self::ForgetFailure => driver!(
                "rar-percpu/src/domain_slots.rs",
                forget_failures,
                Domain::<1>::claim
            ),
            Self::NoSlot => driver!(
                "rar-shootdown/src/slot_wait.rs",
                wait_for_slot,
                Event::NoSlot
            ),
            Self::StorePayload => driver!("rar-percpu/src/memory.rs", store, Claimed::<1>::post),
            Self::Arm => driver!("rar-percpu/src/memory.rs", arm, Claimed::<1>::post),
            Self::Post => driver!("rar-percpu/src/slots.rs", post, Claimed::<1>::post),
            Self::Signal => driver!("rar-shootdown/src/pending.rs", send, Message::Signal),
            Self::FlushSelf => driver!(
                "rar-shootdown/src/ordinary.rs",
                flush_self,
                rar_percpu::fake::pinned
            ),
            Self::DrawTicket => {
                driver!(
                    "rar-percpu/src/domain.rs",
                    request_full_flush,
                    Domain::<1>::request_full_flush
                )
            }
            Self::Request => driver!(
                "rar-percpu/src/generation.rs",
                request,
                Domain::<1>::request_full_flush
            ),
            Self::Interrupt => driver!(
                "rar-shootdown/src/pending.rs",
                request_full_flush,
                Message::Interrupt
            ),
            Self::SeeSuccess => driver!("rar-percpu/src/entries.rs", look_on, Posted::<1>::look_on),
            Self::SeeTakenOver => {
                driver!(
                    "rar-percpu/src/entries.rs",
                    forget_slots_taken_over,
                    Posted::<1>::look
                )
            }
            Self::SeeUnknown | Self::SeeOffline | Self::SeeNoResponder | Self::SeeJoined => {
                driver!(
                    "rar-percpu/src/domain.rs",
                    needs_no_answer,
                    Domain::<1>::needs_no_answer
                )
            }
            Self::SeeFlushed => driver!(
                "rar-percpu/src/domain.rs",
                is_flushed,
                Domain::<1>::is_flushed
            ),
            Self::Demote | Self::CountDemotion => {
                driver!("rar-percpu/src/domain.rs", demote, Domain::<1>::demote)
            }
            Self::SignalAgain => {
                driver!(
                    "rar-shootdown/src/pending/escalation.rs",
                    signal_again,
                    Message::SecondSignal
                )
            }
            Self::FallBack => {
                driver!(
                    "rar-shootdown/src/pending/escalation.rs",
                    fall_back,
                    Message::Interrupt
                )
            }
            Self::Escalate | Self::SendNmi => {
                driver!(
                    "rar-shootdown/src/pending/escalation.rs",
                    escalate,
                    Message::Nmi
                )
            }
            Self::GiveUp => driver!(
                "rar-shootdown/src/pending/late.rs",
                give_up,
                rar_shootdown::Policy::new
            ),
            Self::DropFlush => driver!("rar-shootdown/src/pending.rs", drop, Posted::<1>::settle),
            Self::SettleLook => driver!(
                "rar-percpu/src/entries/settle.rs",
                settle_with_open,
                Posted::<1>::settle
            ),
            Self::Unpost => driver!("rar-percpu/src/slots.rs", unpost, Posted::<1>::settle),
            Self::GiveBack => driver!("rar-percpu/src/slots.rs", give_back, Posted::<1>::settle),
            Self::Quarantine => driver!("rar-percpu/src/slots.rs", quarantine, Posted::<1>::settle),
            Self::Return => driver!(
                "rar-shootdown/src/pending.rs",
                take_owned,
                Posted::<1>::settle
            ),
            Self::ForgetFlush => Function::Outside("kernel: core::mem::forget"),
            Self::LoseSignal => Function::Outside("hardware: a signal is lost"),
            _ => Function::Outside("kernel: the store to the page table"),
        }
    }

    fn of_a_target(self) -> Function {
        use rar_percpu::fake::FakeTlb;
        use rar_percpu::{ActionVector, Domain, FlushGeneration, PinnedCpu};
        match self {
            Self::TakeInterrupt | Self::TakeNmi => {
                Function::Outside("kernel: the handler calls Shootdown::serve")
            }
            Self::ServeInSpin => {
                driver!("rar-shootdown/src/shootdown.rs", idle, |domain: &Domain<
                    1,
                >,
                                                                 cpu: &PinnedCpu<
                    '_,
                >,
                                                                 tlb: &FakeTlb<
                    1,
                >| {
                    domain.answer(cpu, tlb)
                })
            }
            Self::ScanVector => driver!(
                "rar-percpu/src/responder.rs",
                serve_entries,
                |domain: &Domain<1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>| domain.answer(cpu, tlb)
            ),
            Self::TakeEntry => driver!("rar-percpu/src/memory.rs", take, ActionVector::load),
            Self::FlushEntry => {
                driver!(
                    "rar-percpu/src/responder.rs",
                    serve_entries,
                    rar_payload::Operation::decode
                )
            }
            Self::FinishEntry => driver!("rar-percpu/src/memory.rs", finish, ActionVector::load),
            Self::ReadNewest => driver!(
                "rar-percpu/src/generation.rs",
                newest,
                FlushGeneration::newest
            ),
            Self::FlushAll | Self::Complete => driver!(
                "rar-percpu/src/generation.rs",
                complete,
                |domain: &Domain<1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>| {
                    domain.complete_generation(cpu, tlb)
                }
            ),
            Self::LookQuiet => {
                driver!("rar-percpu/src/memory.rs", is_quiet, ActionVector::is_quiet)
            }
            Self::Promote | Self::CountPromotion => {
                driver!(
                    "rar-percpu/src/domain.rs",
                    promote,
                    FlushGeneration::is_demoted
                )
            }
            Self::PublishOffline => driver!(
                "rar-percpu/src/claim.rs",
                publish_offline,
                Domain::<1>::is_online
            ),
            Self::DisableUnit => driver!(
                "rar-percpu/src/rar_cpu_registers.rs",
                write_control,
                rar_percpu::Verified::Restored
            ),
            Self::TakeOpen | Self::FindOpen => {
                driver!(
                    "rar-percpu/src/responder.rs",
                    answer_by_one_flush,
                    rar_percpu::Verified::Restored
                )
            }
            Self::EndEntry => driver!(
                "rar-percpu/src/responder.rs",
                end_entry,
                Domain::<1>::declare_dead
            ),
            Self::Retire => driver!(
                "rar-percpu/src/claim.rs",
                retire,
                rar_percpu::Responder::None
            ),
            Self::BeginJoin => driver!(
                "rar-percpu/src/rar_cpu.rs",
                configure,
                Domain::<1>::limit_entries
            ),
            Self::EnableUnit => {
                driver!(
                    "rar-percpu/src/rar_cpu.rs",
                    bring_online,
                    rar_percpu::Responder::Microcode
                )
            }
            Self::FlushBefore
            | Self::SetResponder
            | Self::PublishOnline
            | Self::CountJoin
            | Self::FlushAfter
            | Self::StoreJoined => {
                driver!(
                    "rar-percpu/src/claim.rs",
                    publish_online,
                    Domain::<1>::is_online
                )
            }
            Self::ClearModes => {
                driver!(
                    "rar-percpu/src/generation.rs",
                    clear_modes,
                    FlushGeneration::is_demoted
                )
            }
            Self::EnterLazy => driver!(
                "rar-percpu/src/generation.rs",
                enter_lazy,
                Domain::<1>::enter_lazy
            ),
            Self::LeaveLazy | Self::FlushMissed | Self::ForgetMissed => driver!(
                "rar-percpu/src/generation.rs",
                leave_lazy,
                |domain: &Domain<1>, cpu: &PinnedCpu<'_>, tlb: &FakeTlb<1>| domain
                    .leave_lazy(cpu, tlb)
            ),
            Self::Distrust => {
                driver!(
                    "rar-percpu/src/rar_cpu.rs",
                    verify,
                    rar_percpu::Verified::Intact
                )
            }
            Self::DeclareDead => {
                driver!(
                    "rar-percpu/src/registry.rs",
                    declare_dead,
                    Domain::<1>::declare_dead
                )
            }
            Self::Unregister | Self::ForgetCpu | Self::EndLife => {
                driver!(
                    "rar-percpu/src/registry.rs",
                    forget,
                    Domain::<1>::declare_dead
                )
            }
            Self::Register => driver!(
                "rar-percpu/src/registry.rs",
                register_alone,
                Domain::<1>::register
            ),
            Self::GetNmi => Function::Outside("hardware: an NMI of something else"),
            Self::Hang => Function::Outside("hardware: a CPU hangs"),
            _ => Function::Outside("hardware: a CPU dies"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transition_stands_for_a_function_that_exists() {
        for transition in Transition::ALL {
            if let Function::Driver {
                file, name, source, ..
            } = transition.function()
            {
                let exists = ["(", "<"]
                    .iter()
                    .any(|next| source.contains(&format!("fn {name}{next}")));
                assert!(exists, "{transition:?}: {file} has no function `{name}`");
            }
        }
    }

    #[test]
    fn what_is_outside_the_driver_is_listed() {
        let outside: Vec<_> = Transition::ALL
            .iter()
            .filter(|one| matches!(one.function(), Function::Outside(_)))
            .filter(|one| one.actor() != crate::transition::Actor::Unit)
            .map(|one| format!("{one:?}"))
            .collect();
        assert_eq!(
            outside,
            [
                "ChangePageTable",
                "LoseSignal",
                "ForgetFlush",
                "TakeInterrupt",
                "TakeNmi",
                "GetNmi",
                "Hang",
                "Die"
            ]
        );
    }
}
