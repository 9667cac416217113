//! The properties of a test: a row of the table of tests.

use core::fmt;

use crate::options::{List, Options};
use crate::platform::Platform;
use crate::test_run::Subject;
use crate::units::Ability;

/// The properties of a test.
#[derive(Clone, Copy, Debug)]
pub struct TestInfo {
    /// The name, as in command lines and records.
    pub name: &'static str,
    /// The group: the heading above the row.
    pub group: &'static str,
    /// The minimum number of CPUs.
    pub least_cpus: u32,
    /// The maximum number of CPUs: the test has no pages or words for more.
    pub most_cpus: u32,
    /// How often the test runs.
    pub rounds: Rounds,
    /// What the test needs of RAR units, if it uses them instead of the driver.
    pub units: Option<UnitNeeds>,
    /// Whether CPUs interrupt themselves in the test.
    pub interrupts: bool,
    /// Whether the test needs [`Platform::has_nmi`].
    pub nmi: bool,
    /// Whether the test needs [`UserMode`](crate::UserMode).
    pub user: bool,
    /// Whether the test needs [`Guest`](crate::Guest).
    pub guest: bool,
    /// Whether the test needs [`Crash`](crate::Crash).
    pub crash: bool,
    /// Whether the test is in the short list for machines whose CPUs run in parallel.
    pub race: bool,
    /// Whether the test waits for deadlines to pass, so that only the list of all tests has it.
    pub slow: bool,
    /// Why the test expects other means than the signal, and asserts them itself. Without a reason,
    /// any such means fails the test.
    pub other_means: Option<&'static str>,
    /// Whether the test keeps a target from answering, so that fallbacks and second signals are
    /// expected.
    pub falls_back: bool,
    /// Whether the test checks what a flush does not evict. Where single-page instructions are
    /// exact, as in QEMU, it must pass: an observation is not enough.
    pub spares: bool,
    /// What the test detects where every service of a unit empties the TLB, as in QEMU.
    pub detects: Detects,
    /// The open question that the test answers, by the id of its row in `docs/questions.md`.
    pub question: Option<&'static str>,
    /// What the test may do to a real machine. A test with a risk runs only on request.
    pub risk: Option<&'static str>,
}

/// What a test needs of RAR units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitNeeds {
    /// Only their presence.
    Plain,
    /// An ability that not every machine has.
    Able(Ability),
}

/// How often a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounds {
    /// Once for each CPU as initiator.
    EachInitiator,
    /// Once: all CPUs initiate, or any one does.
    Once,
}

/// Which broken units make a test fail where every service of a unit empties the TLB, as in QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detects {
    /// Units that do not answer, and units that answer without a flush.
    NoFlush,
    /// Units that do not answer. The test does not read the unit's own record, and its loads see a
    /// flush in any case.
    NoAnswer,
    /// Neither: the test uses no unit of another CPU, or only observes what it does.
    Nothing,
}

impl Rounds {
    /// Returns how many runs `initiators` initiators make.
    pub(crate) fn count(self, initiators: u32) -> u32 {
        match self {
            Self::EachInitiator => initiators,
            Self::Once => 1,
        }
    }
}

impl TestInfo {
    /// Returns the row of a test of the driver.
    pub(crate) const fn of_driver(group: &'static str, name: &'static str) -> Self {
        Self {
            name,
            group,
            least_cpus: 1,
            most_cpus: u32::MAX,
            rounds: Rounds::EachInitiator,
            units: None,
            interrupts: false,
            nmi: false,
            user: false,
            guest: false,
            crash: false,
            race: false,
            slow: false,
            other_means: None,
            falls_back: false,
            spares: false,
            detects: Detects::NoFlush,
            question: None,
            risk: None,
        }
    }

    /// Returns the row of a test below the driver. Its target needs a second CPU.
    pub(crate) const fn of_units(group: &'static str, name: &'static str) -> Self {
        let mut info = Self::of_driver(group, name);
        info.units = Some(UnitNeeds::Plain);
        info.least_cpus = 2;
        info
    }

    /// Requires at least `least_cpus` CPUs.
    pub(crate) const fn on(mut self, least_cpus: u32) -> Self {
        self.least_cpus = least_cpus;
        self
    }

    /// Permits at most `most_cpus` CPUs.
    pub(crate) const fn up_to(mut self, most_cpus: u32) -> Self {
        self.most_cpus = most_cpus;
        self
    }

