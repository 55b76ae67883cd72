//! Audit log entries: who did what to whom, and what changed by it, read from the event and the state before.

use nexus_event_store::RoomNo;
use nexus_views::{
    Event,
    audit::{AuditAction, AuditEntry, AuditTarget},
    role_snowflake,
};
use ruma::{RoomId, UserId};
use serde_json::{Map, Value, json};

use super::{Built, Objects};
use crate::snowflake::iso_time;

/// Fields of our state events and what Discord calls them in `changes`.
const KEYS: [(&str, &str, &str); 22] = [
    ("m.room.name", "name", "name"),
    ("m.room.topic", "topic", "topic"),
    ("nexus.guild", "owner", "owner_id"),
    ("nexus.guild", "features", "features"),
    ("nexus.channel", "kind", "type"),
    ("nexus.channel", "position", "position"),
    ("nexus.channel", "nsfw", "nsfw"),
    ("nexus.channel", "slowmode_s", "rate_limit_per_user"),
    ("nexus.channel", "parent", "parent_id"),
    ("nexus.role", "name", "name"),
    ("nexus.role", "permissions", "permissions"),
    ("nexus.role", "color", "color"),
    ("nexus.role", "hoist", "hoist"),
    ("nexus.role", "mentionable", "mentionable"),
    ("nexus.overwrite", "allow", "allow"),
    ("nexus.overwrite", "deny", "deny"),
    ("nexus.member", "nick", "nick"),
    ("nexus.member", "timeout_until_ms", "communication_disabled_until"),
    ("nexus.thread", "name", "name"),
    ("nexus.thread", "archived", "archived"),
    ("nexus.thread", "locked", "locked"),
    ("nexus.thread", "auto_archive_minutes", "auto_archive_duration"),
];

impl Objects {
    /// An entry.
    pub(crate) async fn audit_entry(&self, guild: RoomNo, entry: &AuditEntry) -> Built {
        let mut changes = Vec::new();
        for event in &entry.events {
            changes.extend(self.changes(guild, event).await?);
        }
        let mut object = json!({
            "id": entry.id.to_string(),
            "action_type": entry.row.action.number(),
            "user_id": self.views.user_snowflake(entry.row.actor).await?.to_string(),
            "target_id": self.audit_target(guild, entry.row.target).await?,
        });
        if !changes.is_empty() {
            object["changes"] = changes.into();
        }
        let first = entry.events.first();
        if let Some(options) = self.options(entry, first.map(|event| &**event)).await? {
            object["options"] = options;
        }
        let reason = first.and_then(|event| content(event)["nexus.reason"].as_str().map(str::to_owned));
        if let Some(reason) = reason {
            object["reason"] = reason.into();
        }
        Ok(object)
    }

    async fn audit_target(&self, guild: RoomNo, target: AuditTarget) -> Built {
        let id = match target {
            AuditTarget::Guild => self.views.room_snowflake(guild).await?,
            AuditTarget::Channel(room) => self.views.room_snowflake(room).await?,
            AuditTarget::User(user) => Some(self.views.user_snowflake(user).await?),
            AuditTarget::Role(role) => {
                Some(role_snowflake(self.views.room_snowflake(guild).await?.unwrap_or_default(), role))
            }
            AuditTarget::Thread(room, event) => {
                self.views.event(nexus_event_store::rows::EventPlace { room, event }).await?.snowflake
            }
        };
        Ok(id.map(|id| id.to_string()).into())
    }

    async fn changes(&self, guild: RoomNo, event: &Event) -> Built<Vec<Value>> {
        let kind = event.pdu.event_type();
        let Some(key) = event.pdu.state_key() else { return Ok(Vec::new()) };
        let before = self.views.state_event(event.room, event.state_before, kind, key).await?;
        let before = before.map(|before| content(&before)).unwrap_or_default();
        let after = content(event);
        let mut changes = Vec::new();
        for (_, field, shown) in KEYS.iter().filter(|(of, ..)| *of == kind) {
            if before[*field] == after[*field] {
                continue;
            }
            let mut change = Map::from_iter([("key".to_owned(), json!(shown))]);
            for (name, content) in [("old_value", &before), ("new_value", &after)] {
                if !content[*field].is_null() {
                    change.insert(name.to_owned(), self.change_value(shown, &content[*field]).await?);
                }
            }
            changes.push(Value::Object(change));
        }
        if kind == "nexus.member" {
            changes.extend(self.role_changes(guild, &before, &after).await?);
        }
        Ok(changes)
    }

