//! Link arguments of the kernel, as the build script of `rar-kernel` hands them on; none without
//! its feature `freestanding`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let arguments = std::env::var("DEP_RAR_KERNEL_LINK_ARGUMENTS").unwrap_or_default();
    for argument in arguments.split_whitespace() {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
