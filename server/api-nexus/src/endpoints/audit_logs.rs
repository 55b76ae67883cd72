//! `GET /guilds/{guild_id}/audit-logs`: what was done in the guild, by whom and why.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use nexus_views::{
    Permissions,
    audit::{AuditAction, AuditQuery, AuditTarget},
};
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    error::ApiError,
    objects::Objects,
    params::{Path, Query},
};

pub(crate) async fn list(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let views = &objects.views;
    let held = views.permissions(guild.room, None, caller.user()).await?;
    if !held.contains(Permissions::VIEW_AUDIT_LOG) {
        return Err(ApiError::MissingPermissions);
    }
    let actor = match query.id("user_id")? {
        Some(id) => Some(objects.user_of(id).await?),
        None => None,
    };
    let mut wanted = AuditQuery {
        actor,
        action: None,
        before: query.id("before")?,
        after: query.id("after")?,
        limit: query.limit(100, 50)?,
    };
    if let Some(text) = query.text("action_type") {
        let number: u64 = text
            .parse()
            .map_err(|_| ApiError::field(&["action_type"], "NUMBER_TYPE_COERCE", "Value is not int."))?;
        match AuditAction::NUMBERS.iter().find(|(_, known)| *known == number) {
            Some((action, _)) => wanted.action = Some(*action),
            // Of an action that never happens here there are no entries.
            None => wanted.limit = 0,
        }
    }
    let found = views.audit_log(guild.room, wanted).await?;
    let (mut entries, mut users) = (Vec::new(), BTreeSet::new());
    for entry in &found {
        users.insert(entry.row.actor);
        if let AuditTarget::User(user) = entry.row.target {
            users.insert(user);
        }
        entries.push(objects.audit_entry(guild.room, entry).await?);
    }
    let mut shown = Vec::new();
    for user in users {
        shown.push(objects.user(user, Some(guild.room)).await?);
    }
    Ok(Json(json!({
        "audit_log_entries": entries,
        "users": shown,
        "integrations": [],
        "webhooks": [],
        "guild_scheduled_events": [],
        "threads": [],
        "application_commands": [],
        "auto_moderation_rules": [],
    })))
}
