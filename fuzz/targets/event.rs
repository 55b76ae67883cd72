//! `doors::event`, see there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_fuzz::support::doors::event(bytes));
