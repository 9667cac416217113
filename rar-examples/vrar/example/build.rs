//! Link arguments of the kernel; the two scripts are found on the search paths of `rar-kernel` and `defmt`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
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
