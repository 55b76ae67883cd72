//! The constant skeleton of a guild's rooms: power levels that give nobody anything, join rules by which
//! the steward lets members in. What members may do is decided by roles, not by levels (design §3).

use nexus_views::state_keys::member_key;
use ruma::{CanonicalJsonObject, RoomId, ServerName, UserId};
use serde_json::json;

use crate::content::object;

/// The level of stewards of other servers; the home steward made the room and stands above all levels.
const STEWARDS: i64 = 100;

/// What anyone in a channel may send, listed one by one.
const ORDINARY: [&str; 11] = [
    "m.poll.end",
    "m.poll.response",
    "m.poll.start",
    "m.reaction",
    "m.room.encrypted",
    "m.room.message",
    "m.room.redaction",
    "m.sticker",
    "org.matrix.msc3381.poll.end",
    "org.matrix.msc3381.poll.response",
    "org.matrix.msc3381.poll.start",
];

/// `m.room.power_levels` of a channel; `open` says whether @everyone may view it, and so invite.
pub(crate) fn channel_power_levels(open: bool) -> CanonicalJsonObject {
    let events: serde_json::Map<String, serde_json::Value> =
        ORDINARY.iter().map(|event_type| ((*event_type).to_owned(), json!(0))).collect();
    let mut content = levels(&serde_json::Value::Object(events));
    if !open {
        content.extend(object(json!({ "invite": STEWARDS })));
    }
    content
}

/// `m.room.power_levels` of a guild room, in which nobody but stewards sends anything.
pub(crate) fn guild_power_levels() -> CanonicalJsonObject {
    levels(&json!({}))
}

/// `m.room.power_levels` of a channel that is no more: nobody sends or invites.
pub(crate) fn closed_power_levels() -> CanonicalJsonObject {
    let mut content = guild_power_levels();
    content.extend(object(json!({ "invite": STEWARDS })));
    content
}

fn levels(events: &serde_json::Value) -> CanonicalJsonObject {
    object(json!({
        "ban": STEWARDS,
        "events": events,
        "events_default": STEWARDS,
        "invite": 0,
        "kick": STEWARDS,
        "redact": STEWARDS,
        "state_default": STEWARDS,
        "users": {},
        "users_default": 0,
    }))
}

/// Members come in only as a steward's server signs it: nobody else can fulfil an empty list.
pub(crate) fn guild_join_rules() -> CanonicalJsonObject {
    object(json!({ "join_rule": "restricted", "allow": [] }))
}

/// A channel is open to the guild's members, again by a steward's signature.
pub(crate) fn channel_join_rules(guild: &RoomId) -> CanonicalJsonObject {
    let allow = json!([{ "type": "m.room_membership", "room_id": guild }]);
    object(json!({ "join_rule": "restricted", "allow": allow }))
}

/// `m.space.child` and `m.space.parent`.
pub(crate) fn space_link(server: &ServerName) -> CanonicalJsonObject {
    object(json!({ "via": [server] }))
}

/// The state key for a user id: Matrix lets only the user set a key that starts with `@`.
pub(crate) fn user_state_key(user: &UserId) -> String {
    member_key(user)
}
