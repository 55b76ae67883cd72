//! `nexus.*` state of a guild room: the guild, its channels, roles, members and overwrites.

use nexus_event_store::{Rows as _, StoreError, Tx, catalogue::RoomNumbers, codec::Text};
use serde_json::Value;

use super::{NewEvent, bits, change_info, strings, text};
use crate::rows::{
    ChannelKind, GuildChannels, GuildMemberRow, GuildMembers, GuildOverwrites, GuildRoles, GuildRow, Guilds,
    Infos, OverwriteRow, OverwriteTarget, RoleRow,
};

/// `nexus.guild`: makes a room a guild. One without an owner is none.
pub(super) async fn project_guild(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    let Some(owner) = text(content, "owner") else {
        tx.delete::<Guilds>(&event.room);
        return change_info(tx, event.room, |info| info.is_guild = false).await;
    };
    let owner = tx.intern_user(&owner).await?;
    let features = strings(content, "features");
    tx.put::<Guilds>(&event.room, &GuildRow { owner, features });
    change_info(tx, event.room, |info| info.is_guild = true).await
}

/// `nexus.channel`: state key = the channel's room id. Content without a kind takes the channel out. A
/// channel of one guild is no other's to take.
pub(super) async fn project_channel(
    tx: &Tx,
    event: NewEvent<'_>,
    channel: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let Some(room) = tx.row::<RoomNumbers>(&Text::from(channel)).await? else { return Ok(()) };
    let held = tx.row::<Infos>(&room).await?.and_then(|info| info.guild);
    if held.is_some_and(|guild| guild != event.room) {
        return Ok(());
    }
    let kind = text(content, "kind").as_deref().and_then(ChannelKind::parse);
    let parent = match text(content, "parent") {
        Some(parent) => tx.row::<RoomNumbers>(&Text(parent)).await?,
        None => None,
    };
    let Some(kind) = kind else {
        tx.delete::<GuildChannels>(&(event.room, room));
        return change_info(tx, room, |info| info.guild = None).await;
    };
    tx.put::<GuildChannels>(&(event.room, room), &());
    change_info(tx, room, |info| {
        info.guild = Some(event.room);
        info.kind = kind;
        info.parent = parent;
        info.position = content.get("position").and_then(Value::as_i64).unwrap_or(0);
        info.nsfw = content.get("nsfw").and_then(Value::as_bool).unwrap_or(false);
        info.slowmode_s = u32::try_from(bits(content, "slowmode_s")).unwrap_or(0);
    })
    .await
}

/// `nexus.role`: state key = the role's id in decimal, or `everyone`. Without a name it is deleted.
pub(super) async fn project_role(
    tx: &Tx,
    event: NewEvent<'_>,
    key: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let id = if key == "everyone" { Some(0) } else { key.parse().ok().filter(|id| *id != 0) };
    let table_key = (event.room, Text::from(key));
    let (Some(id), Some(name)) = (id, text(content, "name")) else {
        tx.delete::<GuildRoles>(&table_key);
        return Ok(());
    };
    let flag = |field: &str| content.get(field).and_then(Value::as_bool).unwrap_or(false);
    let row = RoleRow {
        id,
        name,
        color: u32::try_from(bits(content, "color")).unwrap_or(0),
        hoist: flag("hoist"),
        position: content.get("position").and_then(Value::as_i64).unwrap_or(0),
        permissions: bits(content, "permissions"),
        mentionable: flag("mentionable"),
        managed: flag("managed"),
    };
    tx.put::<GuildRoles>(&table_key, &row);
    Ok(())
}

/// `nexus.member`: the user is in the content, the state key is a hash of it.
pub(super) async fn project_member(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    let Some(user) = text(content, "user") else { return Ok(()) };
    let user = tx.intern_user(&user).await?;
    let row = GuildMemberRow {
        nick: text(content, "nick"),
        roles: strings(content, "roles").iter().filter_map(|id| id.parse().ok()).collect(),
        timeout_until_ms: content.get("timeout_until_ms").and_then(Value::as_u64),
    };
    tx.put::<GuildMembers>(&(event.room, user), &row);
    Ok(())
}

/// `nexus.overwrite`: channel and target are in the content, the state key is a hash of both.
pub(super) async fn project_overwrite(
    tx: &Tx,
    event: NewEvent<'_>,
    key: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let Some(channel) = text(content, "channel") else { return Ok(()) };
    let Some(channel) = tx.row::<RoomNumbers>(&Text(channel)).await? else { return Ok(()) };
    if tx.row::<Infos>(&channel).await?.and_then(|info| info.guild) != Some(event.room) {
        return Ok(());
    }
    let target = match (text(content, "role"), text(content, "user")) {
        (Some(role), _) if role == "everyone" => Some(OverwriteTarget::Role(0)),
        (Some(role), _) => role.parse().ok().map(OverwriteTarget::Role),
        (None, Some(user)) => Some(OverwriteTarget::Member(tx.intern_user(&user).await?)),
        (None, None) => None,
    };
    let table_key = (channel, Text::from(key));
    let Some(target) = target else {
        tx.delete::<GuildOverwrites>(&table_key);
        return Ok(());
    };
    let row = OverwriteRow { target, allow: bits(content, "allow"), deny: bits(content, "deny") };
    tx.put::<GuildOverwrites>(&table_key, &row);
    Ok(())
}
