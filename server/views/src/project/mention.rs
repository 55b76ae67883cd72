//! Whom a message names: a row a user, and one for everyone and roles.
//!
//! A user counts who is in the room, or in the guild whose channel it is, when the message comes.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Snowflake, StoreError, Tx, UserNo, catalogue::UserNumbers, codec::Text,
};
use serde_json::Value;

use crate::{
    rows::{Infos, Members, Membership},
    unread::{ALL, MentionRow, Mentions},
};

/// No message names more users.
const NAMED_MAX: usize = 100;

/// No message names more roles.
const ROLES_MAX: usize = 100;

/// A message on its way in or out.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) room: RoomNo,
    pub(super) id: Snowflake,
    pub(super) event: EventNo,
    pub(super) thread: Option<EventNo>,
    pub(super) author: UserNo,
    pub(super) content: &'a Value,
}

impl Naming<'_> {
    fn users(&self) -> impl Iterator<Item = &str> {
        let users = self.content.get("m.mentions").and_then(|mentions| mentions.get("user_ids"));
        let users = users.and_then(Value::as_array).into_iter().flatten();
        users.filter_map(Value::as_str).filter(|user| user.len() <= 255).take(NAMED_MAX)
    }

    fn everyone(&self) -> bool {
        let room = self.content.get("m.mentions").and_then(|mentions| mentions.get("room"));
        room.and_then(Value::as_bool).unwrap_or(false)
    }

    fn roles(&self) -> Vec<u64> {
        let roles = self.content.get("nexus.mention_roles").and_then(Value::as_array).into_iter().flatten();
        roles.filter_map(|role| role.as_str()?.parse().ok()).take(ROLES_MAX).collect()
    }

    fn row(&self, everyone: bool, roles: Vec<u64>) -> MentionRow {
        MentionRow { event: self.event, thread: self.thread, author: self.author, everyone, roles }
    }
}

/// Notes whom a new message names.
pub(super) async fn added(tx: &Tx, naming: Naming<'_>) -> Result<(), StoreError> {
    let (everyone, roles) = (naming.everyone(), naming.roles());
    if everyone || !roles.is_empty() {
        tx.put::<Mentions>(&(ALL, naming.room, naming.id), &naming.row(everyone, roles));
    }
    let mut guild = None;
    for user in naming.users() {
        let Some(user) = tx.row::<UserNumbers>(&Text::from(user)).await? else { continue };
        if user == naming.author {
            continue;
        }
        let mut row = tx.row::<Members>(&(naming.room, user)).await?;
        if row.as_ref().is_none_or(|row| row.membership != Membership::Join) {
            if guild.is_none() {
                guild = Some(tx.row::<Infos>(&naming.room).await?.and_then(|info| info.guild));
            }
            let Some(Some(guild)) = guild else { continue };
            row = tx.row::<Members>(&(guild, user)).await?;
        }
        if row.is_some_and(|row| row.membership == Membership::Join) {
            tx.put::<Mentions>(&(user, naming.room, naming.id), &naming.row(false, Vec::new()));
        }
    }
    Ok(())
}

/// Forgets whom a message named.
pub(super) async fn removed(tx: &Tx, naming: Naming<'_>) -> Result<(), StoreError> {
    tx.delete::<Mentions>(&(ALL, naming.room, naming.id));
    for user in naming.users() {
        if let Some(user) = tx.row::<UserNumbers>(&Text::from(user)).await? {
            tx.delete::<Mentions>(&(user, naming.room, naming.id));
        }
    }
    Ok(())
}
