#!/usr/bin/env bash
# In a rayon pipeline, skip(n) is a task of its own that is allocated at each call, and works on what it leaves out.
#
# Expected: on a slice, `par_iter().skip(8)` costs what `[8..].par_iter()` does: both begin at another place, and `take`,
#           `rev`, `step_by`, `zip` and `enumerate` allocate nothing either. And since `map(f).take(4)` calls `f` four times,
#           `map(f).skip(60)` of 64 calls it four times as well.
# Happens:  skip splits its source in two and spawns the first part as a job of a scope, one allocation a call; that job
#           takes all left out items, so that `f` is called for these as well, as the sequential iterator does, and on
#           whatever thread is free.
# Seen with: rayon 1.12.0, rustc 1.95.0.
# Met by:   whoever counts allocations in a loop that has to be free of them (training steps, audio, frames of a game), or
#           leaves out the first items because they are dear.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo new --quiet --bin --vcs none skipping
cd skipping
cargo add --quiet rayon@=1.12.0
cat > src/main.rs <<'RUST'
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(what: &str, work: impl Fn()) {
    work();
    let before = COUNT.load(Relaxed);
    (0..100).for_each(|_| work());
    println!("{what}: {} allocations in 100 calls", COUNT.load(Relaxed) - before);
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let numbers: Vec<usize> = (0..64).collect();
    let sum = AtomicUsize::new(0);
    let add = |number: &usize| {
        sum.fetch_add(*number, Relaxed);
    };
    pool.install(|| {
        count("[8..]", || numbers[8..].par_iter().for_each(add));
        count("take(8)", || numbers.par_iter().take(8).for_each(add));
        count("skip(8)", || numbers.par_iter().skip(8).for_each(add));
        let calls = AtomicUsize::new(0);
        let called = |number: &usize| {
            calls.fetch_add(1, Relaxed);
            *number
        };
        let _: usize = numbers.par_iter().map(called).take(4).sum();
        println!("map, take(4): called {} times", calls.swap(0, Relaxed));
        let _: usize = numbers.par_iter().map(called).skip(60).sum();
        println!("map, skip(60): called {} times", calls.swap(0, Relaxed));
    });
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
expected='[8..]: 0 allocations in 100 calls
take(8): 0 allocations in 100 calls
skip(8): 100 allocations in 100 calls
map, take(4): called 4 times
map, skip(60): called 64 times'
[ "$seen" = "$expected" ] || { echo 'CHANGED'; exit 1; }
echo 'as described above'
