//! Role objects. The id of @everyone is the guild's.

use nexus_event_store::{RoomNo, Snowflake};
use nexus_views::{Permissions, Role};
use serde_json::{Value, json};

use super::{Built, Objects};

/// A role object, but for the bot it belongs to.
fn plain(role: &Role) -> Value {
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
        "permissions": Permissions(row.permissions).and(Permissions::ALL).0.to_string(),
        "managed": row.managed,
        "mentionable": row.mentionable,
        "flags": 0,
    })
}

impl Objects {
    /// The roles of a guild, lowest first.
    pub(crate) async fn roles(&self, guild: RoomNo) -> Built<Vec<Value>> {
        let mut objects = Vec::new();
        for role in self.views.roles(guild).await? {
            objects.push(self.role_object(&role).await?);
        }
        Ok(objects)
    }

    /// A role of a guild, if it still has it.
    pub(crate) async fn role(&self, guild: RoomNo, id: Snowflake) -> Built<Option<Value>> {
        match self.views.roles(guild).await?.iter().find(|role| role.id == id) {
            Some(role) => self.role_object(role).await.map(Some),
            None => Ok(None),
        }
    }

    async fn role_object(&self, role: &Role) -> Built {
        let mut object = plain(role);
        if let Some(bot) = role.row.bot {
            object["tags"] = json!({ "bot_id": self.views.user_snowflake(bot).await?.to_string() });
        }
        Ok(object)
    }
}
