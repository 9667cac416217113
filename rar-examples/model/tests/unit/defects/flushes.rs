//! Units that flush something else than requested.

use rar_model::{
    Defect, InterruptFlag, Knobs, Level, PageSize, Pcids, SUCCESS, Sender, Serviced,
    StructureEntry, Tag, TlbModel, Translation,
};

use super::observes;
use crate::rig::{CR3, EVERYTHING, HERE, Rig, THERE, control, invpcid_pages, invpg_pages};

const A: u64 = 0x7000_0000_0000;
const B: u64 = A + 0x1000;
const C: u64 = A + 0x2000;

/// Runs `words` where page A is cached under every tag, and B and C for the current PCID. Returns
/// what is left.
fn left(knobs: Knobs, sender: Sender, words: [u64; 4]) -> Vec<(u64, Tag)> {
    let mut rig = Rig::enabled(knobs);
    rig.fill(Tag::Pcid(HERE), [A, B, C]);
    rig.fill(Tag::Pcid(THERE), [A]);
    rig.fill(Tag::Global, [A]);
    assert_eq!(rig.run_from(sender, words), SUCCESS);
    rig.cached()
}

fn all() -> Vec<(u64, Tag)> {
    let own = [A, B, C].map(|page| (page, Tag::Pcid(HERE)));
    [
        own[0],
        (A, Tag::Pcid(THERE)),
        (A, Tag::Global),
        own[1],
        own[2],
    ]
    .into()
}

fn all_but(gone: &[(u64, Tag)]) -> Vec<(u64, Tag)> {
    let mut rest = all();
    rest.retain(|entry| !gone.contains(entry));
    rest
}

pub(super) fn success_without_flush(defect: Defect) {
    for sender in [Sender::Another, Sender::Itself] {
        let observe = |knobs| left(knobs, sender, EVERYTHING);
        observes(defect, observe, [vec![], all()]);
    }
}

pub(super) fn success_to_itself(defect: Defect) {
    let observe =
        |knobs| [Sender::Another, Sender::Itself].map(|sender| left(knobs, sender, EVERYTHING));
    observes(defect, observe, [[vec![], vec![]], [vec![], all()]]);
}

/// Returns what is left after INVPCID by address of `count` pages from A on.
fn after_range(count: u64) -> impl Fn(Knobs) -> Vec<(u64, Tag)> {
    move |knobs| left(knobs, Sender::Another, invpcid_pages(A, count))
}

const OWN_A: (u64, Tag) = (A, Tag::Pcid(HERE));
const OWN_B: (u64, Tag) = (B, Tag::Pcid(HERE));
const OWN_C: (u64, Tag) = (C, Tag::Pcid(HERE));

pub(super) fn one_page_too_few(defect: Defect) {
    observes(defect, after_range(1), [all_but(&[OWN_A]), all()]);
    let [right, wrong] = [&[OWN_A, OWN_B][..], &[OWN_A]].map(all_but);
    observes(defect, after_range(2), [right, wrong]);
}

pub(super) fn one_page_too_many(defect: Defect) {
    let [one, two, three] = [&[OWN_A][..], &[OWN_A, OWN_B], &[OWN_A, OWN_B, OWN_C]].map(all_but);
    observes(defect, after_range(1), [one, two.clone()]);
    observes(defect, after_range(2), [two, three]);
}

const LARGE: u64 = 0x4000_0000;
const NEXT_LARGE: u64 = LARGE + 0x20_0000;

/// Runs `words` on two neighbouring 2M pages and returns which are left.
fn large_left(knobs: Knobs, words: [u64; 4]) -> Vec<u64> {
    let mut rig = Rig::enabled(knobs);
    for page in [LARGE, NEXT_LARGE] {
        let held = Translation::new(page, page, PageSize::Size2M, Tag::Pcid(HERE));
        rig.tlb.fill(held);
    }
    assert_eq!(rig.run(words).0, SUCCESS);
    rig.cached().into_iter().map(|(page, _)| page).collect()
}

const TWO_LARGE: [u64; 4] = [2 << 8 | 1 << 35 | 2 << 37, 0, HERE as u64, LARGE];

pub(super) fn stride_same_size_only(defect: Defect) {
    let small = invpcid_pages(LARGE + 0x3000, 1);
    let observe = |knobs| [small, TWO_LARGE].map(|words| large_left(knobs, words));
    let right = [vec![NEXT_LARGE], vec![]];
    let wrong = [vec![LARGE, NEXT_LARGE], vec![]];
    observes(defect, observe, [right, wrong]);
}

pub(super) fn stride_ignored(defect: Defect) {
    let observe = |knobs| large_left(knobs, TWO_LARGE);
    observes(defect, observe, [vec![], vec![NEXT_LARGE]]);
    let mut rig = Rig::enabled(super::broken(defect));
    rig.fill(Tag::Pcid(HERE), [A, B, C]);
    let words = [control(2, 0, 2, 2), 0, u64::from(HERE), A];
    assert_eq!(rig.run(words).0, SUCCESS);
    assert_eq!(rig.cached(), [OWN_C], "two pages of 4K for two of 1G");
}

