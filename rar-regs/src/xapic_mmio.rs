//! The interrupt command register of an xAPIC: two words of a memory-mapped page.

use core::hint::spin_loop;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

use crate::interrupts_off::{InterruptFlag, InterruptsOff, NativeFlag};
use crate::{IcrBusy, XapicIcr};

/// The local APIC of the executing CPU in xAPIC mode, through its page of memory-mapped registers.
///
/// The page has the same address on all CPUs and shows each its own APIC.
///
/// # Two words, one message
///
/// A message is written in two words, and only the second one sends. Between the two no other code
/// may use the register of this CPU, so maskable interrupts are off there. That is enough if no NMI
/// handler sends. A kernel whose other drivers send through the same APIC inside a critical section
/// of their own turns on the feature `critical-section`: the two writes then lie inside
/// `critical_section::with` as well. It is off by default because the critical section of a
/// multiprocessor kernel is a lock across CPUs, and the path of a TLB flush takes no lock: a CPU
/// that holds it could be the one that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct XapicMmio {
    base: NonNull<u32>,
}

/// How often [`XapicMmio::send`] polls for an idle APIC: a bound against hanging, not a time to
/// expect.
pub(crate) const MAX_POLLS: u32 = 10_000;

/// Offset of the low word of the interrupt command, in 32-bit words.
const ICR_LOW: usize = 0x300 / 4;
/// Offset of the high word.
const ICR_HIGH: usize = 0x310 / 4;

// SAFETY: the pointer names device registers, not memory of a thread, and `try_send` keeps
// interrupts off around its accesses, so that both words reach the APIC of one CPU whichever thread
// or CPU calls.
unsafe impl Send for XapicMmio {}
// SAFETY: as for `Send`; CPUs that send at the same time use different APICs behind the same
// address.
unsafe impl Sync for XapicMmio {}

