//! What requests cover, against a model of a TLB that knows nothing but the manual: never less than
//! was asked for.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use rar_payload::{
    CostModel, Globals, InvpcidScope, LinearAddressWidth, Operation, PageRange, PageSize, Pcid,
    Request, TableOwner,
};

/// A translation that some TLB may hold: one page, of an address space or global (`None`).
#[derive(Clone, Copy, Debug)]
struct Cached {
    pcid: Option<u16>,
    page: u64,
    size: PageSize,
}

/// What a kernel asks for, in plain numbers.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: Kind,
    pcid: u16,
    first_byte: u64,
    last_byte: u64,
    size: PageSize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pages,
    AddressSpace,
    GlobalPages,
    SpaceTables,
    KernelTables,
    Everything,
    EverythingButGlobals,
}

const KINDS: [Kind; 7] = [
    Kind::Pages,
    Kind::AddressSpace,
    Kind::GlobalPages,
    Kind::SpaceTables,
    Kind::KernelTables,
    Kind::Everything,
    Kind::EverythingButGlobals,
];

impl Asked {
    fn request(&self) -> Request {
        let bytes = self.last_byte - self.first_byte + 1;
        let range = || {
            PageRange::covering_with_width(
                self.first_byte,
                bytes,
                self.size,
                LinearAddressWidth::Bits57,
            )
            .unwrap()
        };
        let pcid = Pcid::new(self.pcid).unwrap();
        match self.kind {
            Kind::Pages => Request::Pages {
                pcid,
                range: range(),
            },
            Kind::AddressSpace => Request::AddressSpace { pcid },
            Kind::GlobalPages => Request::GlobalPages { range: range() },
            Kind::SpaceTables => Request::TablesFreed(TableOwner::AddressSpace(pcid)),
            Kind::KernelTables => Request::TablesFreed(TableOwner::Kernel),
            Kind::Everything => Request::Everything {
                globals: Globals::Include,
            },
            Kind::EverythingButGlobals => Request::Everything {
                globals: Globals::Exclude,
            },
        }
    }

    /// Whether the translation has to be gone afterwards.
    fn wants(&self, cached: &Cached) -> bool {
        let last_of_page = cached.page | (cached.size.bytes() - 1);
        let touched = cached.size == self.size
            && cached.page <= self.last_byte
            && self.first_byte <= last_of_page;
        let own = cached.pcid == Some(self.pcid);
        match self.kind {
            Kind::Pages => own && touched,
            Kind::AddressSpace | Kind::SpaceTables => own,
            Kind::GlobalPages => cached.pcid.is_none() && touched,
            Kind::KernelTables | Kind::Everything => true,
            Kind::EverythingButGlobals => cached.pcid.is_some(),
        }
    }
}

/// Whether an operation drops a translation for certain: that of its page sizes and addresses, by
/// the rules of the INVPCID instruction (SDM vol. 2, INVPCID; documented).
fn drops(operation: &Operation, cached: &Cached) -> bool {
    let Operation::Invpcid(scope) = operation else {
        return false;
    };
    match scope {
        InvpcidScope::Pages { pcid, pages } => {
            let mut named = (0..u64::from(pages.page_count()))
                .map(|page| pages.start() + page * pages.size().bytes());
            cached.pcid == Some(pcid.get())
                && cached.size == pages.size()
                && named.any(|page| page == cached.page)
        }
        InvpcidScope::Context { pcid } => cached.pcid == Some(pcid.get()),
        InvpcidScope::AllContexts(Globals::Include) => true,
        InvpcidScope::AllContexts(Globals::Exclude) => cached.pcid.is_some(),
    }
}

/// Few PCIDs, so that requests and translations meet; 0 is one of them.
fn pcids() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![0, 1, 2, 0xfff])
}

