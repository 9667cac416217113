//! The questions themselves.

use super::{Asked, Question};

/// Declares the rows. Each has the id and the question, what is known, how it is asked, and what
/// follows if the answer is yes (or as expected), and if not.
macro_rules! questions {
    ($($id:literal $asks:literal
        known $source:literal
        $by:ident $($with:literal)?
        if_so $yes:literal
        if_not $no:literal;)*) => {
        pub(super) const ROWS: &[Question] = &[$(Question {
            id: $id,
            asks: $asks,
            source: $source,
            by: $by($($with)?),
            yes: $yes,
            no: $no,
        },)*];
    };
}

const fn asked_by_tests() -> Asked {
    Asked::Tests
}

const fn asked_with(id: &'static str) -> Asked {
    Asked::With(id)
}

const fn not_testable(why: &'static str) -> Asked {
    Asked::NotTestable(why)
}

questions! {
    "1-enumeration" "Do all CPUs enumerate RAR alike, and with which table size and types?"
        known "bit 1 of 0xCF and 0xF0: Linux code; which parts show the bit: no source"
        asked_by_tests
        if_so "RAR may be used as the registers describe it"
        if_not "if one CPU differs, all run without RAR";
    "1-model-list" "Do the parts beyond the listed models show the bit?"
        known "datasheets of Alder and Raptor Lake describe RAR; no source says that parts ship \
            with it"
        asked_with "1-enumeration"
        if_so "the model may be added to the list"
        if_not "the list stays; `ModelCheck::Any` accepts other models";
    "2-disabled" "Does a unit with ENABLE = 0 drop signals, for itself alone?"
        known "documented; the text could not be read again"
        asked_by_tests
        if_so "disabling after quiescence is safe"
        if_not "a disabled CPU may execute entries: its vector must stay valid";
    "2-reserved-bits" "Do reserved bits of the control register and of the bases raise #GP?"
        known "the general rule for MSRs; no source on RAR"
        asked_by_tests
        if_so "a wrong value is detected at once"
        if_not "a wrong value is accepted, and may have a meaning";
    "2-rebase" "May a base be written while the unit is enabled?"
        known "no source"
        asked_by_tests
        if_so "a table could be replaced without disabling the unit"
        if_not "a driver must disable, wait, write and enable, as this one does";
    "2-memory-type" "Must table and vector be write-back memory, and may their address have KeyID \
        bits?"
        known "no source; code uses plain write-back RAM"
        not_testable "tests own no memory of another type, and an alias would break the rules of \
            caching"
        if_so "nothing changes"
        if_not "another type would need its own rules";
    "2-sleep" "Do the registers keep their values over S3, S4 and deep C-states?"
        known "no source"
        not_testable "the suite does not suspend the machine; `unit-registers-lost` shows that the \
            driver copes with any loss"
        if_so "nothing changes: the driver writes all registers each time a CPU comes up"
        if_not "nothing changes";
    "3.2-types" "What do types 6 to 15 do, and the undefined subtypes of types 0 to 2?"
        known "no source; FAILURE presumed"
        asked_by_tests
        if_so "FAILURE: a new type can be tried safely"
        if_not "an undefined entry acts or hangs its slot: never send one";
    "3.3-subtypes" "Do the subtypes of INVPCID flush and keep what those of the instruction do?"
        known "Linux code gives the numbers; globals inferred"
        asked_by_tests
        if_so "the driver's choice of subtypes is right"
        if_not "globals need subtype 2, or more is flushed than requested";
    "3.4-stride" "Does an entry with 4K stride drop a large page around the address, and one with \
        2M stride each of its pages?"
        known "no source; INVLPG does the first"
        asked_by_tests
        if_so "the stride may be smaller than the page"
        if_not "the stride must be that of the smallest old leaf";
    "3.4-structures" "Does an entry drop what the paging-structure caches hold for its addresses?"
        known "inferred from the imitated instruction"
        asked_by_tests
        if_so "page tables may be freed after it"
        if_not "freed tables need a full flush";
    "3.4-alignment" "Must an address be aligned to the stride, and canonical?"
        known "no source"
        asked_with "9.4"
        if_so "a wrong address is answered with FAILURE"
        if_not "the address is rounded: another page is flushed";
    "3.4-unused-fields" "Do fields that a subtype does not use have to be zero?"
        known "no source; Linux RFC v4 leaves a stale page count"
        asked_with "9.4"
        if_so "a driver must clear them"
        if_not "the fields are ignored";
    "3.5-cr3-bits" "Which bits of CR3 does type 0 compare, and what does it answer where they \
        differ?"
        known "no source; SUCCESS presumed"
        asked_by_tests
        if_so "it compares all bits: type 0 names one PCID of one space"
        if_not "it ignores bits: type 0 also flushes other spaces";
    "3.5-invpg" "Which PCID do types 0 and 1 act on, and do they drop globals by address?"
        known "inferred: the current PCID, and globals as INVLPG does"
        asked_by_tests
        if_so "ranges of the kernel could be flushed by address"
        if_not "kernel ranges need subtype 2 of INVPCID";
    "3.6-msr-list" "Which registers may type 5 write, and where does their number stand?"
        known "bits 63:32 of quadword 0 guessed; no list"
        not_testable "a wrong guess writes another register of a real machine; `unit-types-risky` \
            tries an unused one"
        if_so "type 5 could be offered"
        if_not "type 5 stays behind `unverified`";
    "3.7-reserved" "Do reserved bits of an entry fail it, or are they ignored?"
        known "no source"
        asked_with "9.4"
        if_so "FAILURE: a wrong entry is detected"
        if_not "ignored: later parts may give them a meaning";
    "3.7-pcids-off" "What does an entry of type 2 do while `CR4.PCIDE` is 0, for PCID 0 and for \
        others?"
        known "no source; INVPCID then takes PCID 0 only"
        asked_by_tests
        if_so "SUCCESS with the flush for PCID 0: kernels without PCIDs may use type 2"
        if_not "kernels without PCIDs need type 0 or 1";
    "5-level" "Does a request with the level bit, or level-triggered, act like one without?"
        known "Linux code sends it edge-triggered with level 0, and that works; the rest is unknown"
        asked_by_tests
        if_so "the two bits do not matter"
        if_not "a driver must leave both bits 0, as this one does";
    "5-merge" "Do signals that cannot be served yet merge into one that serves all entries?"
        known "inferred from the simulator's interface without a queue"
        asked_by_tests
        if_so "a driver may save signals"
        if_not "each entry needs a signal";
    "5-no-handler" "Is a RAR served without IRR, EOI, TPR or an IDT entry, with interrupts off?"
        known "inferred: no code does an EOI"
        asked_by_tests
        if_so "no handler is needed"
        if_not "targets with interrupts off need the fallback";
    "5-msi" "Can an I/O APIC or an MSI send a RAR?"
        known "no source"
        not_testable "the suite programs no device"
        if_so "devices could flush"
        if_not "nothing changes";
    "6-guest" "Does a RAR act on the host's translations while a guest runs, without an exit?"
        known "no exit: documented; VPID and EPT: not public"
        asked_by_tests
        if_so "hosts may target CPUs in guests"
        if_not "CPUs in guests are flushed at their exit";
    "6-vpid" "Whose translations does an entry drop that arrives in VMX non-root operation: those \
        of VPID 0, or those of the guest?"
        known "no public source; the section of the text is not readable"
        asked_by_tests
        if_so "VPID 0, the host's: a host need not leave its guests to flush itself"
        if_not "a host has to flush at the next exit, and guests lose what they cache";
    "6-scan-order" "In which order does a scan visit the slots?"
        known "no source"
        asked_by_tests
        if_so "upwards, as in the model"
        if_not "any order is legal: nothing relies on it";
    "6-rescan" "Does a running scan serve an entry that is armed without a signal, ahead of it or \
        behind it?"
        known "no source"
        asked_by_tests
        if_so "ahead: the scan is live; behind: the vector is read again"
        if_not "it waits for the next signal, which the driver sends";
    "6-latch-clear" "Is a signal that arrives during a scan served after it?"
        known "inferred: otherwise signals would be lost"
        asked_by_tests
        if_so "no signal is lost"
        if_not "every flush may need a second signal";
    "6-status-last" "Is SUCCESS stored only after the flush, and after stores through the old \
        translation?"
        known "inferred; Linux RFC v4 reports evidence against it, for a CPU's own signal, and a \
            later mail without saying whose"
        asked_by_tests
        if_so "frames may be freed on SUCCESS"
        if_not "RAR cannot be used to free memory";
    "6-older-loads" "Does the handler wait for older loads that use old translations?"
        known "no source"
        asked_with "6-status-last"
        if_so "loads need no further care"
        if_not "one load may return an old value after SUCCESS";
    "6-interruptible" "Can one entry of many pages be interrupted?"
        known "no source"
        not_testable "microcode is not visible; the measurements show how long it runs"
        if_so "latency of interrupts stays low"
        if_not "an entry of 63 pages delays interrupts";
    "6-init" "Do the registers keep their values over INIT?"
        known "no source"
        asked_by_tests
        if_so "a CPU restarted by INIT might still answer"
        if_not "the bytes of the restarted CPU stay PENDING";
    "6-init-latch" "Does INIT clear a signal that waits?"
        known "notes of a third party"
        asked_by_tests
        if_so "a restarted CPU executes no old entry"
        if_not "a restarted CPU executes old entries";
    "6-inhibited" "Are signals held or dropped in SMM, wait-for-SIPI, shutdown and BIOS Guard mode?"
        known "that they are inhibited: notes of a third party; that they are held: inferred"
        not_testable "software cannot keep a CPU in these states and look at its TLB"
        if_so "held: the driver only has to wait"
        if_not "dropped: the driver has to signal again, as it does";
    "6-walks" "Does a page walk that is in flight when the signal is served leave nothing in the \
        TLB after SUCCESS?"
        known "no source; an instruction that flushes leaves nothing"
        asked_by_tests
        if_so "a frame or a table may be freed on SUCCESS"
        if_not "a stale translation can return after its flush: RAR cannot be used to free memory";
    "6-use-bits" "Does the first use of a page after the flush set its A and D bits again?"
        known "inferred: the translation is gone, and the walk sets them; NOMAD (OSDI 2024) needs \
            it"
        asked_by_tests
        if_so "D may be cleared and trusted after a flush, as for write-back and migration"
        if_not "a store after the flush may leave D clear, and a kernel loses it";
    "6-halt" "Is a CPU in HLT served, and does it stay halted?"
        known "HLT is not among the listed inhibited states; the rest is unknown"
        asked_by_tests
        if_so "idle CPUs cost no wake-up"
        if_not "idle CPUs wake, or need the fallback";
    "6-mwait" "Is a CPU in MWAIT served, by depth of the C-state?"
        known "two sources disagree about C6"
        asked_by_tests
        if_so "idle CPUs may be targets"
        if_not "CPUs in deep idle have to be treated as lazy";
    "6-strings" "Is a RAR served between the iterations of a long string instruction?"
        known "no source says when; long instructions are the purpose of RAR"
        asked_by_tests
        if_so "long instructions do not delay a flush"
        if_not "a flush waits for the instruction";
    "6-boundaries" "Is a RAR served in the shadow of MOV SS and STI, within a transaction, in \
        single-step, in a SEAM guest?"
        known "no source"
        not_testable "a shadow is one instruction long, and the other states need their own \
            software"
        if_so "nothing changes: the wait is bounded"
        if_not "nothing changes";
    "6-enclave" "What happens to a CPU inside an SGX enclave?"
        known "notes of a third party: an asynchronous exit"
        not_testable "the suite has no enclave"
        if_so "the enclave continues"
        if_not "the enclave exits and is resumed";
    "6-nmi" "Is a CPU in an NMI handler served?"
        known "no source"
        asked_by_tests
        if_so "watchdogs do not delay flushes"
        if_not "the fallback must not be an NMI alone";
    "6-priority" "What comes first: a RAR, an interrupt, an NMI, an SMI?"
        known "the section of the text is not public"
        not_testable "the order of two events at one instruction boundary leaves no trace"
        if_so "nothing changes"
        if_not "nothing changes";
    "8-numbers" "What does a flush by RAR cost?"
        known "no measured number was found"
        asked_by_tests
        if_so "RAR is cheaper than an interrupt"
        if_not "an interrupt is as good";
    "8-many" "With N initiators and more than 64 targets: is RAR slower than interrupts?"
        known "disputed on LKML in May 2025 (Zijlstra: probably, since the table has 64 entries); \
            all known code uses one entry for any number of targets; no measured number"
        asked_with "8-numbers"
        if_so "large machines keep interrupts for storms"
        if_not "the number of entries does not limit the number of targets";
    "9.1" "Do the white paper and the manual confirm what is inferred?"
        known "neither text could be read"
        not_testable "it needs the documents, not a test"
        if_so "facts become certain"
        if_not "the code has to follow the texts";
    "9.2" "What do the types for guests and for MSR writes do, by subtype?"
        known "subtypes guessed from the instructions"
        asked_by_tests
        if_so "the encodings can be filled in"
        if_not "the types stay behind `unverified`";
    "9.3" "What do counts of 0 and 64 pages flush?"
        known "no source; Linux writes 1 to 63"
        asked_by_tests
        if_so "FAILURE: a wrong count is detected"
        if_not "0 means 64, or nothing: never send it";
    "9.4" "What causes FAILURE, and was anything done then?"
        known "no source"
        asked_by_tests
        if_so "FAILURE means no flush, as the driver assumes"
        if_not "part of the work may be done: the fallback flushes anyway";
    "9.5" "Does SUCCESS for a CPU's own signal mean flushed, with and without other targets?"
        known "Linux RFC v4 reports that it does not"
        asked_by_tests
        if_so "a CPU may signal itself"
        if_not "a CPU must flush its own TLB by instructions, as the driver does";
    "9.6" "How long may a target in a deep C-state or in SMM be silent?"
        known "no source"
        asked_with "6-mwait"
        if_so "bounds can be short"
        if_not "bounded waits, a second signal, and the fallback are needed";
    "9.7" "Is a second signal harmless?"
        known "inferred: a single latch, and final bytes are skipped"
        asked_by_tests
        if_so "the driver may signal again"
        if_not "a second signal may repeat an entry whose slot has a new owner";
    "9.8" "Does a byte ever hold a value other than PENDING, SUCCESS and FAILURE?"
        known "older code of Intel has 0x02"
        asked_by_tests
        if_so "a driver must wait until the byte is final"
        if_not "a driver could wait while the byte is PENDING";
    "9.9" "Does RAR work inside a guest?"
        known "no hypervisor exposes it"
        not_testable "it depends on the hypervisor; run the suite in the guest"
        if_so "guests may use it"
        if_not "guests need the fallback";
    "9.10" "What happens to a waiting signal when ENABLE becomes 0?"
        known "no source"
        asked_by_tests
        if_so "dropped: disabling is final"
        if_not "it is served when the unit is enabled again, with the vector of that time";
    "9.11" "What do a vector other than 0 and the shorthands do?"
        known "vector 0 works: Linux code; the rest is unknown"
        asked_by_tests
        if_so "served: broadcasts can be cheaper"
        if_not "a driver must use vector 0, edge and no shorthand, as this one does";
    "9.12" "Which decisions must a model leave open?"
        known "all of the above"
        not_testable "it concerns the model: its knobs are the answer"
        if_so "nothing changes"
        if_not "nothing changes";
}
