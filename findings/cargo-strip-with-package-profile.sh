#!/usr/bin/env bash
# A program whose own package has an entry under [profile.release.package] is no longer stripped of its symbols,
# although [profile.release] says strip = true.
#
# Expected: an entry that sets opt-level changes opt-level, and everything else is inherited from [profile.release];
#           Cargo's book says that per-package settings override that profile one by one.
# Happens:  with the entry, cargo hands rustc `-C strip=debuginfo` in place of `-C strip=symbols`. The program
#           keeps its symbol table and is about a third larger (345 and 446 kB); no warning. Writing strip = true into the
#           entry, too, mends it.
# Seen with: cargo 1.95.0, rustc 1.95.0, x86_64 Linux.
# Met by:   whoever compiles one crate of a workspace for size or for speed by a package entry, and ships the
#           binary of that crate.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo --version

cargo new --quiet --bin --vcs none program
cd program
printf '\n[profile.release]\nstrip = true\n' >> Cargo.toml

# What rustc is told, and what comes of it.
build() {
  cargo clean --quiet
  told=$(cargo build --release --verbose 2>&1 | grep -o 'strip=[a-z]*' | head -n 1)
  size=$(wc -c < target/release/program)
  echo "$1: rustc is told $told, $size bytes"
}

build 'strip in the profile'
[ "$told" = strip=symbols ] || { echo 'CHANGED: the profile alone does not strip symbols'; exit 1; }
stripped=$size

printf '\n[profile.release.package.program]\nopt-level = 3\n' >> Cargo.toml
build 'and an entry of the package, with the opt-level that it has anyway'
[ "$told" != strip=symbols ] && [ "$size" -gt "$stripped" ] || { echo 'CHANGED: strip is inherited'; exit 1; }

printf 'strip = true\n' >> Cargo.toml
build 'and strip in the entry'
[ "$told" = strip=symbols ] && [ "$size" = "$stripped" ] || { echo 'CHANGED: strip in the entry does not help'; exit 1; }

echo 'as described above'
