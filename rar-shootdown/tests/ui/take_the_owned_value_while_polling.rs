//! A flush that is polled and done gives nothing back but by `wait` or `try_wait`.
use rar_shootdown::{Machine, Pending};

fn peek<M: Machine<1>>(pending: Pending<'_, M, Box<u8>, 1>) -> Option<Box<u8>> {
    pending.owned
}

fn main() {}
