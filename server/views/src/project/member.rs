//! `m.room.member`: memberships, bans and member counts.

use nexus_event_store::{Rows as _, StoreError, Tx, UserNo, catalogue::UserSnowflakes, feed::Topic};
use serde_json::Value;

use super::{NewEvent, change_info, names, text};
use crate::{
    rows::{BanRow, Bans, Members, Membership, MembershipRow, Memberships},
    user_words,
};

pub(super) async fn project(
    tx: &Tx,
    event: NewEvent<'_>,
    user_id: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let membership = content
        .get("membership")
        .and_then(Value::as_str)
        .and_then(Membership::parse)
        .unwrap_or(Membership::Leave);
    let user: UserNo = tx.intern_user(user_id).await?;
    let before = tx.row::<Members>(&(event.room, user)).await?;
    let now_ms = u64::from(event.pdu.origin_server_ts().get());
    let since_ms = match &before {
        Some(row) if row.membership == membership => row.since_ms,
        _ => now_ms,
    };
    let row = MembershipRow {
        membership,
        event: event.no,
        position: event.position.unwrap_or_default(),
        since_ms,
        display_name: text(content, "displayname"),
        avatar_url: text(content, "avatar_url"),
    };
    user_words::project(tx, user, user_id, before.as_ref(), &row).await?;
    let row_name = names::Shown::of(&row);
    let (by_room, by_user) = ((event.room, user), (user, event.room));
    if event.position.is_some() {
        tx.put::<Members>(&by_room, &row);
        tx.put::<Memberships>(&by_user, &row);
    } else {
        tx.put_positioned::<Members>(&by_room, row.clone(), |row, at| row.position = at);
        tx.put_positioned::<Memberships>(&by_user, row, |row, at| row.position = at);
    }
    tx.announce(Topic::User(user));
    names::membership(tx, event.room, user, before.as_ref(), &row_name).await?;
    let before = before.map_or(Membership::Leave, |row| row.membership);
    if membership == Membership::Ban || before == Membership::Ban {
        let key = (event.room, tx.existing::<UserSnowflakes>(&user).await?);
        if membership == Membership::Ban {
            tx.put::<Bans>(&key, &BanRow { user, event: event.no });
        } else {
            tx.delete::<Bans>(&key);
        }
    }
    if before != membership {
        change_info(tx, event.room, |info| {
            count(&mut info.joined, before, membership, Membership::Join);
            count(&mut info.invited, before, membership, Membership::Invite);
        })
        .await?;
    }
    Ok(())
}

fn count(number: &mut u64, before: Membership, after: Membership, counted: Membership) {
    if after == counted {
        *number += 1;
    } else if before == counted {
        *number = number.saturating_sub(1);
    }
}
