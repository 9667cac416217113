//! Interrupt commands for any APIC ID, read back by the bits of the manual alone.
#![cfg(not(rar_loom))]

use std::collections::BTreeSet;

use proptest::prelude::*;
use rar_regs::{ApicId, ClusterMembers, DestinationError, IcrError, X2apicIcr, XapicIcr};

const RAR: u32 = 0b011;
const NMI: u32 = 0b100;
const INIT: u32 = 0b101;
const STARTUP: u32 = 0b110;
const FIXED: u32 = 0b000;

/// An interrupt command as the APIC takes it (SDM vol. 3, Interrupt Command Register).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Command {
    vector: u32,
    mode: u32,
    logical: bool,
    level: bool,
    level_triggered: bool,
    shorthand: u32,
    reserved: u32,
}

impl Command {
    /// Reads bits 31:0. Delivery status, bit 12, is read-only, so to write it is as wrong as any
    /// reserved bit.
    fn read(low: u32) -> Self {
        Self {
            vector: low & 0xff,
            mode: low >> 8 & 0b111,
            logical: low >> 11 & 1 == 1,
            level: low >> 14 & 1 == 1,
            level_triggered: low >> 15 & 1 == 1,
            shorthand: low >> 18 & 0b11,
            reserved: low & 0xfff3_3000,
        }
    }

    /// What a message to one CPU by its ID has to look like.
    const fn to_one(mode: u32, vector: u32) -> Self {
        Self {
            vector,
            mode,
            logical: false,
            // Every Linux version leaves the level of a RAR at 0; any other message asserts it.
            level: mode != RAR,
            level_triggered: false,
            shorthand: 0,
            reserved: 0,
        }
    }
}

/// Whether an x2APIC of this ID takes a command: by ID, or by the logical address that hardware
/// derives from it.
fn takes(id: u32, word: u64) -> bool {
    let [low, destination] = halves(word);
    let by_logical_address =
        destination >> 16 == id >> 4 & 0xffff && destination >> (id & 0xf) & 1 == 1;
    let named = if Command::read(low).logical {
        by_logical_address
    } else {
        destination == id
    };
    named || destination == u32::MAX
}

fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes)
}

/// IDs on both sides of every limit: 8 bits, 20 bits, the two broadcasts.
fn ids() -> impl Strategy<Value = u32> {
    let edges = prop::sample::select(vec![0, 0xff, 0x100, 0xf_fff0, 0x10_0000, u32::MAX]);
    prop_oneof![
        2 => (edges, -2i32..=2).prop_map(|(edge, step)| edge.wrapping_add_signed(step)),
        2 => 0..0x120u32,
        1 => (any::<u32>(), 0..32u32).prop_map(|(id, fewer)| id >> fewer),
    ]
}

/// Every message to one CPU, as the mode and the vector field that it must have.
fn messages(vector: u8) -> [(u32, u32); 5] {
    [
        (RAR, 0),
        (NMI, 0),
        (INIT, 0),
        (STARTUP, vector.into()),
        (FIXED, vector.into()),
    ]
}