    /// Runs the test once, not for each initiator.
    pub(crate) const fn once(mut self) -> Self {
        self.rounds = Rounds::Once;
        self
    }

    /// Requires an ability of the units.
    pub(crate) const fn needs(mut self, ability: Ability) -> Self {
        self.units = Some(UnitNeeds::Able(ability));
        self
    }

    /// Requires CPUs that interrupt themselves.
    pub(crate) const fn interrupted(mut self) -> Self {
        self.interrupts = true;
        self
    }

    /// Requires NMIs of the driver.
    pub(crate) const fn by_nmi(mut self) -> Self {
        self.nmi = true;
        self
    }

    /// Requires user mode.
    pub(crate) const fn in_user_mode(mut self) -> Self {
        self.user = true;
        self
    }

    /// Requires guests.
    pub(crate) const fn in_guest(mut self) -> Self {
        self.guest = true;
        self
    }

    /// Requires CPUs that crash.
    pub(crate) const fn crashes(mut self) -> Self {
        self.crash = true;
        self
    }

    /// Leaves the test out of the brief list.
    pub(crate) const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Puts the test in the short list of races.
    pub(crate) const fn race(mut self) -> Self {
        self.race = true;
        self
    }

    /// Lets the test expect other means than the signal, for this reason, but no fallback.
    pub(crate) const fn other_means(mut self, why: &'static str) -> Self {
        self.other_means = Some(why);
        self
    }

    /// Lets the test expect other means than the signal, for this reason, including fallbacks and
    /// second signals.
    pub(crate) const fn falls_back(mut self, why: &'static str) -> Self {
        self.other_means = Some(why);
        self.falls_back = true;
        self
    }

    /// Notes that the test checks what a flush does not evict.
    pub(crate) const fn spares(mut self) -> Self {
        self.spares = true;
        self
    }

    /// Notes that the test detects less than others.
    pub(crate) const fn detects(mut self, detects: Detects) -> Self {
        self.detects = detects;
        self
    }

    /// Notes the risk for a real machine.
    pub(crate) const fn risky(mut self, risk: &'static str) -> Self {
        self.risk = Some(risk);
        self
    }

    /// Notes the open question that the test answers.
    pub(crate) const fn answers(mut self, question: &'static str) -> Self {
        self.question = Some(question);
        self
    }

    /// Returns the shortest list that the test is in.
    pub(crate) const fn list(&self) -> List {
        match (self.race, self.slow) {
            (true, _) => List::Race,
            (false, false) => List::Brief,
            (false, true) => List::All,
        }
    }

    /// Returns what the test acts on.
    pub(crate) const fn subject(&self) -> Subject {
        match self.units {
            None => Subject::Driver,
            Some(_) => Subject::Units,
        }
    }

    /// Writes why the test does not run: the machine lacks something, or the options exclude it.
    /// Writes nothing if it runs.
    pub(crate) fn write_obstacle<L: Platform>(
        &self,
        platform: &L,
        options: &Options<'_>,
        why: &mut impl fmt::Write,
    ) -> fmt::Result {
        if let Some(risk) = self.risk.filter(|_| !options.risky) {
            return write!(why, "risky, and not asked for: {risk}");
        }
        if !(self.least_cpus..=self.most_cpus).contains(&platform.cpus()) {
            return match self.most_cpus {
                u32::MAX => write!(why, "needs {} CPUs", self.least_cpus),
                most => write!(why, "needs {} to {most} CPUs", self.least_cpus),
            };
        }
        if self.interrupts && !platform.has_interrupts() {
            return why.write_str("the machine lacks: a local APIC, to interrupt itself");
        }
        if self.nmi && !platform.has_nmi() {
            return why.write_str("the machine offers the driver no NMIs");
        }
        if self.user && platform.user_mode().is_none() {
            return why.write_str("the machine has no user mode");
        }
        if let Err(reason) = platform.guest().map(|_| ())
            && self.guest
        {
            return why.write_str(reason);
        }
        if let Err(reason) = platform.crash().map(|_| ())
            && self.crash
        {
            return why.write_str(reason);
        }
        match (self.units, platform.units()) {
            (Some(_), None) => why.write_str("the machine lends no RAR units to tests"),
            (Some(UnitNeeds::Able(ability)), Some(units)) if !units.can(ability) => {
                write!(why, "the machine lacks: {}", ability.name())
            }
            _ => Ok(()),
        }
    }
}