/// Bytes anywhere, most of them at an edge of the halves of the address space, a few hundred pages
/// at most.
fn asked() -> impl Strategy<Value = Asked> {
    let half = 1u64 << 56;
    let narrow = 1u64 << 47;
    let edges = vec![
        0,
        narrow,
        half - 1,
        half.wrapping_neg(),
        narrow.wrapping_neg(),
        u64::MAX,
    ];
    let anchor = prop_oneof![
        3 => prop::sample::select(edges),
        1 => any::<u64>().prop_map(|word| (word as i64 >> 7) as u64),
    ];
    let length = prop_oneof![2 => 1..=3u64, 3 => 1..=200u64, 2 => 62..=65u64, 1 => 125..=127u64];
    let kind = prop_oneof![Just(Kind::Pages), prop::sample::select(KINDS.to_vec())];
    let size = prop::sample::select(PageSize::ALL.to_vec());
    (
        kind,
        pcids(),
        size,
        anchor,
        length,
        any::<[u64; 2]>(),
        any::<bool>(),
    )
        .prop_map(
            move |(kind, pcid, size, anchor, pages, [back, cut], aligned)| {
                let bytes = size.bytes();
                // The half that holds the anchor.
                let (bottom, top) = match anchor >> 63 == 1 {
                    true => (half.wrapping_neg(), u64::MAX),
                    false => (0, half - 1),
                };
                let cut = if aligned { 0 } else { cut % bytes };
                let first_byte = anchor
                    .saturating_sub(back % (pages + 2) * bytes)
                    .max(bottom);
                let first_byte = (first_byte & !(bytes - 1)) + cut;
                let last_byte = first_byte.saturating_add(pages * bytes - 1).min(top);
                Asked {
                    kind,
                    pcid,
                    first_byte,
                    last_byte,
                    size,
                }
            },
        )
}

/// Every translation that could tell a request from another one: of all PCIDs and sizes, about the
/// ends of the range and about the ends of its chunks.
fn witnesses(asked: &Asked, anywhere: u64) -> Vec<Cached> {
    let mut all = Vec::new();
    for size in PageSize::ALL {
        let page = |address: u64| address & !(size.bytes() - 1);
        let (first, last) = (page(asked.first_byte), page(asked.last_byte));
        let inside = first + anywhere % (last - first + 1);
        let mut pages = vec![page(inside), page(anywhere)];
        for step in (0..=2).chain(61..=65).chain(125..=127) {
            let step = step * size.bytes();
            pages.extend([first.wrapping_add(step), last.wrapping_sub(step)]);
        }
        pages.extend([
            first.wrapping_sub(size.bytes()),
            last.wrapping_add(size.bytes()),
        ]);
        for page in pages {
            let pcids = [None, Some(0), Some(1), Some(2), Some(0xfff)];
            all.extend(pcids.map(|pcid| Cached { pcid, page, size }));
        }
    }
    all
}

