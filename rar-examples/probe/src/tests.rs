//! Each answer, on CPUs made of memory and on files that are not there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rar_regs::{CoreCapabilities, FakeCpu, RarControl, RarInfo, Vendor};
use tempfile::TempDir;

use crate::fake_system::{FakeSystem, Reads};
use crate::{
    Answer, CpuNumber, Linux, Lockdown, NotRead, Obstacle, System as _, User, Verdict, json, probe,
    text,
};

#[track_caller]
fn expect(answer: &Answer, verdict: Verdict, code: u8, words: &[&str]) {
    let text = text(answer);
    assert_eq!(answer.verdict, verdict, "{text}");
    assert_eq!(verdict.exit_code(), code);
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
    let parsed: serde_json::Value = serde_json::from_str(&json(answer).unwrap()).unwrap();
    assert_eq!(parsed["exit_code"], code);
    assert_eq!(parsed["schema_version"], 1);
    assert_eq!(parsed["cpus"].as_array().unwrap().len(), answer.cpus.len());
}

fn with_types() -> FakeCpu {
    FakeCpu::with_rar(63).with_msr(RarInfo::MSR, 63 << 32 | 7)
}

#[test]
fn usable() {
    let answer = probe(&FakeSystem::new([with_types(), with_types()]));
    let words = [
        "RAR: yes, the same on all 2 CPUs",
        "table       64 entries",
        "types       0, 1, 2 (0x3f00000007)",
        "addresses   46 bits",
        "Sapphire Rapids, listed",
        "microcode   0x2b000603",
        "hypervisor  none shown",
        "in use      no, RAR is off",
    ];
    expect(&answer, Verdict::Usable, 0, &words);
    let parsed: serde_json::Value = serde_json::from_str(&json(&answer).unwrap()).unwrap();
    assert_eq!(parsed["verdict"], "usable");
    assert_eq!(parsed["cpus"][1]["types"], serde_json::json!([0, 1, 2]));
    assert_eq!(parsed["cpus"][1]["enabled"], false);
}

#[test]
fn types_that_are_not_listed_are_unknown_and_not_none() {
    let answer = probe(&FakeSystem::new([FakeCpu::with_rar(15)]));
    let words = ["on the CPU", "16 entries", "not listed by the CPU"];
    expect(&answer, Verdict::Usable, 0, &words);
    assert!(json(&answer).unwrap().contains("\"types\": null"));
}

#[test]
fn in_use_with_the_registers_of_the_cpus_that_are_touched() {
    let on = with_types()
        .with_msr(RarControl::MSR, 0xc000_0000)
        .with_msr(0xee, 0x1000)
        .with_msr(0xef, 0x2000);
    let odd = with_types().with_msr(RarControl::MSR, 0x8000_00e0);
    let answer = probe(&FakeSystem::new([with_types(), on, odd]));
    let words = [
        "yes, on CPU 1-2",
        "CPU 1: on, ignores IF; control 0xc0000000, action vector 0x1000, payload table 0x2000",
        "CPU 2: on, respects IF; control 0x800000e0 (reserved bits 0xe0)",
    ];
    expect(&answer, Verdict::Usable, 0, &words);
    assert!(!text(&answer).contains("CPU 0:"));
}

#[test]
fn absent_by_cpuid_needs_no_register() {
    let mut system =
        FakeSystem::new(
            [FakeCpu::new().with_signature(Vendor::new(*b"AuthenticAMD"), 0x00a2_0f12)],
        );
    let path = PathBuf::from("/dev/cpu/0/msr");
    system.reads = Reads::Fail(Obstacle::NoDevice { path });
    let words = ["RAR: no, on the CPU", "bit 30", "AuthenticAMD"];
    expect(&probe(&system), Verdict::Absent, 1, &words);
}

#[test]
fn absent_by_the_register() {
    let without = || FakeCpu::with_rar(63).with_msr(CoreCapabilities::MSR, 1);
    let answer = probe(&FakeSystem::new([without(), without()]));
    let words = ["no, on all 2 CPUs", "IA32_CORE_CAPABILITIES is 0x1"];
    expect(&answer, Verdict::Absent, 1, &words);
}

