//! The endpoints: a file for each, or for a few that belong together.

pub(crate) mod account_data;
pub(crate) mod capabilities;
pub(crate) mod create_room;
pub(crate) mod devices;
pub(crate) mod event;
pub(crate) mod filters;
pub(crate) mod forget;
pub(crate) mod knock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod members;
pub(crate) mod membership;
pub(crate) mod messages;
pub(crate) mod moderation;
pub(crate) mod profile;
pub(crate) mod redact;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod send;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod typing;
pub(crate) mod versions;
pub(crate) mod well_known;
pub(crate) mod whoami;
