//! Link arguments of the kernel; the two scripts are found on the search paths of `rar-kernel` and `defmt`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_FREESTANDING").is_some() {
        for argument in [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,-n",
            "-Wl,--build-id=none",
            "-Tkernel.x",
            "-Tdefmt.x",
        ] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
