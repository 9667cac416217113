//! What requests are cut to and rounded up to.

use rar_payload::{
    CostModel, Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request, TableOwner,
};
#[cfg(feature = "unverified")]
use rar_payload::{Eptp, Vpid};

type Error = Box<dyn std::error::Error>;

const fn context(pcid: Pcid) -> Operation {
    Operation::Invpcid(InvpcidScope::Context { pcid })
}

const fn all(globals: Globals) -> Operation {
    Operation::Invpcid(InvpcidScope::AllContexts(globals))
}

fn requests() -> Result<Vec<Request>, Error> {
    let range = PageRange::new(0x1000, 64, PageSize::Size4K)?;
    let mut requests = vec![
        Request::GlobalPages { range },
        Request::TablesFreed(TableOwner::Kernel),
        Request::Everything {
            globals: Globals::Include,
        },
        Request::Everything {
            globals: Globals::Exclude,
        },
    ];
    for number in [0, 1, 4095] {
        let pcid = Pcid::new(number)?;
        requests.push(Request::Pages { pcid, range });
        requests.push(Request::AddressSpace { pcid });
        requests.push(Request::TablesFreed(TableOwner::AddressSpace(pcid)));
    }
    Ok(requests)
}

#[test]
fn the_cheapest_operation_is_the_only_one_or_that_of_the_space() -> Result<(), Error> {
    let range = |pages| PageRange::new(0x1000, pages, PageSize::Size4K);
    let pages = |range| Request::Pages {
        pcid: Pcid::ZERO,
        range,
    };
    let more = [pages(range(1)?), pages(range(63)?), pages(range(64)?)];
    let mut singles = 0;
    for request in requests()?.iter().chain(&more) {
        let mut operations = request.operations();
        let only = operations.next().filter(|_| operations.next().is_none());
        let exact = request.cheapest_operation(&CostModel::EXACT);
        assert_eq!(exact, only, "{request:?}");
        singles += usize::from(only.is_some());
        // One page is never too dear here, two entries always are.
        let cheap =
            request.cheapest_operation(&CostModel::new().with_space(3_600).with_entry(4_000));
        let pages = match request {
            Request::Pages { range, .. } => range.page_count(),
            _ => 0,
        };
        let expected = only.filter(|_| pages <= 36).or(Some(request.widened()));
        assert_eq!(cheap, expected, "{request:?}");
    }
    assert_eq!(singles, 4 + 6 + 2, "control: some need two");
    Ok(())
}

/// Pages of a guest are judged as those of an address space.
#[cfg(feature = "unverified")]
#[test]
fn the_cheapest_operation_for_a_guest_is_its_pages_if_they_are_few() -> Result<(), Error> {
    let vpid = Vpid::new(1)?;
    let costs = CostModel::new().with_space(3_600); // 36 pages in one entry
    for (count, is_kept) in [(1, true), (36, true), (37, false), (64, false)] {
        let range = PageRange::new(0x1000, count, PageSize::Size4K)?;
        let request = Request::VpidPages { vpid, range };
        let first = request.operations().next().filter(|_| is_kept);
        let cheapest = request.cheapest_operation(&costs);
        assert_eq!(cheapest, first.or(Some(request.widened())), "{count}");
    }
    let range = PageRange::new(0x1000, 64, PageSize::Size4K)?;
    let two = Request::VpidPages { vpid, range };
    assert_eq!(two.cheapest_operation(&CostModel::EXACT), None);
    Ok(())
}

/// Two of one address space are judged together, two of two address spaces apart.
#[test]
fn the_pages_of_a_pair_add_up_in_one_address_space() -> Result<(), Error> {
    let costs = CostModel::new().with_space(3_600); // 35 pages in two entries, 36 in one
    let pages = |number, start, count| -> Result<Request, Error> {
        let pcid = Pcid::new(number)?;
        let range = PageRange::new(start, count, PageSize::Size4K)?;
        Ok(Request::Pages { pcid, range })
    };
    let (twenty, other) = (pages(1, 0x1000, 20)?, pages(2, 0x1000, 36)?);
    let few = pages(1, 0x10_0000, 15)?;
    let many = pages(1, 0x10_0000, 16)?;
    let both = |one: &Request, two: &Request| {
        Some([one, two].map(|request| request.operations().next().unwrap()))
    };
    let pair_by = |costs, one: &Request, two: &Request| {
        let pair = [
            one.cheapest_operation(costs)?,
            two.cheapest_operation(costs)?,
        ];
        Request::are_kept_apart(one, two, costs).then_some(pair)
    };
    let pair = |one, two| pair_by(&costs, one, two);
    assert_eq!(pair(&twenty, &few), both(&twenty, &few));
    assert_eq!(pair(&twenty, &other), both(&twenty, &other));
    assert_eq!(pair(&twenty, &many), None);
    let collapsed = Request::collapse(&[twenty, many], 4, &costs);
    assert_eq!(collapsed.operations.as_slice(), [twenty.widened()]);
    let dear = pages(2, 0x1000, 37)?;
    let widened = both(&twenty, &twenty).map(|[first, _]| [first, dear.widened()]);
    assert_eq!(pair(&twenty, &dear), widened);
    assert_eq!(pair(&dear, &dear), None);
    let space = Request::AddressSpace {
        pcid: Pcid::new(1)?,
    };
    assert_eq!(pair(&twenty, &space), both(&twenty, &space));
    let long = pages(1, 0x1000, 64)?;
    assert_eq!(pair_by(&CostModel::EXACT, &few, &long), None);
    Ok(())
}

