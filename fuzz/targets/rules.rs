//! `doors::rules`, see there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_fuzz::support::doors::rules(bytes));
