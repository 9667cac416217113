//! Link arguments of the kernel, as the build script of `rar-kernel` hands them on, and the address
//! of the image; none without its feature `freestanding`.

/// Where the image lies. Other kernels are linked at 1, 2 or 16 MiB and have room below: Linux
/// unpacks itself in some 50 MiB. A machine of 128 MiB has room above.
const BASE: u64 = 96 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let arguments = std::env::var("DEP_RAR_KERNEL_LINK_ARGUMENTS").unwrap_or_default();
    for argument in arguments.split_whitespace() {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    if !arguments.is_empty() {
        println!("cargo::rustc-link-arg-bins=-Wl,--defsym=rar_kernel_base={BASE:#x}");
    }
}
