//! What holds for any requests, against a plain model.

use super::*;

/// What the requests name, page by page.
#[derive(Default)]
struct Named {
    spaces: BTreeMap<u16, Space>,
    every: Option<Globals>,
}

#[derive(Default)]
struct Space {
    whole: bool,
    pages: BTreeMap<PageSize, BTreeSet<u64>>,
}

impl Named {
    fn new(requests: &[Request]) -> Self {
        let mut named = Self::default();
        for request in requests {
            match *request {
                Request::Pages { pcid, range } => {
                    let space = named.spaces.entry(pcid.get()).or_default();
                    let first = range.start() >> range.size().shift();
                    let pages = space.pages.entry(range.size()).or_default();
                    pages.extend(first..first + range.page_count());
                }
                Request::AddressSpace { pcid }
                | Request::TablesFreed(TableOwner::AddressSpace(pcid)) => {
                    named.spaces.entry(pcid.get()).or_default().whole = true;
                }
                Request::GlobalPages { .. } | Request::TablesFreed(TableOwner::Kernel) => {
                    named.every = Some(Globals::Include);
                }
                Request::Everything { globals } => {
                    named.every = Some(named.every.map_or(globals, |every| every.or(globals)));
                }
                _ => unreachable!("no request of this test"),
            }
        }
        named
    }
}

impl Space {
    /// How many entries name exactly these pages.
    fn entries(&self) -> usize {
        if self.whole {
            return 1;
        }
        let mut entries = 0;
        for pages in self.pages.values() {
            let mut in_entry = 0;
            for page in pages {
                let goes_on = page
                    .checked_sub(1)
                    .is_some_and(|before| pages.contains(&before));
                in_entry = if goes_on && in_entry < 63 {
                    in_entry + 1
                } else {
                    1
                };
                entries += usize::from(in_entry == 1);
            }
        }
        entries
    }
}

/// How many spaces have to be widened, the largest first, or `None` if no number of them is enough.
fn widened(named: &Named, limit: usize) -> Option<usize> {
    let mut entries: Vec<usize> = named.spaces.values().map(Space::entries).collect();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    (0..=entries.len())
        .find(|widened| widened + entries.iter().skip(*widened).sum::<usize>() <= limit)
}

fn request() -> impl Strategy<Value = Request> {
    let size = prop::sample::select(PageSize::ALL.to_vec());
    let count = prop_oneof![4 => 1..4u64, 2 => 60..66u64, 1 => 120..200u64];
    let ranges = (0..5u16, 0..40u64, count, size)
        .prop_map(|(number, start, count, size)| pages_of(number, start, count, size));
    let small = (0..2u16, 0..12u64).prop_map(|(number, start)| pages(number, start, 1));
    let space = (0..5u16, any::<bool>()).prop_map(|(number, freed)| {
        let pcid = pcid(number);
        if freed {
            Request::TablesFreed(TableOwner::AddressSpace(pcid))
        } else {
            Request::AddressSpace { pcid }
        }
    });
    let range = PageRange::page(KERNEL_HALF, PageSize::Size4K).unwrap();
    let everything = prop::sample::select(vec![
        Request::GlobalPages { range },
        Request::TablesFreed(TableOwner::Kernel),
        Request::Everything {
            globals: Globals::Exclude,
        },
    ]);
    prop_oneof![20 => ranges, 20 => small, 4 => space, 1 => everything]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// The result is the first step that fits: one step back there would be too many operations.
    #[test]
    fn no_step_is_taken_too_many(requests in prop::collection::vec(request(), 0..=12),
        limit in 1..=4usize) {
        let collapsed = Request::collapse(&requests, limit, &CostModel::EXACT);
        prop_assert_eq!(collapsed.crowded, !collapsed.exact);
        let list = collapsed.operations.as_slice();
        prop_assert!(list.len() <= limit);

        let precise = operations(&requests);
        if precise.len() <= limit {
            prop_assert!(collapsed.exact);
            prop_assert_eq!(list, precise);
            return Ok(());
        }
        let named = Named::new(&requests);
        if let Some(globals) = named.every {
            prop_assert!(collapsed.exact);
            prop_assert_eq!(list, [all(globals)]);
            return Ok(());
        }
        let Some(expected) = widened(&named, limit) else {
            prop_assert!(named.spaces.len() > limit && !collapsed.exact);
            prop_assert_eq!(list, [all(Globals::Exclude)]);
            return Ok(());
        };
        let mut contexts = 0;
        let mut entries = 0;
        for (number, space) in &named.spaces {
            let flushed_whole = list.contains(&context(pcid(*number)));
            prop_assert!(flushed_whole || !space.whole);
            contexts += usize::from(flushed_whole && !space.whole);
            entries += if flushed_whole { 1 } else { space.entries() };
        }
        prop_assert_eq!(contexts, expected);
        prop_assert_eq!(list.len(), entries);
        prop_assert_eq!(collapsed.exact, expected == 0);
    }

    /// A space is flushed page by page exactly if that is cheap enough; if there is room.
    #[test]
    fn each_space_is_flushed_the_cheaper_way(
        requests in prop::collection::vec(request(), 0..=12), limit in 1..=4usize,
        (entry, page, space) in (0..400u32, 0..200u32, 0..12_000u32),
    ) {
        let costs = CostModel::new().with_entry(entry).with_page(page).with_space(space);
        let collapsed = Request::collapse(&requests, limit, &costs);
        let list = collapsed.operations.as_slice();
        prop_assert!(list.len() <= limit);
        let named = Named::new(&requests);
        if list == operations(&requests) || named.every.is_some() {
            prop_assert!(collapsed.exact && !collapsed.crowded);
            return Ok(());
        }
        let is_dear = |space: &Space| {
            let pages: usize = space.pages.values().map(BTreeSet::len).sum();
            !space.whole && !costs.keeps(space.entries() as u64, pages as u64)
        };
        if named.spaces.values().any(|space| space.entries() > limit) {
            // Its costs may not have been counted to the end.
            prop_assert!(!collapsed.exact);
            return Ok(());
        }
        prop_assert_eq!(collapsed.exact, !collapsed.crowded && !named.spaces.values().any(is_dear));
        let fewest = named.spaces.values().map(|space| {
            if is_dear(space) { 1 } else { space.entries() }
        });
        prop_assert_eq!(collapsed.crowded, fewest.sum::<usize>() > limit);
        for (number, space) in &named.spaces {
            let flushed_whole = list.contains(&context(pcid(*number)));
            if is_dear(space) {
                prop_assert!(flushed_whole || list == [all(Globals::Exclude)]);
            } else if !collapsed.crowded {
                prop_assert_eq!(flushed_whole, space.whole);
            }
        }
    }
}