impl XapicMmio {
    /// Returns the APIC whose register page is mapped at `base`.
    ///
    /// # Safety
    ///
    /// 1. `base` maps the 4 KiB page of the local APIC, uncached, at this address on every CPU that
    ///    uses the value, for as long as it does.
    /// 2. The APIC is enabled in xAPIC mode there.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u32>) -> Self {
        Self { base }
    }

    /// Sends an interrupt, after everything stored before the call is visible.
    ///
    /// The wait for an idle APIC is bounded. A caller that has to serve requests of other CPUs
    /// meanwhile polls with [`try_send`](Self::try_send) instead, which also says what the two have
    /// in common.
    ///
    /// # Errors
    ///
    /// [`IcrBusy`] if the APIC was sending something else at every poll; nothing was sent.
    ///
    /// # Safety
    ///
    /// As [`try_send`](Self::try_send).
    pub unsafe fn send(&self, icr: XapicIcr) -> Result<(), IcrBusy> {
        self.send_bounded(icr, &NativeFlag, spin_loop)
    }

    /// Sends an interrupt if the APIC is idle, after everything stored before the call is visible.
    /// Never waits.
    ///
    /// Interrupts are off from the look at the APIC to the second write; RFLAGS.IF is left as it
    /// was. A store to the uncached page becomes visible after every earlier store to ordinary
    /// memory (SDM vol. 3, MSR Access in x2APIC Mode: accesses to the page have serializing
    /// semantics; documented), so no fence instruction is needed.
    ///
    /// # Errors
    ///
    /// [`IcrBusy`], with one poll, if the APIC was sending something else; nothing was sent.
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0.
    /// 2. No NMI handler sends through the same APIC: it could come between the two words.
    /// 3. The target can take the message: an INIT or start-up message resets what runs there, an
    ///    interrupt or NMI runs its handler, a remote action request makes a unit that is enabled
    ///    follow the base registers of its CPU.
    pub unsafe fn try_send(&self, icr: XapicIcr) -> Result<(), IcrBusy> {
        self.try_send_once(icr, &NativeFlag)
    }

    fn send_bounded(
        self,
        icr: XapicIcr,
        flag: &impl InterruptFlag,
        mut relax: impl FnMut(),
    ) -> Result<(), IcrBusy> {
        for _ in 0..MAX_POLLS {
            if self.try_send_once(icr, flag).is_ok() {
                return Ok(());
            }
            relax();
        }
        Err(IcrBusy { polls: MAX_POLLS })
    }

    fn try_send_once(self, icr: XapicIcr, flag: &impl InterruptFlag) -> Result<(), IcrBusy> {
        let send = || {
            let _interrupts = InterruptsOff::enter(flag);
            self.send_if_idle(icr)
        };
        #[cfg(feature = "critical-section")]
        let sent = critical_section::with(|_| send());
        #[cfg(not(feature = "critical-section"))]
        let sent = send();
        if sent {
            Ok(())
        } else {
            Err(IcrBusy { polls: 1 })
        }
    }

    fn send_if_idle(self, icr: XapicIcr) -> bool {
        let idle = self.read(ICR_LOW) & XapicIcr::DELIVERY_STATUS == 0;
        if idle {
            // The volatile stores below must not be moved before what the target is to see.
            compiler_fence(Ordering::SeqCst);
            self.write(ICR_HIGH, icr.high());
            self.write(ICR_LOW, icr.low());
        }
        idle
    }

    fn read(self, word: usize) -> u32 {
        // SAFETY: `word` is one of the two offsets above, inside the page promised to `new`.
        let register = unsafe { self.base.add(word) };
        // SAFETY: `new` was promised that the page is mapped; reading the interrupt command has no
        // effect.
        unsafe { register.read_volatile() }
    }

    fn write(self, word: usize, value: u32) {
        // SAFETY: `word` is one of the two offsets above, inside the page promised to `new`.
        let register = unsafe { self.base.add(word) };
        // SAFETY: `new` was promised that the page is mapped; that the message is harmless is the
        // duty 3 of `send` and `try_send`.
        unsafe { register.write_volatile(value) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ApicId;
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    /// A page of registers; an array stands for it.
    struct Page(Cell<[u32; 1024]>);

    impl Page {
        fn new(low: u32) -> Self {
            let mut words = [0; 1024];
            words[ICR_LOW] = low;
            Self(Cell::new(words))
        }

        fn apic(&self) -> XapicMmio {
            // SAFETY: 1. and 2. only offsets inside the array are touched.
            unsafe { XapicMmio::new(NonNull::new(self.0.as_ptr().cast()).unwrap()) }
        }

        fn icr(&self) -> (u32, u32) {
            let words = self.0.get();
            assert!(words.iter().filter(|word| **word != 0).count() <= 2);
            (words[ICR_HIGH], words[ICR_LOW])
        }
    }

    /// RFLAGS.IF of a CPU, which notes what the registers held at each change.
    struct Flag<'a> {
        on: Cell<bool>,
        page: &'a Page,
        changes: RefCell<Vec<(bool, (u32, u32))>>,
    }

    impl<'a> Flag<'a> {
        fn new(on: bool, page: &'a Page) -> Self {
            let (on, changes) = (Cell::new(on), RefCell::default());
            Self { on, page, changes }
        }

        fn set(&self, on: bool) {
            self.on.set(on);
            self.changes.borrow_mut().push((on, self.page.icr()));
        }
    }

    impl InterruptFlag for Flag<'_> {
        fn is_on(&self) -> bool {
            self.on.get()
        }

        fn switch_off(&self) {
            self.set(false);
        }

        fn switch_on(&self) {
            self.set(true);
        }
    }

    const MESSAGE: (u32, u32) = (0x0900_0000, 0x300);
    const BUSY: u32 = 0x1000;

    fn rar() -> XapicIcr {
        XapicIcr::rar(ApicId::new(9)).unwrap()
    }

    #[test]
    fn the_words_of_the_interrupt_command_are_where_the_manual_has_them() {
        assert_eq!([ICR_LOW * 4, ICR_HIGH * 4], [0x300, 0x310]);
    }

    #[test]
    fn both_words_are_written_with_interrupts_off_and_they_are_on_again_afterwards() {
        let page = Page::new(0);
        let flag = Flag::new(true, &page);
        assert_eq!(
            page.apic()
                .send_bounded(rar(), &flag, || panic!("no need to wait")),
            Ok(())
        );
        assert_eq!(page.icr(), MESSAGE);
        assert_eq!(*flag.changes.borrow(), [(false, (0, 0)), (true, MESSAGE)]);
    }

    #[test]
    fn interrupts_that_were_off_stay_off() {
        let page = Page::new(0);
        let flag = Flag::new(false, &page);
        assert_eq!(page.apic().try_send_once(rar(), &flag), Ok(()));
        assert_eq!(page.icr(), MESSAGE);
        assert!(!flag.is_on() && flag.changes.borrow().iter().all(|(on, _)| !on));
    }

    #[test]
    fn nothing_is_written_while_the_apic_is_sending() {
        let page = Page::new(BUSY);
        let flag = Flag::new(true, &page);
        assert_eq!(
            page.apic().try_send_once(rar(), &flag),
            Err(IcrBusy { polls: 1 })
        );
        assert_eq!(page.icr(), (0, BUSY));
        assert!(flag.is_on());
    }

    #[test]
    fn the_wait_is_bounded_and_interrupts_are_on_in_it() {
        let page = Page::new(BUSY);
        let flag = Flag::new(true, &page);
        let mut waits = 0;
        let sent = page.apic().send_bounded(rar(), &flag, || {
            assert!(flag.is_on());
            waits += 1;
        });
        assert_eq!(sent, Err(IcrBusy { polls: MAX_POLLS }));
        assert_eq!((waits, page.icr()), (MAX_POLLS, (0, BUSY)));
    }

    #[test]
    fn the_message_goes_out_as_soon_as_the_apic_is_idle() {
        let page = Page::new(BUSY | 0x40f3);
        let flag = Flag::new(true, &page);
        let mut waits = 0;
        let sent = page.apic().send_bounded(rar(), &flag, || {
            waits += 1;
            if waits == 3 {
                page.0.set(Page::new(0x40f3).0.get());
            }
        });
        assert_eq!((sent, waits, page.icr()), (Ok(()), 3, MESSAGE));
    }
}