#[test]
fn absent_where_the_announced_register_is_not_there() {
    let without = FakeCpu::with_rar(63).without_msr(CoreCapabilities::MSR);
    let words = ["RAR: no, on the CPU", "RDMSR of 0xcf raised #GP(0)"];
    expect(
        &probe(&FakeSystem::new([without])),
        Verdict::Absent,
        1,
        &words,
    );
}

#[test]
fn a_model_that_is_not_listed_is_asked_and_refused() {
    let cpu = || with_types().with_signature(Vendor::INTEL, 0x000a_06d1);
    let answer = probe(&FakeSystem::new([cpu()]));
    let words = ["should refuse it", "64 entries", "model 0xad", "not listed"];
    expect(&answer, Verdict::Refused, 5, &words);
}

#[test]
fn a_register_of_another_revision_is_refused() {
    let cpu = || FakeCpu::with_rar(63).with_msr(RarInfo::MSR, 1 << 40);
    let answer = probe(&FakeSystem::new([cpu()]));
    expect(
        &answer,
        Verdict::Refused,
        5,
        &["reserved bits 0x10000000000"],
    );
    let faulting = FakeCpu::with_rar(63).without_msr(RarInfo::MSR);
    let answer = probe(&FakeSystem::new([faulting]));
    expect(
        &answer,
        Verdict::Refused,
        5,
        &["RDMSR of 0xf0 raised #GP(0)"],
    );
}

#[test]
fn a_table_that_nothing_describes_is_refused() {
    let blank = || FakeCpu::with_rar(0).with_msr(RarInfo::MSR, 0);
    let answer = probe(&FakeSystem::new([blank(), blank()]));
    let words = ["should refuse it", "MSR_RAR_INFO is 0x0"];
    expect(&answer, Verdict::Refused, 5, &words);
    assert!(json(&answer).unwrap().contains("\"rar\": \"refused\""));
    let answer = probe(&FakeSystem::new([with_types(), blank()]));
    expect(
        &answer,
        Verdict::Disagree,
        4,
        &["CPU 1: MSR_RAR_INFO is 0x0"],
    );
}

#[test]
fn cpus_disagree() {
    let smaller = FakeCpu::with_rar(31);
    let answer = probe(&FakeSystem::new([FakeCpu::with_rar(63), smaller]));
    let words = [
        "use it on none",
        "CPU 1: MSR_RAR_INFO is 0x1f00000000 on this CPU",
    ];
    expect(&answer, Verdict::Disagree, 4, &words);

    let without = FakeCpu::with_rar(63).with_msr(CoreCapabilities::MSR, 0);
    let answer = probe(&FakeSystem::new([without, with_types(), with_types()]));
    let words = ["CPU 0: no RAR", "table       64 entries"];
    expect(&answer, Verdict::Disagree, 4, &words);
}

#[test]
fn each_obstacle_has_its_sentence() {
    let path = PathBuf::from("/dev/cpu/0/msr");
    let refused = |user, lockdown| Obstacle::NotPermitted {
        path: path.clone(),
        user,
        lockdown,
    };
    let cases = [
        (Obstacle::NoDevice { path: path.clone() }, "modprobe msr"),
        (
            refused(User::Ordinary, Lockdown::On),
            "run the probe as root",
        ),
        (refused(User::Root, Lockdown::On), "lockdown alone"),
        (refused(User::Root, Lockdown::NotShown), "CAP_SYS_RAWIO"),
        (Obstacle::Offline { path: path.clone() }, "offline"),
    ];
    for (obstacle, word) in cases {
        let mut system = FakeSystem::new([with_types(), with_types()]);
        system.reads = Reads::Fail(obstacle);
        expect(
            &probe(&system),
            Verdict::Unknown,
            3,
            &["RAR: unknown", word, "0x8f"],
        );
    }
}

