//! The REST endpoints, one file per family. A handler parses, calls one command or query, and formats.

pub(crate) mod applications;
pub(crate) mod attachments;
pub(crate) mod auth;
pub(crate) mod bans;
pub(crate) mod channels;
pub(crate) mod directory;
pub(crate) mod gateway_address;
pub(crate) mod guilds;
pub(crate) mod invites;
pub(crate) mod join;
pub(crate) mod member_changes;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod mfa;
pub(crate) mod oauth2;
pub(crate) mod overwrites;
pub(crate) mod reactions;
pub(crate) mod roles;
pub(crate) mod rooms;
pub(crate) mod sessions;
pub(crate) mod typing;
pub(crate) mod users;
