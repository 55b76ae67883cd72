//! The commands as their callers see them, on a simulated world: one file a topic, one test a sentence.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edits;
mod forks;
mod guilds;
mod idempotency;
mod invites;
mod jobs;
mod leaving;
mod message_permissions;
mod messages;
mod moderation;
mod overwrites;
mod plain_moderation;
mod plain_rooms;
mod private_channels;
mod reactions;
mod redactions;
mod roles;
mod room_creation;
mod scene;
mod slow_mode;