#[test]
fn cpus_that_are_offline_are_named() {
    let mut system = FakeSystem::new([with_types(), with_types()]);
    system.offline = vec![CpuNumber(2), CpuNumber(3)];
    let words = [
        "RAR: yes, the same on all 2 CPUs that are online\n",
        "not asked   CPU 2-3: offline",
    ];
    let answer = probe(&system);
    expect(&answer, Verdict::Usable, 0, &words);
    let parsed: serde_json::Value = serde_json::from_str(&json(&answer).unwrap()).unwrap();
    assert_eq!(parsed["offline"], serde_json::json!([2, 3]));
    assert!(!text(&probe(&FakeSystem::new([with_types()]))).contains("not asked"));
}

#[test]
fn a_cpu_that_is_there_and_not_online_is_offline() {
    let root = root(None);
    let folder = root.path().join("sys/devices/system/cpu");
    assert!(Linux::under(root.path()).offline().is_empty());
    fs::write(folder.join("present"), "0-3\n").unwrap();
    let offline = Linux::under(root.path()).offline();
    assert_eq!(offline, [1, 2, 3].map(CpuNumber));
}

#[test]
fn a_cpu_that_is_not_ours_leaves_the_answer_open() {
    let mut system = FakeSystem::new([with_types(), with_types()]);
    system.closed = vec![CpuNumber(1)];
    let words = ["CPU 1: this process may not run there", "64 entries"];
    expect(&probe(&system), Verdict::Unknown, 3, &words);
}

/// A folder that looks like the root of a Linux, with a register file of one CPU.
fn root(registers: Option<&[u8]>) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| {
        let file = root.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    };
    put("sys/devices/system/cpu/online", b"0\n");
    if let Some(content) = registers {
        put("dev/cpu/0/msr", content);
    }
    root
}

fn read(root: &Path, msr: u32) -> Result<u64, NotRead> {
    Linux::under(root).read_msr(CpuNumber(0), msr)
}

#[test]
fn a_register_is_eight_bytes_at_its_address() {
    let mut content = vec![0; 0x100];
    content[0xcf..0xd7].copy_from_slice(&0x1122_3344_5566_7788_u64.to_le_bytes());
    let root = root(Some(&content));
    assert_eq!(read(root.path(), 0xcf), Ok(0x1122_3344_5566_7788));
    assert_eq!(read(root.path(), 0xe0), Ok(0));
}

#[test]
fn files_that_cannot_be_read() {
    let without = root(None);
    let missing = read(without.path(), 0xcf).unwrap_err();
    assert!(matches!(
        missing,
        NotRead::Obstacle(Obstacle::NoDevice { .. })
    ));

    let short = root(Some(&[0; 0xd0]));
    let ended = read(short.path(), 0xcf).unwrap_err();
    assert!(matches!(ended, NotRead::Obstacle(Obstacle::File { .. })));

    // Root may open any file, so this asks only whether others are told to become root.
    let closed = root(Some(&[0; 0x100]));
    let file = closed.path().join("dev/cpu/0/msr");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    match read(closed.path(), 0xcf) {
        Err(NotRead::Obstacle(Obstacle::NotPermitted { user, .. })) => {
            assert_eq!(user, User::Ordinary);
        }
        read => assert!(rustix::process::geteuid().is_root(), "{read:?}"),
    }
}

#[test]
fn a_system_that_lists_no_cpus_is_unknown() {
    let nowhere = tempfile::tempdir().unwrap();
    let answer = probe(&Linux::under(nowhere.path()));
    expect(
        &answer,
        Verdict::Unknown,
        3,
        &["cpu/online: cannot be used"],
    );

    let odd = root(None);
    let list = odd.path().join("sys/devices/system/cpu/online");
    fs::write(list, "many\n").unwrap();
    let answer = probe(&Linux::under(odd.path()));
    expect(&answer, Verdict::Unknown, 3, &["got `many`", "0-3,8"]);
}
