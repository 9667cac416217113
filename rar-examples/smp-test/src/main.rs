//! smp-test
fn main() {}
