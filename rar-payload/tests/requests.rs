//! What requests are cut to and rounded up to.

use proptest::prelude::*;
use rar_payload::{
    Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request, TableOwner,
};

type Error = Box<dyn std::error::Error>;

const fn context(pcid: Pcid) -> Operation {
    Operation::Invpcid(InvpcidScope::Context { pcid })
}

const fn all(globals: Globals) -> Operation {
    Operation::Invpcid(InvpcidScope::AllContexts(globals))
}

/// What a translation looks like to a flush.
#[derive(Clone, Copy, Debug)]
enum Cached {
    Of(Pcid),
    Global,
}

/// Returns whether a single operation, as the INVPCID instruction, drops a translation for certain,
/// at any address.
fn drops(operation: Operation, cached: Cached) -> bool {
    let Operation::Invpcid(scope) = operation else {
        return false;
    };
    match (scope, cached) {
        (InvpcidScope::Pages { .. }, _) => false,
        (InvpcidScope::Context { pcid }, Cached::Of(other)) => pcid == other,
        (InvpcidScope::Context { .. }, Cached::Global) => false,
        (InvpcidScope::AllContexts(_), Cached::Of(_)) => true,
        (InvpcidScope::AllContexts(globals), Cached::Global) => globals == Globals::Include,
    }
}

/// Returns whether a request wants a translation gone at some address.
fn wants(request: Request, cached: Cached) -> bool {
    match (request, cached) {
        (
            Request::Pages { pcid, .. }
            | Request::AddressSpace { pcid }
            | Request::TablesFreed(TableOwner::AddressSpace(pcid)),
            Cached::Of(other),
        ) => pcid == other,
        (Request::GlobalPages { .. } | Request::TablesFreed(TableOwner::Kernel), _) => true,
        (Request::Everything { .. }, Cached::Of(_)) => true,
        (Request::Everything { globals }, Cached::Global) => globals == Globals::Include,
        (_, Cached::Global) => false,
    }
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

fn translations() -> Result<Vec<Cached>, Error> {
    let mut translations = vec![Cached::Global];
    for number in [0, 1, 2, 4095] {
        translations.push(Cached::Of(Pcid::new(number)?));
    }
    Ok(translations)
}

#[test]
fn whole_and_covering_never_flush_too_little() -> Result<(), Error> {
    for a in requests()? {
        for b in requests()? {
            for c in requests()? {
                let covering = Request::covering(&[a, b, c]);
                for cached in translations()? {
                    for request in [a, b, c] {
                        if wants(request, cached) {
                            assert!(drops(request.whole(), cached), "{request:?} {cached:?}");
                            assert!(
                                drops(covering, cached),
                                "{a:?} {b:?} {c:?}: {covering:?} spares {cached:?}"
                            );
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn covering_flushes_no_more_than_it_has_to() -> Result<(), Error> {
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
    for (requests, covering) in [
        (&[user] as &[Request], context(one)),
        (&[user, space, freed], context(one)),
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
        (&[], all(Globals::Include)),
    ] {
        assert_eq!(Request::covering(requests), covering, "{requests:?}");
    }
    Ok(())
}

#[test]
fn all_but_ranges_take_one_operation_and_it_is_the_whole_one() -> Result<(), Error> {
    for request in requests()? {
        let operations: Vec<Operation> = request.operations().collect();
        if let Request::Pages { .. } = request {
            assert_eq!(operations.len(), 2);
        } else {
            assert_eq!(operations, [request.whole()]);
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
fn whole_is_open_to_constants() {
    const WHOLE: Operation = Request::AddressSpace { pcid: Pcid::ZERO }.whole();
    const COVERING: Operation = Request::covering(&[
        Request::AddressSpace { pcid: Pcid::ZERO },
        Request::TablesFreed(TableOwner::Kernel),
    ]);
    assert_eq!(WHOLE, context(Pcid::ZERO));
    assert_eq!(COVERING, all(Globals::Include));
}

proptest! {
    /// Every page is named by exactly one operation, under the right PCID and size, and no other
    /// page is.
    #[test]
    fn operations_name_every_page_once(page in 0u64..1 << 17, pages in 1u64..2000, number in 0u16..4096) {
        let (Ok(pcid), Ok(range)) = (Pcid::new(number), PageRange::new(page << 12, pages, PageSize::Size4K)) else {
            return Err(TestCaseError::reject("no request"));
        };
        let request = Request::Pages { pcid, range };
        let mut named = Vec::new();
        for operation in request.operations() {
            let Operation::Invpcid(InvpcidScope::Pages { pcid: of, pages }) = operation else {
                return Err(TestCaseError::fail("not a page operation"));
            };
            prop_assert_eq!(of, pcid);
            prop_assert_eq!(pages.size(), PageSize::Size4K);
            named.extend((0..u64::from(pages.pages())).map(|i| (pages.start() >> 12) + i));
        }
        prop_assert_eq!(named, (page..page + pages).collect::<Vec<_>>());
    }
}