/// As above, for pages of a guest.
#[cfg(feature = "unverified")]
#[test]
fn the_pages_of_a_pair_add_up_in_one_guest() -> Result<(), Error> {
    let costs = CostModel::new().with_space(3_600);
    let pages = |number, start, count| -> Result<Request, Error> {
        let vpid = Vpid::new(number)?;
        let range = PageRange::new(start, count, PageSize::Size4K)?;
        Ok(Request::VpidPages { vpid, range })
    };
    let (twenty, other) = (pages(1, 0x1000, 20)?, pages(2, 0x1000, 20)?);
    let (few, many) = (pages(1, 0x10_0000, 15)?, pages(1, 0x10_0000, 16)?);
    assert!(Request::are_kept_apart(&twenty, &few, &costs));
    assert!(!Request::are_kept_apart(&twenty, &many, &costs));
    assert!(Request::are_kept_apart(&twenty, &other, &costs));
    Ok(())
}

/// They are what the longer way gives, and every other request has none.
#[test]
fn two_chunks_are_the_operations_of_a_range_that_takes_two() -> Result<(), Error> {
    for count in 1..=200 {
        let range = PageRange::new(0x7_f000, count, PageSize::Size4K)?;
        let pcid = Pcid::MAX;
        let requests = [
            Request::Pages { pcid, range },
            #[cfg(feature = "unverified")]
            Request::VpidPages {
                vpid: Vpid::new(7)?,
                range,
            },
        ];
        for request in requests {
            let operations: Vec<_> = request.operations().collect();
            let two = <[Operation; 2]>::try_from(operations).ok();
            assert_eq!(two.is_some(), (64..=126).contains(&count));
            assert_eq!(request.two_chunks(), two, "{count}");
        }
    }
    let others = requests()?.into_iter();
    for request in others.filter(|request| !matches!(request, Request::Pages { .. })) {
        assert_eq!(request.two_chunks(), None, "{request:?}");
    }
    Ok(())
}

#[test]
fn the_translations_of_guests_are_named_by_their_own_requests_alone() -> Result<(), Error> {
    for request in requests()? {
        assert!(!request.names_guest_translations(), "{request:?}");
        assert_eq!(request.may_skip_guests(), !request.frees_tables());
    }
    #[cfg(feature = "unverified")]
    {
        let (eptp, vpid) = (Eptp::new(0x1e)?, Vpid::new(1)?);
        let range = PageRange::page(0x1000, PageSize::Size4K)?;
        for request in [
            Request::Ept { eptp },
            Request::EveryEpt,
            Request::VpidPages { vpid, range },
            Request::Vpid { vpid },
            Request::EveryVpid,
        ] {
            assert!(request.names_guest_translations(), "{request:?}");
            assert!(!request.may_skip_guests(), "{request:?}");
        }
    }
    Ok(())
}

#[test]
fn one_operation_flushes_no_more_than_it_has_to() -> Result<(), Error> {
    let range = PageRange::page(0x1000, PageSize::Size4K)?;
    let (zero, one) = (Pcid::ZERO, Pcid::new(1)?);
    let user = Request::Pages { pcid: one, range };
    let space = Request::AddressSpace { pcid: one };
    let freed = Request::TablesFreed(TableOwner::AddressSpace(one));
    let other = Request::AddressSpace { pcid: zero };
    let kernel = Request::GlobalPages { range };
    let sparing = Request::Everything {
        globals: Globals::Exclude,
    };
    for (requests, expected) in [
        (&[user, space, freed] as &[Request], context(one)),
        (&[other], context(zero)),
        (&[user, other], all(Globals::Exclude)),
        (&[user, other, user], all(Globals::Exclude)),
        (&[user, sparing], all(Globals::Exclude)),
        (&[sparing, kernel], all(Globals::Include)),
        (&[kernel, sparing], all(Globals::Include)),
        (&[kernel, user], all(Globals::Include)),
        (
            &[Request::TablesFreed(TableOwner::Kernel), user],
            all(Globals::Include),
        ),
    ] {
        // Only what cannot be said precisely is widened: a single page is one operation as it is.
        let collapsed = Request::collapse(requests, 1, &CostModel::EXACT);
        assert_eq!(collapsed.operations.as_slice(), [expected], "{requests:?}");
    }
    Ok(())
}

#[test]
fn all_but_ranges_take_one_operation_and_it_is_the_widened_one() -> Result<(), Error> {
    for request in requests()? {
        let operations: Vec<Operation> = request.operations().collect();
        if let Request::Pages { .. } = request {
            assert_eq!(operations.len(), 2);
        } else {
            assert_eq!(operations, [request.widened()]);
        }
    }
    Ok(())
}

#[test]
fn only_freed_tables_free_tables() -> Result<(), Error> {
    for request in requests()? {
        assert_eq!(
            request.frees_tables(),
            matches!(request, Request::TablesFreed(_))
        );
    }
    Ok(())
}

#[test]
fn the_length_counts_down_and_stays_at_its_end() -> Result<(), Error> {
    for request in requests()? {
        let mut operations = request.operations();
        while operations.len() > 0 {
            let before = operations.len();
            assert_eq!(operations.size_hint(), (before, Some(before)));
            assert!(operations.next().is_some());
            assert_eq!(operations.len(), before - 1);
        }
        assert_eq!((operations.next(), operations.next()), (None, None));
    }
    Ok(())
}

#[test]
fn widened_is_open_to_constants() {
    const WIDENED: Operation = Request::AddressSpace { pcid: Pcid::ZERO }.widened();
    assert_eq!(WIDENED, context(Pcid::ZERO));
}
