//! What this server is toward other servers. So far that is its name and its signing key.
//!
//! **Invariant**: this crate knows no rules of rooms; it reaches them through traits that it defines.

mod keys;

pub use keys::{KeyError, KeyProblem, ServerKeys};
