//! The algorithms of `c/baselines.c`.

use core::ffi::{c_uint, c_void};
use core::ptr::NonNull;
use std::hint::black_box;

use crate::count::Counter;
use crate::size::{ADDRESS, Size, golden};
use crate::world::{World, vector_at};

#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

#[repr(C)]
struct Range {
    pcid: u64,
    start: u64,
    pages: u64,
}

type Flush = unsafe extern "C" fn(NonNull<Opaque>, *const u64, c_uint, &Range);

macro_rules! flushes {
    ($($name:literal: $w1:ident $w4:ident $w16:ident;)*) => {
        unsafe extern "C" {
            $(fn $w1(machine: NonNull<Opaque>, targets: *const u64, this: c_uint, range: &Range);
            fn $w4(machine: NonNull<Opaque>, targets: *const u64, this: c_uint, range: &Range);
            fn $w16(machine: NonNull<Opaque>, targets: *const u64, this: c_uint, range: &Range);)*
        }
        /// Each algorithm, for masks of 1, 4 and 16 words.
        const FLUSHES: &[(&str, [Flush; 3])] = &[$(($name, [$w1, $w4, $w16])),*];
    };
}

flushes! {
    "C bitmap, bits":
        rar_bench_c_bitmap_bits_1
        rar_bench_c_bitmap_bits_4
        rar_bench_c_bitmap_bits_16;
    "C bitmap, words":
        rar_bench_c_bitmap_words_1
        rar_bench_c_bitmap_words_4
        rar_bench_c_bitmap_words_16;
    "C locks, bits":
        rar_bench_c_locks_bits_1
        rar_bench_c_locks_bits_4
        rar_bench_c_locks_bits_16;
    "C locks, words":
        rar_bench_c_locks_words_1
        rar_bench_c_locks_words_4
        rar_bench_c_locks_words_16;
    "C IPI calls, bits":
        rar_bench_c_calls_bits_1
        rar_bench_c_calls_bits_4
        rar_bench_c_calls_bits_16;
    "C IPI calls, words":
        rar_bench_c_calls_words_1
        rar_bench_c_calls_words_4
        rar_bench_c_calls_words_16;
}

unsafe extern "C" {
    fn rar_bench_c_machine(cpus: c_uint) -> NonNull<Opaque>;
    fn rar_bench_c_set_world(machine: NonNull<Opaque>, world: *const c_void);
    fn rar_bench_c_vector(machine: NonNull<Opaque>, cpu: c_uint) -> *const u8;
    fn rar_bench_c_payload(machine: NonNull<Opaque>, slot: c_uint) -> *const [u64; 8];
    fn rar_bench_c_flushed(machine: NonNull<Opaque>) -> u64;
}

/// Counts a flush of one page by each algorithm, after a check that it does what the driver does.
pub(crate) fn count(counter: &mut Counter, size: Size) {
    for (name, flushes) in FLUSHES {
        let name = format!("{name} {size}");
        let flush = match size.words {
            1 => flushes[0],
            4 => flushes[1],
            _ => flushes[2],
        };
        if counter.wants(&name) {
            one(counter, &name, flush, size);
        }
    }
}

fn one(counter: &mut Counter, name: &str, flush: Flush, size: Size) {
    // SAFETY: any number of CPUs up to 1,024; the memory is never freed.
    let machine = unsafe { rar_bench_c_machine(size.targets + 1) };
    // SAFETY: the machine has these CPUs.
    let vector = |cpu| vector_at(unsafe { rar_bench_c_vector(machine, cpu) });
    let vectors = (1..=size.targets).map(vector).collect();
    let world: &'static World = Box::leak(Box::new(World::new(vectors)));
    // SAFETY: the world lives as long as the process.
    unsafe { rar_bench_c_set_world(machine, std::ptr::from_ref(world).cast()) };
    let space = size.space();
    let range = Range {
        pcid: 5,
        start: ADDRESS,
        pages: 1,
    };
    let call = || {
        let (machine, space, range) = black_box((machine, &space, &range));
        // SAFETY: the mask has as many words as the function reads, and only CPUs that the machine
        // has.
        unsafe { flush(machine, space.as_ptr(), 0, range) };
        true
    };
    call();
    // SAFETY: the machine has 64 payloads, and one thread uses it.
    let payload = unsafe { rar_bench_c_payload(machine, 0) };
    // SAFETY: as above; it is written in flushes only.
    let payload = unsafe { *payload };
    // SAFETY: one thread uses the machine.
    let flushed = unsafe { rar_bench_c_flushed(machine) };
    let by_slot = world.answers() == (size.targets.into(), 1) && payload == golden();
    if by_slot != (flushed == 0) || (flushed != 0 && flushed != size.targets.into()) {
        counter.fail(name, "not every target was told the same as by the driver");
    }
    counter.case(name, call);
}
