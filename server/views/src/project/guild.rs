//! `nexus.*` state of a guild room: the guild, its channels, roles, members and overwrites.
//!
//! What was emptied (a redaction leaves nothing) reads as "deny", and follows from the emptied event and its
//! state key alone, so that a rebuild gives the same rows.

use nexus_event_store::{
    Rows as _, Scan, StoreError, Tx, UserNo,
    catalogue::{RoomNumbers, Users},
    codec::Text,
};
use ruma::{RoomId, UserId};
use serde_json::Value;

use super::{NewEvent, bits, change_info, strings, text};
use crate::{
    rows::{
        ChannelKind, GuildChannels, GuildMemberRow, GuildMembers, GuildOverwrites, GuildRoles, GuildRow,
        Guilds, Infos, OverwriteChannelRow, OverwriteChannels, OverwriteRow, OverwriteTarget, RoleRow,
    },
    state_keys::{channel_part, member_key, overwrite_key},
};

/// Stands among a channel's overwrites when what the guild said of the channel was emptied. No event has such a
/// key: those of overwrites have two parts.
pub(crate) const CLOSED: &str = "closed";

/// `nexus.guild`: makes a room a guild. One without an owner is none.
pub(super) async fn project_guild(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    let Some(owner) = user(tx, content, "owner").await? else {
        tx.delete::<Guilds>(&event.room);
        return change_info(tx, event.room, |info| info.is_guild = false).await;
    };
    let before = tx.row::<Guilds>(&event.room).await?;
    let mut stewards = strings(content, "stewards");
    stewards.retain(|steward| UserId::parse(steward).is_ok_and(|steward| super::is_steward(&steward)));
    let row = GuildRow {
        owner,
        features: strings(content, "features"),
        stewards,
        strict: content.get("strict").and_then(Value::as_bool).unwrap_or(false),
        unread_members: before.map(|row| row.unread_members).unwrap_or_default(),
    };
    tx.put::<Guilds>(&event.room, &row);
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
    let closed = (room, Text::from(CLOSED));
    let emptied = content.as_object().is_none_or(serde_json::Map::is_empty);
    if emptied {
        // Nobody knows what it was: it stays the guild's, for administrators to say anew.
        let row = OverwriteRow { target: OverwriteTarget::Unreadable, allow: 0, deny: 0 };
        tx.put::<GuildOverwrites>(&closed, &row);
    } else if tx.row::<GuildOverwrites>(&closed).await?.is_some() {
        tx.delete::<GuildOverwrites>(&closed);
    }
    let kind = text(content, "kind").as_deref().and_then(ChannelKind::parse);
    let kind = kind.or(emptied.then_some(ChannelKind::Text));
    let parent = match text(content, "parent") {
        Some(parent) => tx.row::<RoomNumbers>(&Text(parent)).await?,
        None => None,
    };
    let Some(kind) = kind else {
        tx.delete::<GuildChannels>(&(event.room, room));
        return change_info(tx, room, |info| info.guild = None).await;
    };
    tx.put::<GuildChannels>(&(event.room, room), &());
    if let Ok(channel) = <&RoomId>::try_from(channel) {
        let named = (event.room, Text(channel_part(channel)));
        if tx.row::<OverwriteChannels>(&named).await?.is_none() {
            let row = OverwriteChannelRow { channel: room, since: event.no };
            tx.put::<OverwriteChannels>(&named, &row);
        }
    }
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

/// `nexus.role`: state key = the role's id in decimal, or `everyone`. Without a name it is deleted; without
/// anything at all it was emptied, and nobody knows what it was.
pub(super) async fn project_role(
    tx: &Tx,
    event: NewEvent<'_>,
    key: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let Some(id) = role_id(key) else { return Ok(()) };
    let table_key = (event.room, Text::from(key));
    let unreadable = content.as_object().is_none_or(serde_json::Map::is_empty);
    let name = match text(content, "name") {
        Some(name) => name,
        None if unreadable && id == 0 => "@everyone".to_owned(),
        None if unreadable => "unreadable".to_owned(),
        None => {
            tx.delete::<GuildRoles>(&table_key);
            return Ok(());
        }
    };
    let flag = |field: &str| content.get(field).and_then(Value::as_bool).unwrap_or(false);
    let row = RoleRow {
        id,
        name,
        color: u32::try_from(bits(content, "color")).unwrap_or(0),
        hoist: flag("hoist"),
        position: content.get("position").and_then(Value::as_i64).filter(|_| id != 0).unwrap_or(0),
        permissions: bits(content, "permissions"),
        mentionable: flag("mentionable"),
        managed: flag("managed"),
        bot: user(tx, content, "bot").await?,
        unreadable,
    };
    tx.put::<GuildRoles>(&table_key, &row);
    Ok(())
}

/// A role id as the log writes it; 0 for `everyone`.
fn role_id(key: &str) -> Option<u64> {
    let plain = key.bytes().all(|byte| byte.is_ascii_digit()) && !key.starts_with('0');
    if key == "everyone" { Some(0) } else { key.parse().ok().filter(|_| plain) }
}

/// `nexus.member`: the user is in the content, the state key is a hash of it. What cannot be read leaves the
/// member with nothing, and silent.
pub(super) async fn project_member(
    tx: &Tx,
    event: NewEvent<'_>,
    key: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let user_id = text(content, "user").and_then(|user| UserId::parse(user).ok());
    let Some(user_id) = user_id.filter(|user_id| member_key(user_id) == key) else {
        forget_member(tx, event, key).await?;
        return note_unread(tx, event, key, true).await;
    };
    let user = tx.intern_user(user_id.as_str()).await?;
    let row = GuildMemberRow {
        nick: text(content, "nick"),
        roles: strings(content, "roles").iter().filter_map(|id| role_id(id)).filter(|id| *id != 0).collect(),
        timeout_until_ms: content.get("timeout_until_ms").and_then(Value::as_u64),
    };
    tx.put::<GuildMembers>(&(event.room, user), &row);
    note_unread(tx, event, key, false).await
}

/// Takes out the row of the member that `key` stands for. Only the member's own events made it, so the rows
/// are all there is to look through.
async fn forget_member(tx: &Tx, event: NewEvent<'_>, key: &str) -> Result<(), StoreError> {
    for ((guild, user), _) in tx.scan::<GuildMembers>(Scan::prefix::<GuildMembers>(&event.room)).await? {
        let user_id = tx.existing::<Users>(&user).await?;
        if UserId::parse(user_id).is_ok_and(|user_id| member_key(&user_id) == key) {
            tx.delete::<GuildMembers>(&(guild, user));
        }
    }
    Ok(())
}

async fn note_unread(tx: &Tx, event: NewEvent<'_>, key: &str, is_unread: bool) -> Result<(), StoreError> {
    let Some(mut row) = tx.row::<Guilds>(&event.room).await? else { return Ok(()) };
    let at = row.unread_members.binary_search_by(|known| known.as_str().cmp(key));
    match (at, is_unread) {
        (Err(at), true) => row.unread_members.insert(at, key.to_owned()),
        (Ok(at), false) => drop(row.unread_members.remove(at)),
        (Ok(_), true) | (Err(_), false) => return Ok(()),
    }
    tx.put::<Guilds>(&event.room, &row);
    Ok(())
}

/// `nexus.overwrite`: channel and target are in the content, the state key is a hash of each.
pub(super) async fn project_overwrite(
    tx: &Tx,
    event: NewEvent<'_>,
    key: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let Some((part, _)) = key.split_once('.') else { return Ok(()) };
    let named = tx.row::<OverwriteChannels>(&(event.room, Text::from(part))).await?;
    let Some(channel) = named.filter(|row| row.since < event.no).map(|row| row.channel) else {
        return Ok(());
    };
    let table_key = (channel, Text::from(key));
    match overwrite(tx, key, content).await? {
        Said::Overwrite(row) => tx.put::<GuildOverwrites>(&table_key, &row),
        Said::Removed => tx.delete::<GuildOverwrites>(&table_key),
        Said::Nothing => {
            let row = OverwriteRow { target: OverwriteTarget::Unreadable, allow: 0, deny: 0 };
            tx.put::<GuildOverwrites>(&table_key, &row);
        }
    }
    Ok(())
}

/// What `nexus.overwrite` says.
enum Said {
    Overwrite(OverwriteRow),
    /// There is none any more.
    Removed,
    /// Nothing that belongs under the key.
    Nothing,
}

async fn overwrite(tx: &Tx, key: &str, content: &Value) -> Result<Said, StoreError> {
    let channel = text(content, "channel").and_then(|channel| RoomId::parse(channel).ok());
    let Some(channel) = channel else { return Ok(Said::Nothing) };
    let target = text(content, "role").or_else(|| text(content, "user"));
    let Some(target) = target else {
        let belongs = key.split_once('.').is_some_and(|(part, _)| part == channel_part(&channel));
        return Ok(if belongs { Said::Removed } else { Said::Nothing });
    };
    if overwrite_key(&channel, &target) != key {
        return Ok(Said::Nothing);
    }
    let target = match (content.get("role").is_some(), role_id(&target)) {
        (true, Some(role)) => OverwriteTarget::Role(role),
        (false, _) if UserId::parse(&target).is_ok() => {
            OverwriteTarget::Member(tx.intern_user(&target).await?)
        }
        _ => return Ok(Said::Nothing),
    };
    Ok(Said::Overwrite(OverwriteRow { target, allow: bits(content, "allow"), deny: bits(content, "deny") }))
}

/// The number of a user that content names.
async fn user(tx: &Tx, content: &Value, field: &str) -> Result<Option<UserNo>, StoreError> {
    match text(content, field).and_then(|user| UserId::parse(user).ok()) {
        Some(user) => Ok(Some(tx.intern_user(user.as_str()).await?)),
        None => Ok(None),
    }
}
