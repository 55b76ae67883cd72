//! State keys of what a guild says about members and channels.
//!
//! **Shapes**: URL-safe base64 of truncated SHA-256, without padding. Matrix lets only the user set a key that
//! starts with `@`, and keys are at most 255 bytes, so ids themselves are no keys. An event under another key
//! than the one of its content cannot be read. **Source**: `spec/events.md`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{RoomId, UserId};
use sha2::{Digest, Sha256};

/// The state key of a user's `nexus.member`.
#[must_use]
pub fn member_key(user: &UserId) -> String {
    hash(user.as_str(), 16)
}

/// The state key of a channel's overwrite for `target`: `everyone`, a role id or a user id.
#[must_use]
pub fn overwrite_key(channel: &RoomId, target: &str) -> String {
    format!("{}.{}", channel_part(channel), hash(target, 16))
}

/// The part of an overwrite's key that is the channel's.
pub(crate) fn channel_part(channel: &RoomId) -> String {
    hash(channel.as_str(), 12)
}

fn hash(text: &str, bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text.as_bytes())[..bytes])
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    #[test]
    fn keys_are_what_other_servers_compute() {
        assert_eq!(member_key(user_id!("@ana:a.example")), "NI63KV7SRKXjN8oKIoVXKA");
        let key = overwrite_key(room_id!("!channel:a.example"), "everyone");
        assert_eq!(key, "VcRXiKxlh7lPqtzB.XWeZGulnmUyUsuIaTWOcZQ");
    }
}
