//! `GET /_matrix/client/v3/capabilities`
//!
//! **Source**: Matrix v1.19, client-server API, "Capabilities negotiation". What is not here yet is said to
//! be off, for an absent capability counts as on.

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use nexus_state_resolution::RoomVersion;
use serde_json::{Map, Value, json};

use crate::auth::Auth;

/// What a client may do here.
pub(crate) async fn get(State(rooms): State<Rooms>, _: Auth) -> Json<Value> {
    let available: Map<String, Value> =
        RoomVersion::ALL.into_iter().map(|version| (version.as_str().to_owned(), "stable".into())).collect();
    Json(json!({
        "capabilities": {
            "m.room_versions": { "default": rooms.default_version().as_str(), "available": available },
            "m.change_password": { "enabled": false },
            "m.set_displayname": { "enabled": true },
            "m.set_avatar_url": { "enabled": true },
            "m.profile_fields": { "enabled": true },
            "m.forget_forced_upon_leave": { "enabled": false },
            "m.3pid_changes": { "enabled": false },
            "m.get_login_token": { "enabled": false },
        }
    }))
}
