//! What the targets run: the functions of bytes that the tests of `state-resolution` use too.

#[path = "../state-resolution/tests/support/mod.rs"]
pub mod support;
