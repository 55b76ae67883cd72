//! The Matrix client-server API: a thin facade over the commands of `nexus-rooms`, the queries of
//! `nexus-views` and the accounts.
//!
//! Start with `router.rs` (every route), then `endpoints/` (one file an endpoint or a tight family), and
//! `sync/` for what `/sync` answers. Errors become `errcode`s in `error.rs` and nowhere else.
//!
//! **Invariants**: no handler writes storage; what is not there answers `M_UNRECOGNIZED`; every reply,
//! errors included, carries CORS headers.
//! **Source**: Matrix v1.19, client-server API.

mod access;
mod api;
mod auth;
mod body;
mod confirm;
mod endpoints;
mod error;
mod event_json;
mod filter;
mod ignored;
mod invite_permission;
mod json_out;
mod limits;
mod outside;
mod path;
mod query;
mod room_name;
mod router;
mod succession;
mod summary_json;
mod sync;
mod timeline;
mod token;
mod uia;

pub use api::{MatrixApi, MatrixConfig};
pub use router::router;
