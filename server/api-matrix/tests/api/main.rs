//! The API through its router, on an in-memory store: what a client sees, without sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod finding;
mod guild_permissions;
mod guilds;
mod http;
mod media;
mod moderation;
mod reading;
mod receipts;
mod rooms;
mod sight;
mod sync;
mod upgrades;
mod visibility;
mod world;
