//! Stores that are sound, damaged, copied, restored and purged.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests of the real world")]

mod backups;
mod clock;
mod corruption;
mod formats;
mod full_disk;
mod purges;
mod world;
