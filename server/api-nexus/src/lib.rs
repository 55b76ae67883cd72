//! The Discord-shaped API: REST and gateway, a thin facade over the commands of `nexus-rooms`, the queries
//! of `nexus-views` and the accounts.
//!
//! Start with `router.rs` (every route), then `endpoints/` (one file a family) and `gateway/` for the
//! socket. Objects are built in `objects/`, errors become Discord's codes in `error.rs` and nowhere else.
//!
//! **Invariants**: no handler writes storage; what is not there answers Discord's 404, never a fake success.
//! **Source**: `discord-api-docs`; what its client libraries insist on.

mod access;
mod api;
mod attachment;
mod auth;
mod body;
mod compose;
mod endpoints;
mod error;
mod form;
mod gateway;
mod limits;
mod message_body;
mod message_content;
mod message_form;
mod objects;
mod params;
mod poll_form;
mod router;
mod snowflake;
#[cfg(test)]
mod test_server;
mod text;
#[cfg(test)]
mod view_tests;

pub use api::{NexusApi, NexusConfig};
pub use router::router;
