//! Room versions, signed events, authorisation rules and state resolution: the pure core.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no randomness, no logging.
//! An event enters as a [`Draft`] through [`build`] or as foreign JSON through [`verify`], and is from
//! then on an immutable [`Pdu`]. [`authorise`] judges it against a state, [`resolve`] merges states.
//!
//! **Errors**: one enum per function, never a panic on foreign bytes.
//! **Source**: Matrix specification v1.19, rooms 1 to 12; the rules are `ruma`'s data, see
//! `docs/adr/2026-11-22-canonical-json.md` for why its canonical JSON is ours.

mod auth;
mod build;
mod conflict;
mod format;
mod handshake;
mod json;
mod keys;
mod pdu;
mod redaction;
mod resolve;
mod resolve_v1;
mod room_version;
mod verify;

// The fixtures are written against the public interface, so that property tests share them.
#[cfg(test)]
extern crate self as nexus_state_resolution;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use auth::{AuthError, Cited, auth_types, authorise, authorise_by_auth_events, authorise_state_only};
pub use build::{BuildError, Draft, Signer, build};
pub use conflict::Conflict;
pub use format::{
    AUTH_EVENTS_MAX, EVENT_BYTES_MAX, FIELD_BYTES_MAX, FormatError, PREV_EVENTS_MAX, check_format,
};
pub use handshake::{Handshake, HandshakeError, HandshakeRequest, check_handshake, countersign};
pub use json::{JsonError, JsonLimits, parse_object};
pub use keys::{KeyError, KeyRing, SERVER_KEYS_MAX, Validity};
pub use pdu::{Citation, Pdu, PduError};
pub use redaction::{RedactionRefused, redaction_takes_effect};
pub use resolve::{
    ResolutionSource, ResolveError, StateSnapshot, resolve, resolve_conflict, resolve_disputed,
};
pub use room_version::RoomVersion;
pub use verify::{Verified, VerifyError, required_signers, verify, verify_reporting, verify_with_keys};
