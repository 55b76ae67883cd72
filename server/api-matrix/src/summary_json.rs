//! A room from outside, as the directory, a space's hierarchy and a room's summary all show it.
//!
//! **Source**: Matrix v1.19, client-server API, `PublishedRoomsChunk` and what extends it.

use nexus_views::RoomSummary;
use serde_json::{Value, json};

/// The fields that all of them share.
pub(crate) fn summary_json(room: &RoomSummary) -> Value {
    let mut object = json!({
        "room_id": room.room_id,
        "num_joined_members": room.joined,
        "join_rule": room.join_rule,
        "world_readable": room.world_readable,
        "guest_can_join": room.guest_can_join,
    });
    let optional = [
        ("name", &room.name),
        ("topic", &room.topic),
        ("avatar_url", &room.avatar_url),
        ("canonical_alias", &room.canonical_alias),
        ("room_type", &room.room_type),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            object[field] = value.as_str().into();
        }
    }
    object
}

/// With what only a space's hierarchy and a room's own summary say.
pub(crate) fn full_summary_json(room: &RoomSummary) -> Value {
    let mut object = summary_json(room);
    object["room_version"] = room.version.as_str().into();
    if let Some(algorithm) = &room.encryption {
        object["encryption"] = algorithm.as_str().into();
    }
    if matches!(room.join_rule.as_str(), "restricted" | "knock_restricted") {
        object["allowed_room_ids"] = json!(room.allowed_rooms);
    }
    object
}
