//! Checks of the source tree itself, as ordinary tests: `cargo test -p nexus-tidy`. The crate is empty.
//!
//! In `tests/tidy/`: `edges` holds the dependency edges that are allowed, `sources` what may stand in a
//! source file, `links` that links between documents lead somewhere; `sizes` prints the longest files and
//! functions for a reader to judge.
