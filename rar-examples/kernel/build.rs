//! Hands the linker script to the kernels built on this crate: `-T kernel.x` finds it on the search path.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=kernel.x");
    if std::env::var_os("CARGO_FEATURE_FREESTANDING").is_some()
        && let Ok(directory) = std::env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-search={directory}");
    }
}
