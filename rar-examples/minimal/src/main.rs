//! The smallest kernel that flushes, on the CPUs as they are.
#![no_std]
#![no_main]

rar_kernel::entry!(rar_minimal::main);
