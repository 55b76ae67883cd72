//! The accounts through their public interface, on the in-memory engine and a clock set by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod administration;
mod applications;
mod mail;
mod records;
mod registration;
mod revocation;
mod scheduling;
mod second_factor;
mod sessions;
mod world;