/// Models by which all pages are cheap, none are, or some.
fn costs() -> impl Strategy<Value = CostModel> {
    let any = (0..400u32, 0..200u32, 0..20_000u32).prop_map(|(entry, page, space)| {
        let costs = CostModel::new();
        costs.with_entry(entry).with_page(page).with_space(space)
    });
    prop_oneof![Just(CostModel::EXACT), Just(CostModel::new()), any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn operations_drop_what_is_asked_for_and_pages_nothing_else(asked in asked(), anywhere: u64) {
        let request = asked.request();
        let operations: Vec<Operation> = request.operations().collect();
        for cached in witnesses(&asked, anywhere) {
            let dropped = operations.iter().filter(|operation| drops(operation, &cached)).count();
            if asked.wants(&cached) {
                prop_assert_eq!(dropped, 1, "{:x?}", cached);
            } else if asked.kind != Kind::GlobalPages {
                // Pages that are mapped global cannot be named alone.
                prop_assert_eq!(dropped, 0, "{:x?}", cached);
            }
        }
        let last = asked.last_byte & !(asked.size.bytes() - 1);
        let first = asked.first_byte & !(asked.size.bytes() - 1);
        let pages = (last - first) / asked.size.bytes() + 1;
        let expected = if asked.kind == Kind::Pages { pages.div_ceil(63) } else { 1 };
        prop_assert_eq!(operations.len() as u64, expected);
    }

    /// However few operations are allowed, they drop all that each request wants.
    #[test]
    fn widened_and_collapsed_requests_drop_all_that_is_wanted(
        all in prop::collection::vec(asked(), 1..=12), limit in 0..=5usize, costs in costs(),
            anywhere: u64,
    ) {
        let requests: Vec<Request> = all.iter().map(Asked::request).collect();
        let collapsed = Request::collapse(&requests, limit, &costs);
        prop_assert!(collapsed.exact || collapsed.crowded || costs != CostModel::EXACT);
        prop_assert!((1..=limit.clamp(1, 4)).contains(&collapsed.operations.len()));
        let dropped =
            |cached: &Cached| collapsed.operations.into_iter().any(|operation|
                drops(operation, cached));
        for (asked, request) in all.iter().zip(&requests) {
            for cached in witnesses(asked, anywhere) {
                if asked.wants(&cached) {
                    prop_assert!(drops(&request.widened(), &cached), "{:?} spares {:x?}",
                        request.widened(), cached);
                    if let Some(cheapest) = request.cheapest_operation(&costs) {
                        prop_assert!(drops(&cheapest, &cached), "{:?} spares {:x?}", cheapest,
                            cached);
                    }
                    prop_assert!(dropped(&cached), "{:?} spares {:x?}", collapsed, cached);
                } else if collapsed.exact {
                    let global = |asked: &Asked| asked.kind == Kind::GlobalPages;
                    let wanted = all.iter().any(|asked| global(asked) || asked.wants(&cached));
                    prop_assert!(wanted || !dropped(&cached), "{:?} drops {:x?}", collapsed,
                        cached);
                }
            }
        }
        let pair = match requests.as_slice() {
            [one, two, ..] if Request::are_kept_apart(one, two, &costs) => {
                one.cheapest_operation(&costs).zip(two.cheapest_operation(&costs))
            }
            _ => None,
        };
        if let Some((first, second)) = pair {
            for (asked, cheapest) in all.iter().zip([first, second]) {
                for cached in witnesses(asked, anywhere) {
                    prop_assert!(drops(&cheapest, &cached) || !asked.wants(&cached));
                }
            }
        }
        // Globals stay where no request names one, and one address space stays one.
        let spare = Cached { pcid: None, page: 0, size: PageSize::Size4K };
        let global = |asked: &Asked| {
            [Kind::GlobalPages, Kind::KernelTables, Kind::Everything].contains(&asked.kind)
        };
        prop_assert_eq!(dropped(&spare), all.iter().any(global));
        let own = [Kind::Pages, Kind::AddressSpace, Kind::SpaceTables];
        let first = all[0].pcid;
        if all.iter().all(|asked| own.contains(&asked.kind) && asked.pcid == first) {
            let other = Cached { pcid: Some(first ^ 3), ..spare };
            prop_assert!(!dropped(&other));
        }
    }

    /// Even ranges that are too large to be cut into entries have a whole operation, and count
    /// their chunks.
    #[test]
    fn huge_ranges_are_counted_and_covered(pcid in pcids(),
        size in prop::sample::select(PageSize::ALL.to_vec()), ends in any::<[u64; 2]>(),
            high: bool) {
        let half = 1u64 << 56;
        let [a, b] = ends.map(|end| end % half + if high { half.wrapping_neg() } else { 0 });
        let asked =
            Asked { kind: Kind::Pages, pcid, first_byte: a.min(b), last_byte: a.max(b), size };
        let request = asked.request();
        let pages = (asked.last_byte / size.bytes()) - (asked.first_byte / size.bytes()) + 1;
        prop_assert_eq!(request.operations().len() as u64, pages.div_ceil(63));
        for cached in witnesses(&asked, ends[0] ^ ends[1]) {
            prop_assert!(drops(&request.widened(), &cached) || !asked.wants(&cached));
        }
    }
}

#[test]
fn nothing_is_collapsed_to_nothing() {
    for limit in 0..=5 {
        let collapsed = Request::collapse(&[], limit, &CostModel::new());
        assert!(collapsed.operations.is_empty() && collapsed.exact);
    }
}
