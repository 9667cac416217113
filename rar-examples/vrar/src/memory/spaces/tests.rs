//! Tests of the address spaces.

use core::num::NonZero;
use core::ptr::NonNull;

use super::*;
use crate::config::Image;

const MACHINE: Machine = Machine {
    levels: 4,
    physical_address_bits: 40,
    largest: LargestPage::Gibibyte,
    apic: Some(0xfee0_0000),
};
const APIC: NonNull<u32> = NonNull::without_provenance(NonZero::new(0xfee0_0000).unwrap());

fn spaces() -> Box<Spaces> {
    Box::new(Spaces::new())
}

/// The tables lie in the first 4 GiB.
fn low(address: u64) -> Option<u64> {
    Some(address & 0xffff_ffff)
}

fn without_large_pages() -> Machine {
    Machine {
        largest: LargestPage::Mebibytes2,
        ..MACHINE
    }
}

#[test]
fn without_large_pages_the_host_reaches_16_gib() {
    let (direct_map, image) = (0xffff_8880_0000_0000, 0xffff_ffff_8000_0000);
    let config = Config {
        image: Image {
            start: image,
            // With ten tables of 2 MiB the supply ends.
            end: image + (10 << 21),
        },
        ..Config::new(
            direct_map,
            NonNull::without_provenance(NonZero::new(0xffff_ffff_ff5f_d000).unwrap()),
        )
    };
    let (spaces, end) = (spaces(), 16 * GIBIBYTE);
    spaces
        .make_ready(&config, without_large_pages(), low)
        .unwrap();
    let find = |address| spaces.host.find(address);
    for address in [0, 0x12_3456, 0xfee0_0000, GIBIBYTE, end - 1] {
        assert_eq!(find(direct_map + address), Some(address), "{address:#x}");
    }
    assert_eq!(find(direct_map + end), None);
    assert_eq!(find(image + 0x123), Some(0x8000_0123));
    assert_eq!(find(0xffff_ffff_ff5f_d020), Some(0xfee0_0020));
    // A machine with less has no more.
    let small = Machine {
        physical_address_bits: 32,
        ..without_large_pages()
    };
    let spaces = self::spaces();
    spaces
        .make_ready(&Config::new(0, APIC), small, low)
        .unwrap();
    assert_eq!(spaces.host.find((4 << 30) - 1), Some((4 << 30) - 1));
    assert_eq!(spaces.host.find(4 << 30), None);
}

#[test]
fn tables_that_the_host_cannot_walk_are_an_error() {
    let config = Config::new(0, APIC);
    let high = |address| low(address).map(|low| low + 16 * GIBIBYTE);
    let failed = spaces().make_ready(&config, without_large_pages(), high);
    assert!(matches!(failed, Err(LaunchError::OutOfReach(_))));
    assert_eq!(spaces().make_ready(&config, MACHINE, high), Ok(()));
}

#[test]
fn guests_have_everything_but_the_apic() {
    let spaces = spaces();
    let config = Config::new(0, APIC);
    spaces.make_ready(&config, MACHINE, low).unwrap();
    for address in [
        0,
        0x12_3456,
        0xfec0_0000,
        0xfedf_ffff,
        0xfee0_1000,
        0xffff_ffff,
        0xff_ffff_ffff,
    ] {
        assert_eq!(spaces.open.find(address), Some(address), "{address:#x}");
        assert_eq!(spaces.host.find(address), Some(address), "{address:#x}");
    }
    for address in [0xfee0_0000, 0xfee0_0fff, 1 << 40] {
        assert_eq!(spaces.open.find(address), None, "{address:#x}");
    }
    assert_eq!(spaces.host.find(0xfee0_0010), Some(0xfee0_0010));
}

