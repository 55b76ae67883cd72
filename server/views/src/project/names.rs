//! The index of names: of a guild's members, and of the guilds that are open to all.

use nexus_event_store::{
    RoomNo, Rows as _, Scan, StoreError, Tx, UserNo,
    catalogue::{UserNumbers, UserSnowflakes, Users},
    codec::Text,
};
use ruma::UserId;
use serde_json::Value;

use super::{is_steward, strings, text};
use crate::{
    DISCOVERABLE,
    names::{MemberOrder, Names, OPEN_GUILDS, name_key},
    rows::{GuildMembers, Guilds, Infos, Members, Membership, MembershipRow},
    state_keys::member_key,
};

/// What a member event shows of somebody.
pub(super) struct Shown {
    joined: bool,
    name: Option<String>,
}

impl Shown {
    pub(super) fn of(row: &MembershipRow) -> Self {
        Self { joined: row.membership == Membership::Join, name: row.display_name.clone() }
    }
}

/// A membership changes; in a guild that is a member who comes, goes or has another name.
pub(super) async fn membership(
    tx: &Tx,
    room: RoomNo,
    user: UserNo,
    before: Option<&MembershipRow>,
    after: &Shown,
) -> Result<(), StoreError> {
    if let Some(before) = before.map(Shown::of) {
        list(tx, room, user, &before, false).await?;
    }
    if after.joined && tx.row::<Guilds>(&room).await?.is_some() {
        list(tx, room, user, after, true).await?;
    }
    Ok(())
}

/// Lists or unlists a member.
async fn list(tx: &Tx, guild: RoomNo, user: UserNo, shown: &Shown, add: bool) -> Result<(), StoreError> {
    let user_id = tx.existing::<Users>(&user).await?;
    let Ok(user_id) = <&UserId>::try_from(user_id.as_str()) else { return Ok(()) };
    if !shown.joined || is_steward(user_id) {
        return Ok(());
    }
    let nick = tx.row::<GuildMembers>(&(guild, user)).await?.and_then(|row| row.nick);
    for name in [Some(user_id.localpart()), shown.name.as_deref(), nick.as_deref()].into_iter().flatten() {
        write(tx, guild, name, user.0, add);
    }
    let snowflake = tx.existing::<UserSnowflakes>(&user).await?;
    if add {
        tx.put::<MemberOrder>(&(guild, snowflake), &user);
    } else {
        tx.delete::<MemberOrder>(&(guild, snowflake));
    }
    Ok(())
}

fn write(tx: &Tx, scope: RoomNo, name: &str, number: u64, add: bool) {
    let key = name_key(scope, name, number);
    if add {
        tx.put::<Names>(&key, &number);
    } else {
        tx.delete::<Names>(&key);
    }
}

/// A member gets another nickname; the old one is still in the views.
pub(super) async fn nick(tx: &Tx, guild: RoomNo, key: &str, content: &Value) -> Result<(), StoreError> {
    let nick = text(content, "nick");
    let Some(user) = text(content, "user") else { return Ok(()) };
    if UserId::parse(user.as_str()).is_ok_and(|user| member_key(&user) != key) {
        return Ok(());
    }
    let Some(user) = tx.row::<UserNumbers>(&Text(user)).await? else { return Ok(()) };
    if tx.row::<Guilds>(&guild).await?.is_none() {
        return Ok(());
    }
    let Some(row) = tx.row::<Members>(&(guild, user)).await? else { return Ok(()) };
    let shown = Shown::of(&row);
    if !shown.joined {
        return Ok(());
    }
    if let Some(old) = tx.row::<GuildMembers>(&(guild, user)).await?.and_then(|row| row.nick) {
        write(tx, guild, &old, user.0, false);
    }
    let user_id = tx.existing::<Users>(&user).await?;
    let Ok(user_id) = <&UserId>::try_from(user_id.as_str()) else { return Ok(()) };
    // The old nickname may have been one of the other names, too.
    for name in [Some(user_id.localpart()), shown.name.as_deref(), nick.as_deref()].into_iter().flatten() {
        write(tx, guild, name, user.0, true);
    }
    Ok(())
}

/// `nexus.guild` changes; the old one is still in the views.
pub(super) async fn guild_changes(tx: &Tx, room: RoomNo, content: &Value) -> Result<(), StoreError> {
    let is_guild = text(content, "owner").is_some_and(|owner| UserId::parse(owner).is_ok());
    let features = strings(content, "features");
    let before = tx.row::<Guilds>(&room).await?;
    if let Some(name) = tx.row::<Infos>(&room).await?.and_then(|info| info.name) {
        let is_open = is_guild && features.iter().any(|feature| feature == DISCOVERABLE);
        write(tx, OPEN_GUILDS, &name, room.0, is_open);
    }
    if before.is_some() || !is_guild {
        return Ok(());
    }
    // Only its founders are in a room when it becomes a guild.
    for ((_, user), row) in tx.scan::<Members>(Scan::prefix::<Members>(&room)).await? {
        list(tx, room, user, &Shown::of(&row), true).await?;
    }
    Ok(())
}

/// A room gets another name; the old one is still in the views.
pub(super) async fn guild_renamed(tx: &Tx, room: RoomNo, name: Option<String>) -> Result<(), StoreError> {
    let Some(row) = tx.row::<Guilds>(&room).await? else { return Ok(()) };
    if !row.features.iter().any(|feature| feature == DISCOVERABLE) {
        return Ok(());
    }
    if let Some(old) = tx.row::<Infos>(&room).await?.and_then(|info| info.name) {
        write(tx, OPEN_GUILDS, &old, room.0, false);
    }
    if let Some(name) = name {
        write(tx, OPEN_GUILDS, &name, room.0, true);
    }
    Ok(())
}