pub(super) fn globals_kept(defect: Defect) {
    let global = (A, Tag::Global);
    for (words, right, wrong) in [
        (EVERYTHING, vec![], vec![global]),
        (
            invpg_pages(A, 1),
            all_but(&[OWN_A, global]),
            all_but(&[OWN_A]),
        ),
    ] {
        let observe = |knobs| left(knobs, Sender::Another, words);
        observes(defect, observe, [right, wrong]);
    }
}

/// Returns what is left after INVPCID by address and by context of [`THERE`].
fn after_naming_there(knobs: Knobs) -> [Vec<(u64, Tag)>; 2] {
    let page = [control(2, 0, 0, 1), 0, u64::from(THERE), A];
    let context = [control(2, 1, 0, 0), 0, u64::from(THERE), 0];
    [page, context].map(|words| left(knobs, Sender::Another, words))
}

/// [`THERE`] is one above [`HERE`], which is current: both faults hit [`HERE`].
fn hits_here(defect: Defect) {
    let right = all_but(&[(A, Tag::Pcid(THERE))]);
    let context = all_but(&[OWN_A, OWN_B, OWN_C]);
    let wrong = [all_but(&[OWN_A]), context];
    observes(defect, after_naming_there, [[right.clone(), right], wrong]);
}

/// Returns which of four PCIDs are left after INVPCID of the whole of `named`.
fn pcids_left(knobs: Knobs, named: u16) -> Vec<u16> {
    let mut rig = Rig::enabled(knobs);
    let pcids = [0, HERE - 1, HERE, 4095];
    for pcid in pcids {
        rig.fill(Tag::Pcid(pcid), [A]);
    }
    let context = [control(2, 1, 0, 0), 0, u64::from(named), 0];
    assert_eq!(rig.run(context).0, SUCCESS);
    let cached = rig.cached();
    pcids
        .into_iter()
        .filter(|&pcid| cached.contains(&(A, Tag::Pcid(pcid))))
        .collect()
}

pub(super) fn pcid_one_less(defect: Defect) {
    hits_here(defect);
    let observe = |knobs| [0, HERE].map(|named| pcids_left(knobs, named));
    let right = [vec![HERE - 1, HERE, 4095], vec![0, HERE - 1, 4095]];
    let wrong = [vec![0, HERE - 1, HERE], vec![0, HERE, 4095]];
    observes(defect, observe, [right, wrong]);
}

pub(super) fn pcid_current(defect: Defect) {
    hits_here(defect);
    let observe = |knobs| [0, HERE].map(|named| pcids_left(knobs, named));
    let right = [vec![HERE - 1, HERE, 4095], vec![0, HERE - 1, 4095]];
    let wrong = [vec![0, HERE - 1, 4095], vec![0, HERE - 1, 4095]];
    observes(defect, observe, [right, wrong]);
}

/// A TLB with the page and the page-directory entry of A, of the host and of guest 7.
fn with_guest() -> TlbModel<4, 4> {
    let mut tlb = TlbModel::with_structures(CR3, Pcids::Enabled);
    for vpid in [0, 7] {
        let page = Translation::new(A, A, PageSize::Size4K, Tag::Pcid(HERE));
        tlb.fill(page.of_guest(vpid));
        let entry = StructureEntry::new(Level::Pde, A, HERE, 0x9000);
        tlb.fill_structure(entry.of_guest(vpid));
    }
    tlb
}

/// Runs `words` on `tlb` and returns the VPIDs of the translations and of the structure entries
/// that are left.
fn vpids_left(knobs: Knobs, mut tlb: TlbModel<4, 4>, words: [u64; 4]) -> [Vec<u16>; 2] {
    let rig = Rig::enabled(knobs);
    rig.arm(0, words);
    rig.unit.signal();
    let served = rig
        .unit
        .service(InterruptFlag::Clear, &rig.memory(), &mut tlb);
    assert!(matches!(served, Serviced::Scanned(pass) if pass.succeeded == 1));
    let translations = tlb.iter().map(|held| held.vpid()).collect();
    let structures = tlb.structures().map(|held| held.vpid()).collect();
    [translations, structures]
}

pub(super) fn guest_flushed(defect: Defect) {
    for words in [EVERYTHING, invpg_pages(A, 1), invpcid_pages(A, 1)] {
        let in_guest = |knobs| {
            let mut tlb = with_guest();
            tlb.enter_guest(7, HERE);
            vpids_left(knobs, tlb, words)
        };
        let [host, guest] = [0, 7].map(|vpid| [vec![vpid], vec![vpid]]);
        observes(defect, in_guest, [guest.clone(), host]);
        let out_of_guest = |knobs| left(knobs, Sender::Another, words);
        assert_eq!(
            out_of_guest(super::broken(defect)),
            out_of_guest(Knobs::DEFAULT),
            "right while no guest runs"
        );
    }
}

pub(super) fn structures_kept(defect: Defect) {
    for words in [EVERYTHING, invpg_pages(A, 1), invpcid_pages(A, 1)] {
        let observe = |knobs| vpids_left(knobs, with_guest(), words);
        let right = [vec![7], vec![7]];
        observes(defect, observe, [right, [vec![7], vec![0, 7]]]);
    }
}