/// What the manual says of the vectors that may be sent, then of the destination.
fn expected(
    mode: u32,
    vector: u8,
    destination: Result<(), DestinationError>,
) -> Result<(), IcrError> {
    if mode == FIXED && vector < 16 {
        return Err(IcrError::Vector { vector });
    }
    destination.map_err(IcrError::Destination)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn xapic_words_name_one_cpu_or_are_refused(number in ids(), vector: u8) {
        let id = ApicId::new(number);
        let destination = match number {
            0..=0xfe => Ok(()),
            0xff | u32::MAX => Err(DestinationError::Broadcast { id }),
            _ => Err(DestinationError::NeedsX2apic { id }),
        };
        for (mode, field) in messages(vector) {
            let built = match mode {
                RAR => XapicIcr::rar(id).map_err(IcrError::from),
                NMI => XapicIcr::nmi(id).map_err(IcrError::from),
                INIT => XapicIcr::init(id).map_err(IcrError::from),
                STARTUP => XapicIcr::startup(id, vector).map_err(IcrError::from),
                _ => XapicIcr::fixed(id, vector),
            };
            prop_assert_eq!(built.map(|_| ()), expected(mode, vector, destination));
            if let Ok(icr) = built {
                prop_assert_eq!(Command::read(icr.low()), Command::to_one(mode, field));
                prop_assert_eq!((icr.high() >> 24, icr.high() << 8), (number, 0));
                prop_assert_eq!(XapicIcr::from_bits(icr.high(), icr.low()), icr);
            }
        }
    }

    #[test]
    fn x2apic_words_name_one_cpu_or_are_refused(number in ids(),
        others in prop::collection::vec(ids(), 8), vector: u8) {
        let id = ApicId::new(number);
        let destination = match number {
            u32::MAX => Err(DestinationError::Broadcast { id }),
            _ => Ok(()),
        };
        for (mode, field) in messages(vector) {
            let built = match mode {
                RAR => X2apicIcr::rar(id).map_err(IcrError::from),
                NMI => X2apicIcr::nmi(id).map_err(IcrError::from),
                INIT => X2apicIcr::init(id).map_err(IcrError::from),
                STARTUP => X2apicIcr::startup(id, vector).map_err(IcrError::from),
                _ => X2apicIcr::fixed(id, vector),
            };
            prop_assert_eq!(built.map(|_| ()), expected(mode, vector, destination));
            if let Ok(icr) = built {
                let [low, _] = halves(icr.bits());
                prop_assert_eq!(Command::read(low), Command::to_one(mode, field));
                prop_assert!(takes(number, icr.bits()));
                for other in &others {
                    prop_assert_eq!(takes(*other, icr.bits()), *other == number);
                }
                prop_assert_eq!(X2apicIcr::from_bits(icr.bits()), icr);
            }
        }
    }

    /// Grouped as the documentation of `ClusterMembers` shows, the commands reach every target once
    /// and no other CPU.
    #[test]
    fn clusters_reach_exactly_their_members(
        targets in prop::collection::btree_set(cluster_ids(), 1..80),
        others in prop::collection::vec(cluster_ids(), 40),
    ) {
        let words = signal(&targets)?;
        for word in &words {
            let [low, destination] = halves(*word);
            prop_assert_eq!(Command::read(low),
                Command { logical: true, ..Command::to_one(RAR, 0) });
            prop_assert_ne!(destination, u32::MAX);
        }
        for id in targets.iter().chain(&others).copied() {
            let reached = words.iter().filter(|word| takes(id, **word)).count();
            prop_assert_eq!(reached, usize::from(targets.contains(&id)), "{:#x}", id);
        }
        // One command per cluster; the last one needs two when it is full, since all ones is the
        // broadcast.
        let clusters: BTreeSet<_> = targets.iter().map(|id| id >> 4).collect();
        let full = (0xf_fff0..=0xf_ffff).all(|id| targets.contains(&id));
        prop_assert_eq!(words.len(), clusters.len() + usize::from(full));
    }

    #[test]
    fn an_id_without_a_logical_address_joins_no_cluster(number in ids(), first in cluster_ids()) {
        let id = ApicId::new(number);
        let expected = match number {
            0..=0xf_ffff => Ok(number >> 4 << 16 | 1 << (number & 0xf)),
            u32::MAX => Err(DestinationError::Broadcast { id }),
            _ => Err(DestinationError::NoCluster { id }),
        };
        prop_assert_eq!(ClusterMembers::new(id).map(ClusterMembers::destination), expected);

        let Ok(before) = ClusterMembers::new(ApicId::new(first)) else {
            return Err(TestCaseError::fail("a 20-bit ID was refused"));
        };
        let mut group = before;
        let joined = group.try_add(id);
        prop_assert_eq!(joined, number >> 4 == first >> 4);
        let members = 1u16 << (first & 0xf) | if joined { 1 << (number & 0xf) } else { 0 };
        prop_assert_eq!((u32::from(group.cluster()), group.members()), (first >> 4, members));
    }
}

#[test]
fn a_full_machine_is_reached_by_one_command_per_cluster_and_one_more() -> Result<(), TestCaseError>
{
    let targets: BTreeSet<u32> = (0xf_ffe0..=0xf_ffff).collect();
    let words = signal(&targets)?;
    assert_eq!(words.len(), 3);
    for id in targets {
        assert_eq!(words.iter().filter(|word| takes(id, **word)).count(), 1);
    }
    Ok(())
}

/// IDs of 20 bits, close together, so that they meet in clusters; the last cluster is among them.
fn cluster_ids() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => 0..0x60u32,
        2 => 0xf_ffe0..=0xf_ffffu32,
        1 => 0xffe0..0x1_0020u32,
        1 => 0..0x10_0000u32,
    ]
}

/// One RAR to every target by clusters, as the documentation shows.
fn signal(targets: &BTreeSet<u32>) -> Result<Vec<u64>, TestCaseError> {
    let mut groups: Vec<ClusterMembers> = Vec::new();
    for id in targets.iter().copied().map(ApicId::new) {
        if !groups.last_mut().is_some_and(|group| group.try_add(id)) {
            let group = ClusterMembers::new(id);
            groups.push(group.map_err(|error| TestCaseError::fail(error.to_string()))?);
        }
    }
    let words = groups
        .into_iter()
        .map(|group| X2apicIcr::rar_cluster(group).bits());
    Ok(words.collect())
}
