//! The invariants, by name, and where those that the model cannot express are held.

/// A rule of `docs/invariants.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Invariant {
    /// No flush returns `Ok` before its targets have flushed.
    I1 = 1,
    /// A payload does not change while a byte may be read.
    I2,
    /// Only the owner arms; only the responder answers.
    I3,
    /// Payload, PENDING, signal, flush, answer, in this order.
    I4,
    /// A byte that is not final is no answer.
    I5,
    /// A slot leaves quarantine by its own late byte.
    I6,
    /// Every wait ends.
    I7,
    /// No CPU signals itself.
    I8,
    /// Nothing panics, allocates or locks.
    I9,
    /// Store, fence, look; publish, fence, flush.
    I10,
    /// A software responder takes an entry by exchange.
    I11,
    /// The order on the way up and down.
    I12,
    /// A flush of freed tables skips no CPU.
    I13,
    /// An MSR write has no fallback.
    I14,
    /// No safe call breaks I1.
    I15,
    /// One bad CPU harms no other.
    I16,
}

/// How an invariant is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// In each state of the model, or at the steps that could break it: what is judged there.
    Here(&'static str),
    /// Not in the model: where it is held.
    Elsewhere(&'static str),
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I10,
        Self::I11,
        Self::I12,
        Self::I13,
        Self::I14,
        Self::I15,
        Self::I16,
    ];

    /// Returns its bit in a set of invariants.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> String {
        format!("I{}", self as u8)
    }

    /// Returns how it is judged.
    #[must_use]
    pub const fn judged(self) -> Judged {
        match self {
            Self::I1 => Judged::Here(
                "in each state: no CPU that uses translations holds one that a flush which \
                    returned `Ok` names",
            ),
            Self::I2 => Judged::Here(
                "when a payload is stored, and when a slot is freed or taken over: no byte of it \
                    may still be read as \
                 PENDING or taken",
            ),
            Self::I3 => Judged::Here(
                "when a byte is armed: its slot is claimed by who arms it, and the byte is \
                    final; when software ends \
                 a byte: no enabled unit answers there",
            ),
            Self::I4 => Judged::Here(
                "when a payload is read: it is of the flush that owns the slot; when a signal is \
                    sent: the target is \
                 armed; when a byte becomes SUCCESS: the flush is done",
            ),
            Self::I5 => {
                Judged::Here("when an initiator counts an entry as done: its byte is SUCCESS")
            }
            Self::I6 => Judged::Here(
                "when a slot in quarantine is taken over: each byte of a registered CPU is final",
            ),
            Self::I7 => Judged::Here(
                "each step lowers a number that cannot fall forever, and no state without a next \
                    step has a flush \
                 that has not ended; where nothing is broken, without any deadline",
            ),
            Self::I8 => Judged::Here("when a signal is sent"),
            Self::I9 => Judged::Elsewhere("lints; `cargo xtask disasm`"),
            Self::I10 => Judged::Here(
                "when targets are read: the store is made; when a CPU has come online: it holds \
                 nothing that a flush which skipped it names",
            ),
            Self::I11 => Judged::Here("when software takes an entry: its byte is PENDING"),
            Self::I12 => Judged::Here(
                "when a CPU is published, has joined, retires, or is seen to be gone: what comes \
                    before is done",
            ),
            Self::I13 => Judged::Here("when targets are sorted"),
            Self::I14 => Judged::Elsewhere("the type `Request`"),
            Self::I15 => {
                Judged::Elsewhere("tests `soundness` and `misuse` of `rar-shootdown`; types")
            }
            Self::I16 => Judged::Here(
                "when targets are sorted: no demoted CPU gets an entry; when a dead CPU is \
                    forgotten: its entries are \
                 ended",
            ),
        }
    }

    /// Returns the names of a set of invariants.
    #[must_use]
    pub fn names(set: u32) -> String {
        let names = Self::ALL.into_iter().filter(|one| set & one.bit() != 0);
        names.map(Self::name).collect::<Vec<_>>().join(", ")
    }
}
