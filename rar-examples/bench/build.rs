//! Compiles the baselines.

fn main() {
    println!("cargo::rerun-if-changed=c/baselines.c");
    cc::Build::new()
        .file("c/baselines.c")
        .opt_level(2)
        .debug(false)
        // As kernels are compiled, and as the Rust code here is.
        .flag("-fno-stack-protector")
        .flag("-fcf-protection=none")
        .flag("-mno-red-zone")
        .std("gnu11")
        .warnings_into_errors(true)
        .extra_warnings(true)
        .compile("baselines");
}
