//! The entries of an ordinary flush: free slots, a few operations, and a set that is only borrowed.

use crate::cpu_id::PinnedCpu;
use crate::cpu_set::CpuSet;
use crate::domain::Domain;
use crate::entries::{Posted, has_succeeded};
use crate::memory::EntryWords;
use crate::slots::Claim;

/// `N` entries that are armed on some CPUs.
///
/// [`Domain::post`] makes it. It is [`Posted`] without a set of its own, for a flush that ends
/// soon. If it is dropped before the end, its slots can be taken over after the last answer.
#[must_use = "the entries are armed; await their end"]
#[derive(Debug)]
pub struct Armed<'d, 't, const N: usize, const WORDS: usize> {
    domain: &'d Domain<WORDS>,
    claims: [Claim; N],
    targets: &'t CpuSet<WORDS>,
}

impl<const WORDS: usize> Domain<WORDS> {
    /// Writes `N` entries into free slots near this CPU and arms the targets; `None`, with nothing
    /// written, if fewer of them are free.
    ///
    /// The first slot is the home of this CPU if that is free. Waiting for slots, looking further,
    /// and taking over those that serve no flush any more, is for [`claim`](Self::claim). The
    /// caller signals the targets next.
    ///
    /// An operation may be an [`Operation`](rar_payload::Operation), or what was made of it before.
    // Always: it is one half of a function that has the other half behind the signal.
    #[inline(always)]
    pub fn post<'d, 't, T: Copy, const N: usize>(
        &'d self,
        cpu: &PinnedCpu<'_>,
        operations: &[T; N],
        targets: &'t CpuSet<WORDS>,
    ) -> Option<Armed<'d, 't, N, WORDS>>
    where
        for<'o> &'o T: Into<EntryWords>,
    {
        // The two ways meet again behind the arming: up to there the compiler knows the slots.
        let claims = match self.slots().claim_several(cpu.id()) {
            Some(mut claims) => {
                self.write_and_arm(&mut claims, operations, targets);
                claims
            }
            None => self.post_near(cpu, *operations, *targets)?,
        };
        Some(Armed {
            domain: self,
            claims,
            targets,
        })
    }

    /// Posts in slots near this CPU. A function of its own, with copies of what it is given: the
    /// caller keeps its own in registers.
    #[cold]
    #[inline(never)]
    fn post_near<T: Copy, const N: usize>(
        &self,
        cpu: &PinnedCpu<'_>,
        operations: [T; N],
        targets: CpuSet<WORDS>,
    ) -> Option<[Claim; N]>
    where
        for<'o> &'o T: Into<EntryWords>,
    {
        let mut claims = self.slots().claim_several_near(cpu.id())?;
        self.write_and_arm(&mut claims, &operations, &targets);
        Some(claims)
    }
}

impl<'d, 't, const N: usize, const WORDS: usize> Armed<'d, 't, N, WORDS> {
    /// Ends the ownership if every target has answered every entry with SUCCESS.
    ///
    /// # Errors
    ///
    /// Itself if one has not, or if a slot was taken over and serves another flush: [`Posted`]
    /// tells which.
    #[inline(always)]
    pub fn end(self) -> Result<(), Self> {
        let is_answered = self
            .domain
            .cpus()
            .all(self.targets, |state| has_succeeded(state, &self.claims));
        self.give_back_if(is_answered)
    }

    /// The same once every target has answered: one that has not is looked at again after `relax`,
    /// `looks` times in all.
    ///
    /// The targets are looked at in turn, and none again that has answered. It serves no CPU
    /// meanwhile: that is for a wait that lasts.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end), and the looks are used up.
    #[inline]
    pub fn end_soon(self, mut looks: u32, relax: impl Fn()) -> Result<(), Self> {
        let is_answered = self.domain.cpus().all(self.targets, |state| {
            while !has_succeeded(state, &self.claims) {
                if looks == 0 {
                    return false;
                }
                looks -= 1;
                relax();
            }
            true
        });
        self.give_back_if(is_answered)
    }

    #[inline(always)]
    fn give_back_if(self, is_answered: bool) -> Result<(), Self> {
        if !is_answered {
            return Err(self);
        }
        for claim in &self.claims {
            self.domain.slots().give_back(claim);
        }
        Ok(())
    }

    /// Returns the same entries for a function that is called: a set of one word is copied to
    /// `place`, so that it stays in a register elsewhere.
    #[inline(always)]
    pub fn apart<'u>(self, place: &'u mut CpuSet<WORDS>) -> Armed<'d, 'u, N, WORDS>
    where
        't: 'u,
    {
        let targets = if WORDS == 1 {
            *place = *self.targets;
            place
        } else {
            self.targets
        };
        Armed {
            domain: self.domain,
            claims: self.claims,
            targets,
        }
    }

    /// Returns the same entries with a set of their own.
    #[inline]
    pub fn into_posted(self) -> Posted<'d, WORDS> {
        Posted::new(self.domain, self.claims, *self.targets)
    }
}
