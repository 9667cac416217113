//! The smallest kernel that flushes, unchanged: `backends=vrar` makes each CPU a guest of the shim,
//! which has RAR units.
#![no_std]
#![no_main]

rar_kernel::entry!(rar_minimal::main, rar_kernel_lab::shim::arrive);
