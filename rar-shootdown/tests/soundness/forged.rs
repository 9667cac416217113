//! What the unsafe contracts protect cannot be forged by safe code.

use std::path::Path;
use std::process::{Command, Output};

#[test]
fn finding_02_two_owners_of_a_slot_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/soundness/ui/finding_02_*.rs");
}

#[test]
fn finding_07_what_frees_memory_without_a_flush_is_unsafe() {
    trybuild::TestCases::new().compile_fail("tests/soundness/ui/finding_07_*.rs");
}

/// A crate of its own, since this one's dependencies have the feature.
#[test]
fn finding_01_without_the_feature_a_kernel_has_no_test_doubles() {
    let forgeries = [
        "use rar_percpu::fake::pinned;",
        "use rar_percpu::fake::FakeTlb;",
        "use rar_percpu::fake::FakeAddresses;",
        "use rar_shootdown::fake::FakeMachine;",
    ];
    let all = forgeries.join("\n");
    let control = check("with-fake", "features = [\"fake\"]", &all);
    assert!(
        control.status.success(),
        "with the feature it compiles: {}",
        String::from_utf8_lossy(&control.stderr)
    );
    let kernel = check("without-fake", "default-features = true", &all);
    let text = String::from_utf8_lossy(&kernel.stderr);
    assert!(!kernel.status.success(), "it compiles by default");
    for crate_name in ["rar_percpu", "rar_shootdown"] {
        let told = format!("could not find `fake` in `{crate_name}`");
        assert!(text.contains(&told), "another error: {text}");
    }
    assert_eq!(
        text.matches("error[E0432]").count() + text.matches("error[E0433]").count(),
        forgeries.len(),
        "each is an error of its own: {text}"
    );
}

/// Checks a library with this text that depends on both crates, offline, with what this workspace
/// has locked.
fn check(name: &str, options: &str, text: &str) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.parent().unwrap();
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let dependency = |krate: &str| {
        let path = workspace.join(krate);
        format!("{krate} = {{ path = {path:?}, {options} }}\n")
    };
    let manifest = format!(
        "[package]\nname = \"kernel\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[dependencies]\n{}{}",
        dependency("rar-percpu"),
        dependency("rar-shootdown"),
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), format!("#![no_std]\n{text}\n")).unwrap();
    std::fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--color=never"])
        .current_dir(&folder)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel-target"),
        )
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}