    /// A value as Discord writes it.
    async fn change_value(&self, key: &str, value: &Value) -> Built {
        Ok(match (key, value) {
            ("owner_id", Value::String(user)) => match <&UserId>::try_from(user.as_str()) {
                Ok(user) => match self.views.user_no(user).await? {
                    Some(user) => self.views.user_snowflake(user).await?.to_string().into(),
                    None => Value::Null,
                },
                Err(_) => Value::Null,
            },
            ("parent_id", Value::String(room)) => match <&RoomId>::try_from(room.as_str()) {
                Ok(room) => match self.views.room_no(room).await? {
                    Some(room) => self.views.room_snowflake(room).await?.map(|id| id.to_string()).into(),
                    None => Value::Null,
                },
                Err(_) => Value::Null,
            },
            ("type", Value::String(kind)) => {
                nexus_views::ChannelKind::parse(kind).map(super::channel::kind_number).into()
            }
            ("communication_disabled_until", value) => value.as_u64().map(iso_time).into(),
            _ => value.clone(),
        })
    }

    /// Roles that a member got and lost.
    async fn role_changes(&self, guild: RoomNo, before: &Value, after: &Value) -> Built<Vec<Value>> {
        let roles = |content: &Value| -> Vec<String> {
            let list = content["roles"].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (before, after) = (roles(before), roles(after));
        let known = self.views.roles(guild).await?;
        let mut changes = Vec::new();
        for (key, these, others) in [("$add", &after, &before), ("$remove", &before, &after)] {
            let changed: Vec<Value> = these
                .iter()
                .filter(|role| !others.contains(role))
                .map(|id| {
                    let role = known.iter().find(|role| role.id.to_string() == **id);
                    json!({ "id": id, "name": role.map(|role| role.row.name.clone()).unwrap_or_default() })
                })
                .collect();
            if !changed.is_empty() {
                changes.push(json!({ "key": key, "new_value": changed }));
            }
        }
        Ok(changes)
    }

    /// What else there is to say of some actions.
    async fn options(&self, entry: &AuditEntry, first: Option<&Event>) -> Built<Option<Value>> {
        let Some(event) = first else { return Ok(None) };
        let channel_id = self.views.room_snowflake(event.room).await?.unwrap_or_default().to_string();
        let content = content(event);
        Ok(match entry.row.action {
            AuditAction::MessageDelete => Some(json!({ "channel_id": channel_id, "count": "1" })),
            AuditAction::MessageBulkDelete => Some(json!({ "count": entry.events.len().to_string() })),
            AuditAction::MessagePin | AuditAction::MessageUnpin => {
                let message = self.pin_change(event).await?;
                Some(json!({ "channel_id": channel_id, "message_id": message.map(|id| id.to_string()) }))
            }
            AuditAction::OverwriteCreate | AuditAction::OverwriteUpdate | AuditAction::OverwriteDelete => {
                let (kind, id) = match (content["role"].as_str(), content["user"].as_str()) {
                    (Some(role), _) => ("0", role.to_owned()),
                    (None, Some(user)) => {
                        ("1", self.change_value("owner_id", &user.into()).await?.to_string())
                    }
                    (None, None) => return Ok(None),
                };
                Some(json!({ "id": id.trim_matches('"'), "type": kind }))
            }
            _ => None,
        })
    }

    /// The message that an event pins or unpins.
    pub(crate) async fn pin_change(&self, event: &Event) -> Built<Option<nexus_event_store::Snowflake>> {
        let kind = event.pdu.event_type();
        let before = self.views.state_event(event.room, event.state_before, kind, "").await?;
        let listed = |content: &Value| -> Vec<String> {
            let list = content["pinned"].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let before = before.map(|before| listed(&content(&before))).unwrap_or_default();
        let after = listed(&content(event));
        let changed = after
            .iter()
            .find(|id| !before.contains(id))
            .or_else(|| before.iter().find(|id| !after.contains(id)));
        let Some(changed) = changed else { return Ok(None) };
        let Ok(changed) = <&ruma::EventId>::try_from(changed.as_str()) else { return Ok(None) };
        Ok(self.views.event_by_id(changed).await?.and_then(|event| event.snowflake))
    }
}

fn content(event: &Event) -> Value {
    event.pdu.content_as().unwrap_or_default()
}
