//! Hands the linker script, and the link arguments of a kernel, to the kernels built on this crate.

/// What makes a freestanding file of a program for the host. `kernel.x` lies here, `defmt.x` on the
/// search path of `defmt`.
const LINK_ARGUMENTS: [&str; 8] = [
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,-n",
    "-Wl,--build-id=none",
    "-Tkernel.x",
    "-Tdefmt.x",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=kernel.x");
    if std::env::var_os("CARGO_FEATURE_FREESTANDING").is_some()
        && let Ok(directory) = std::env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-search={directory}");
        println!(
            "cargo::metadata=LINK_ARGUMENTS={}",
            LINK_ARGUMENTS.join(" ")
        );
    }
}
