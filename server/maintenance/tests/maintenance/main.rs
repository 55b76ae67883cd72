//! Stores that are sound, damaged, copied, restored and purged.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests of the real world")]

mod backups;
mod corruption;
mod formats;
mod purges;
mod world;