#[test]
fn what_is_hidden_is_hidden_from_guests_only_and_only_in_time() {
    let spaces = spaces();
    let config = Config::new(0, APIC);
    let range = 0x20_0000..0x63_1000;
    assert_eq!(spaces.hide(&range), Err(HideError::NotLaunched));
    assert!(!spaces.begin_hiding());
    spaces.make_ready(&config, MACHINE, low).unwrap();
    assert_eq!(spaces.hide(&range), Ok(()));
    // Beyond all memory: no lower address may be taken for it.
    assert_eq!(spaces.hide(&(1 << 48..u64::MAX)), Ok(()));
    assert_eq!(spaces.hiding.find(0), Some(0));
    assert!(!spaces.is_hidden(0x20_0000));
    assert_eq!(spaces.nested(), spaces.open.top());
    assert!(spaces.begin_hiding() && !spaces.begin_hiding());
    assert_eq!(spaces.nested(), spaces.hiding.top());
    for (address, hidden) in [
        (0x1f_ffff, false),
        (0x20_0000, true),
        (0x40_0000, true),
        (0x63_0fff, true),
        (0x63_1000, false),
        // Was never there.
        (0xfee0_0000, false),
        (1 << 40, false),
        (1 << 48 | 0x20_0000, false),
    ] {
        assert_eq!(spaces.is_hidden(address), hidden, "{address:#x}");
    }
    for address in [0x20_0000, 0x63_1000] {
        assert_eq!(spaces.host.find(address), Some(address));
    }
    assert_eq!(spaces.hide(&range), Err(HideError::Hidden));
    // A CPU that comes late.
    assert_eq!(spaces.make_ready(&config, MACHINE, low), Ok(()));
}

#[test]
fn too_many_pieces_are_an_error() {
    let spaces = spaces();
    spaces
        .make_ready(&Config::new(0, APIC), MACHINE, low)
        .unwrap();
    let mut pieces = (1..100).map(|number| number << 30..(number << 30) + PAGE);
    let failed = pieces.find_map(|piece| spaces.hide(&piece).err());
    assert_eq!(failed, Some(HideError::OutOfTables));
}

#[test]
fn in_x2apic_mode_there_is_no_page_to_map_or_to_trap() {
    let spaces = spaces();
    let machine = Machine {
        apic: None,
        ..MACHINE
    };
    let config = Config::new(0, NonNull::dangling());
    spaces.make_ready(&config, machine, low).unwrap();
    for tables in [&spaces.host, &spaces.open] {
        assert_eq!(tables.find(4), Some(4));
        assert_eq!(tables.find(0xfee0_0020), Some(0xfee0_0020));
    }
}

#[test]
fn an_image_and_an_apic_outside_of_the_direct_map() {
    let spaces = spaces();
    let (direct_map, image) = (0xffff_8880_0000_0000, 0xffff_ffff_8000_0000);
    let apic = 0xffff_ffff_ff5f_d000;
    let config = Config {
        image: Image {
            start: image,
            end: image + 0x3000,
        },
        ..Config::new(
            direct_map,
            NonNull::without_provenance(NonZero::new(apic).unwrap()),
        )
    };
    let loaded = |address: u64| match address {
        0xffff_ffff_8000_1000.. => Some(0x90_0000 + (address & 0xfff)),
        0xffff_ffff_8000_0000.. => Some(0x80_0000 + (address & 0xfff)),
        _ => low(address),
    };
    spaces.make_ready(&config, MACHINE, loaded).unwrap();
    let find = |address| spaces.host.find(address);
    assert_eq!(find(direct_map + 0x5678), Some(0x5678));
    assert_eq!(find(image + 0x123), Some(0x80_0123));
    assert_eq!(find(image + 0x1123), Some(0x90_0123));
    assert_eq!(find(image + 0x3000), None);
    assert_eq!(find(apic as u64 + 0x20), Some(0xfee0_0020));
    assert_eq!(find(0), None);
}

#[test]
fn what_cannot_be_mapped_is_an_error_and_leaves_the_next_launch_free() {
    let spaces = spaces();
    let ready = |offset, physical: &dyn Fn(u64) -> Option<u64>| {
        spaces.make_ready(&Config::new(offset, APIC), MACHINE, physical)
    };
    assert_eq!(ready(4096, &low), Err(LaunchError::DirectMap(4096)));
    assert!(matches!(
        ready(0, &|_| None),
        Err(LaunchError::NotMapped(_))
    ));
    assert_eq!(ready(0, &low), Ok(()));
    // Done once for all: nothing is asked again.
    assert_eq!(ready(0, &|_| None), Ok(()));
}
