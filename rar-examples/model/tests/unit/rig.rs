//! One CPU with its unit, its memory and a TLB with known contents.

use std::sync::atomic::AtomicU8;

use rar_model::{
    ACTION_VECTOR_BASE, CONTROL, Execution, InterruptFlag, Knobs, Outcome, PAYLOAD_TABLE_BASE,
    PENDING, PageSize, Pass, Pcids, PhysicalMemory, RarUnit, Sender, Serviced, SharedBytes,
    Signalled, Tag, TlbModel, Translation,
};

pub(crate) const TABLE: u64 = 0x1_0000;
pub(crate) const VECTOR: u64 = TABLE + 0x1000;
pub(crate) const ENABLE: u64 = 0x8000_0000;
pub(crate) const IGNORE_IF: u64 = 0x4000_0000;
pub(crate) const CR3: u64 = 0x0123_4005;

/// The current PCID (from [`CR3`]) and another one.
pub(crate) const HERE: u16 = 5;
pub(crate) const THERE: u16 = 6;

pub(crate) struct Rig {
    pub(crate) unit: RarUnit,
    pub(crate) tlb: TlbModel<64>,
    pub(crate) seen: Vec<Execution>,
    bytes: Vec<AtomicU8>,
}

impl Rig {
    /// Programmed and enabled with IGNORE_IF.
    pub(crate) fn enabled(knobs: Knobs) -> Self {
        let rig = Self::disabled(knobs);
        assert_eq!(rig.unit.write_msr(CONTROL, ENABLE | IGNORE_IF), Ok(()));
        rig
    }

    /// Programmed, not enabled.
    pub(crate) fn disabled(knobs: Knobs) -> Self {
        let unit = RarUnit::new(knobs);
        assert_eq!(unit.write_msr(ACTION_VECTOR_BASE, VECTOR), Ok(()));
        assert_eq!(unit.write_msr(PAYLOAD_TABLE_BASE, TABLE), Ok(()));
        Self {
            unit,
            tlb: TlbModel::new(CR3, Pcids::Enabled),
            seen: Vec::new(),
            bytes: (0..0x1040).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    pub(crate) fn memory(&self) -> SharedBytes<'_> {
        SharedBytes::new(TABLE, &self.bytes)
    }

    /// Writes a payload (software area all ones) and arms its byte.
    pub(crate) fn arm(&self, index: u8, words: [u64; 4]) {
        let entry = TABLE + 64 * u64::from(index);
        for (i, word) in (0..).zip(words.into_iter().chain([u64::MAX; 4])) {
            self.memory().store_u64(entry + 8 * i, word);
        }
        self.set_byte(index, PENDING);
    }

    pub(crate) fn byte(&self, index: u8) -> u8 {
        self.memory().load_u8(VECTOR + u64::from(index))
    }

    pub(crate) fn set_byte(&self, index: u8, value: u8) {
        self.memory().store_u8(VECTOR + u64::from(index), value);
    }

    pub(crate) fn service(&mut self, interrupts: InterruptFlag) -> Serviced {
        let Self {
            unit,
            tlb,
            seen,
            bytes,
        } = self;
        let memory = SharedBytes::new(TABLE, bytes);
        unit.service_recorded(interrupts, &memory, tlb, &mut |execution| {
            seen.push(execution);
        })
    }

    /// Serves, and returns what an action byte reads whenever an entry is recorded.
    pub(crate) fn bytes_during_record(&mut self, index: u8) -> Vec<u8> {
        let Self {
            unit, tlb, bytes, ..
        } = self;
        let memory = SharedBytes::new(TABLE, bytes);
        let mut during = Vec::new();
        let serviced = unit.service_recorded(InterruptFlag::Clear, &memory, tlb, &mut |_| {
            during.push(memory.load_u8(VECTOR + u64::from(index)));
        });
        assert!(matches!(serviced, Serviced::Scanned(_)));
        during
    }

    /// Signals and serves; the scan must happen.
    pub(crate) fn pass(&mut self) -> Pass {
        assert_eq!(self.unit.signal(), Signalled::Latched);
        match self.service(InterruptFlag::Clear) {
            Serviced::Scanned(pass) => pass,
            other => unreachable!("not scanned: {other:?}"),
        }
    }

    /// Executes one payload in entry 7 and returns its byte and its outcome.
    pub(crate) fn run(&mut self, words: [u64; 4]) -> (u8, Option<Outcome>) {
        self.arm(7, words);
        self.pass();
        (self.byte(7), self.seen.last().map(|last| last.outcome))
    }

    /// Executes one payload in entry 7 on a signal of `sender` and returns its byte.
    pub(crate) fn run_from(&mut self, sender: Sender, words: [u64; 4]) -> u8 {
        self.arm(7, words);
        self.unit.signal_from(sender);
        assert!(matches!(
            self.service(InterruptFlag::Clear),
            Serviced::Scanned(_)
        ));
        self.byte(7)
    }

    /// Fills a 4K page of the given tag at each address.
    pub(crate) fn fill(&mut self, tag: Tag, addresses: impl IntoIterator<Item = u64>) {
        for address in addresses {
            self.tlb
                .fill(Translation::new(address, address, PageSize::Size4K, tag));
        }
    }

    /// Returns what is still cached, by page; of one page [`HERE`], [`THERE`], global.
    pub(crate) fn cached(&self) -> Vec<(u64, Tag)> {
        let mut all: Vec<_> = self.tlb.iter().map(|t| (t.linear(), t.tag())).collect();
        all.sort_by_key(|(page, tag)| (*page, *tag == Tag::Global, *tag == Tag::Pcid(THERE)));
        all
    }
}

/// Builds quadword 0 from the numbers of the layout, by shifts alone.
pub(crate) fn control(kind: u64, subtype: u64, size: u64, count: u64) -> u64 {
    kind << 8 | subtype << 32 | size << 35 | count << 37
}

/// INVPG without CR3 match, an address range.
pub(crate) fn invpg_pages(start: u64, count: u64) -> [u64; 4] {
    [control(1, 0, 0, count), 0, 0, start]
}

/// INVPCID, an address range of [`HERE`].
pub(crate) fn invpcid_pages(start: u64, count: u64) -> [u64; 4] {
    [control(2, 0, 0, count), 0, u64::from(HERE), start]
}

/// INVPCID, everything.
pub(crate) const EVERYTHING: [u64; 4] = [2 << 8 | 2 << 32, 0, 0, 0];
