//! Role objects. The id of @everyone is the guild's.

use nexus_event_store::{RoomNo, Snowflake};
use nexus_views::Role;
use serde_json::{Value, json};

use super::{Built, Objects};

/// A role object.
pub(crate) fn role_json(role: &Role) -> Value {
    let row = &role.row;
    json!({
        "id": role.id.to_string(),
        "name": row.name,
        "description": null,
        "color": row.color,
        "colors": { "primary_color": row.color, "secondary_color": null, "tertiary_color": null },
        "hoist": row.hoist,
        "icon": null,
        "unicode_emoji": null,
        "position": row.position,
        "permissions": row.permissions.to_string(),
        "managed": row.managed,
        "mentionable": row.mentionable,
        "flags": 0,
    })
}

impl Objects {
    /// The roles of a guild, lowest first.
    pub(crate) async fn roles(&self, guild: RoomNo) -> Built<Vec<Value>> {
        Ok(self.views.roles(guild).await?.iter().map(role_json).collect())
    }

    /// A role of a guild, if it still has it.
    pub(crate) async fn role(&self, guild: RoomNo, id: Snowflake) -> Built<Option<Value>> {
        Ok(self.views.roles(guild).await?.iter().find(|role| role.id == id).map(role_json))
    }
}
