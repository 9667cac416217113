//! Which guests this processor can run (SDM vol. 3, "VMX Capability Reporting Facility").

use rar_kernel::probe;
use x86::cpuid::CpuId;

/// Written once, by the firmware: locked, and VMX outside of SMX allowed.
const FEATURE_CONTROL: u32 = 0x3a;
const ALLOWED: u64 = 0b101;
const BASIC: u32 = 0x480;
const PIN: u32 = 0x481;
const PRIMARY: u32 = 0x482;
const EXIT: u32 = 0x483;
const ENTRY: u32 = 0x484;
const SECONDARY: u32 = 0x48b;
const EPT_VPID: u32 = 0x48c;
/// In [`BASIC`]: the four controls have registers that say which of the bits that are 1 by default
/// may be 0.
const TRUE_CONTROLS: u64 = 1 << 55;
const TRUE_OFFSET: u32 = 0x48d - PIN;
/// In [`EPT_VPID`]: INVVPID, and its type for all that one tag holds.
const INVVPID: u64 = 1 << 32 | 1 << 41;

/// Of the controls: interrupts and NMIs leave the guest, there are secondary controls, both sides
/// run 64-bit code.
const PIN_WANTED: u64 = 1 << 0 | 1 << 3;
const PRIMARY_WANTED: u64 = 1 << 31;
const VPID_WANTED: u64 = 1 << 5;
const LONG_MODE: u64 = 1 << 9;

/// The values of the control fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controls {
    pub(super) pin: u64,
    pub(super) primary: u64,
    pub(super) secondary: u64,
    pub(super) exit: u64,
    pub(super) entry: u64,
}

fn read(register: u32) -> Option<u64> {
    // SAFETY: reading the register has no side effect, and where it does not exist the #GP is
    // caught.
    unsafe { probe::read_register(register) }
}

/// Returns the revision of the VMXON region and the VMCS.
pub(super) fn revision() -> Option<u32> {
    let [low, _] = halves(read(BASIC)?);
    Some(low & 0x7fff_ffff)
}

fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes)
}

/// Returns why this processor runs no guest.
pub(crate) fn obstacle() -> Option<&'static str> {
    let features = CpuId::new().get_feature_info();
    if !features.is_some_and(|features| features.has_vmx()) {
        return Some("the processor has no VMX");
    }
    if read(FEATURE_CONTROL).is_none_or(|bits| bits & ALLOWED != ALLOWED) {
        return Some("the firmware does not allow VMX");
    }
    controls()
        .is_none()
        .then_some("VMX of this processor lacks tags of guests (VPID)")
}

/// Returns the controls, if all that is wanted may be had.
pub(super) fn controls() -> Option<Controls> {
    let by_default = if read(BASIC)? & TRUE_CONTROLS != 0 {
        TRUE_OFFSET
    } else {
        0
    };
    // The low half has the bits that must be 1, the high half those that may be.
    let choose = |register, wanted: u64| {
        let [least, most] = halves(read(register)?).map(u64::from);
        (wanted & !most == 0).then_some(wanted | least)
    };
    let controls = Controls {
        pin: choose(PIN + by_default, PIN_WANTED)?,
        primary: choose(PRIMARY + by_default, PRIMARY_WANTED)?,
        secondary: choose(SECONDARY, VPID_WANTED)?,
        exit: choose(EXIT + by_default, LONG_MODE)?,
        entry: choose(ENTRY + by_default, LONG_MODE)?,
    };
    (read(EPT_VPID)? & INVVPID == INVVPID).then_some(controls)
}
