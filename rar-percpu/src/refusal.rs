//! RAR turned off for a whole domain, while its CPUs are online.

use crate::cpu_set::CpuSet;
use crate::domain::Domain;
use crate::per_cpu::Responder;
use crate::sync::{Ordering, fence};

impl<const WORDS: usize> Domain<WORDS> {
    /// Refuses RAR units from now on: no CPU comes online by its unit any more. For a system in
    /// which one CPU disagrees with the proof of detection.
    ///
    /// CPUs that are online by their units stay so until each calls
    /// [`OnlineCpu::switch_to_software`](crate::OnlineCpu::switch_to_software). Ask each of
    /// [`answered_by_units`](Self::answered_by_units) to do so: a CPU that is not in that set is
    /// refused, whatever step of its way up it has reached. Flushes go on meanwhile, and none has
    /// to end first.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_percpu::fake::{FakeAddresses, FakeTlb, pinned};
    /// use rar_percpu::{
    ///     ApicId, CpuId, Domain, OnlineCpu, PerCpu, RarCpu, SoftwareCpu,
    /// };
    /// use rar_regs::{Detection, FakeCpu, InterruptPolicy};
    ///
    /// static DOMAIN: Domain = Domain::new();
    /// static CPUS: [PerCpu; 2] = [const { PerCpu::new() }; 2];
    /// // The second CPU has a table of another size.
    /// let (registers, others) = (FakeCpu::with_rar(63), FakeCpu::with_rar(31));
    /// let (tlb, support) = (FakeTlb::<2>::new(), Detection::new().detect(&registers)?);
    /// for (number, memory) in (0..).zip(&CPUS) {
    ///     DOMAIN.register(CpuId::new(number), ApicId::new(number), memory)?;
    /// }
    /// let unit = RarCpu::detect(&DOMAIN, &pinned(0), support, &registers)?;
    /// let unit = unit.configure(&pinned(0), &FakeAddresses)?;
    /// // SAFETY: a host; nothing follows the addresses.
    /// let unit = unsafe { unit.bring_online(&pinned(0), InterruptPolicy::IgnoreIf, &tlb) }?;
    /// let boot = OnlineCpu::from(unit);
    ///
    /// // On the CPU that disagrees. The message shows both values.
    /// let error = RarCpu::detect(&DOMAIN, &pinned(1), support, &others).unwrap_err();
    /// let both = "0x1f00000000 on this CPU, 0x3f00000000 on the boot CPU";
    /// assert!(error.to_string().contains(both));
    /// DOMAIN.refuse_units();
    /// let to_ask = DOMAIN.answered_by_units();
    /// assert_eq!(to_ask.iter().collect::<Vec<_>>(), [CpuId::new(0)]);
    /// let _here = SoftwareCpu::bring_online(&DOMAIN, &pinned(1), &tlb)?;
    ///
    /// // On each CPU that was asked, for example in the handler of an interrupt.
    /// let boot = boot.switch_to_software(&pinned(0), &tlb).map_err(|stays| stays.cause)?;
    /// assert!(matches!(boot, OnlineCpu::Software(_)));
    /// assert!(DOMAIN.answered_by_units().is_empty());
    /// assert_eq!(registers.msr(0xed), Some(0), "RAR is disabled");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refuse_units(&self) {
        self.refused_flag().store(1, Ordering::Release);
        // Partner: the fence between a CPU's publication and its look at the flag. Whichever comes
        // first, either the CPU is refused, or it is seen by `answered_by_units` behind this.
        fence(Ordering::SeqCst);
    }

    /// Returns whether units are refused, by [`refuse_units`](Self::refuse_units).
    #[must_use]
    pub fn refuses_units(&self) -> bool {
        self.refused_flag().load(Ordering::Acquire) != 0
    }

    /// Returns the CPUs whose RAR units answer at this moment.
    #[must_use]
    pub fn answered_by_units(&self) -> CpuSet<WORDS> {
        let mut cpus = self.registered();
        cpus.retain(|cpu| {
            self.cpu(cpu)
                .is_some_and(|state| state.responder() == Responder::Microcode)
        });
        cpus
    }
}
