#!/usr/bin/env bash
# The source of an error that thiserror derives cannot be found by its type where the field is a Box of that type.
#
# Expected: with `#[source] cause: Box<Cause>`, which keeps a large error small, `error.source()` is the Cause, and
#           `source.downcast_ref::<Cause>()` finds it, as it does without the Box, and as it does where the field is
#           `Box<dyn Error + Send + Sync>`.
# Happens:  Box<Cause> is an error itself, and that Box is the source: `downcast_ref::<Cause>()` is None,
#           `downcast_ref::<Box<Cause>>()` finds it. The message reads the same, and nothing warns.
# Seen with: thiserror 2.0.18, rustc 1.95.0.
# Met by:   whoever boxes a variant because clippy says that the error is large, and has code, or a test, that looks
#           for the cause along `source()`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo new --quiet --bin --vcs none boxed
cd boxed
cargo add --quiet thiserror@=2.0.18
cat > src/main.rs <<'RUST'
use std::error::Error;

#[derive(Debug, thiserror::Error)]
#[error("the disk is full")]
struct Cause;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("not saved")]
    Plain { #[source] cause: Cause },
    #[error("not saved")]
    Boxed { #[source] cause: Box<Cause> },
    #[error("not saved")]
    Any { #[source] cause: Box<dyn Error + Send + Sync> },
}

fn main() {
    let all = [
        ("Cause", Failure::Plain { cause: Cause }),
        ("Box<Cause>", Failure::Boxed { cause: Box::new(Cause) }),
        ("Box<dyn Error>", Failure::Any { cause: Box::new(Cause) }),
    ];
    for (field, failure) in all {
        let source = failure.source().expect("a source");
        let is_cause = source.downcast_ref::<Cause>().is_some();
        let is_box = source.downcast_ref::<Box<Cause>>().is_some();
        println!("{field}: `{source}`, a Cause: {is_cause}, a Box<Cause>: {is_box}");
    }
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
expected='Cause: `the disk is full`, a Cause: true, a Box<Cause>: false
Box<Cause>: `the disk is full`, a Cause: false, a Box<Cause>: true
Box<dyn Error>: `the disk is full`, a Cause: true, a Box<Cause>: false'
[ "$seen" = "$expected" ] || { echo 'CHANGED'; exit 1; }
echo 'as described above'
