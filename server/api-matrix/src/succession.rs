//! A room that replaces another: what its members keep about the old one comes along as they join.
//!
//! Only where both rooms say so: anybody may claim a predecessor, but only who had the power in the old room
//! could name its replacement.
//!
//! **Source**: Matrix v1.19, client-server API, "Room upgrades".

use nexus_accounts::Accounts;
use nexus_event_store::UserNo;
use nexus_views::Views;
use ruma::{OwnedRoomId, RoomId};
use serde::Deserialize;

use crate::error::ApiError;

/// Takes over what `user` keeps about the predecessor of `room`, which they have joined.
pub(crate) async fn follow(
    views: &Views,
    accounts: &Accounts,
    user: UserNo,
    room: &RoomId,
) -> Result<(), ApiError> {
    match predecessor(views, room).await? {
        Some(old) => Ok(accounts.follow_to_room(user, &old, room).await?),
        None => Ok(()),
    }
}

async fn predecessor(views: &Views, room: &RoomId) -> Result<Option<OwnedRoomId>, ApiError> {
    #[derive(Deserialize)]
    struct Create {
        predecessor: Predecessor,
    }
    #[derive(Deserialize)]
    struct Predecessor {
        room_id: OwnedRoomId,
    }
    #[derive(Deserialize)]
    struct Tombstone {
        replacement_room: OwnedRoomId,
    }
    let Some(number) = views.room_no(room).await? else { return Ok(None) };
    let state = views.head(number).await?.state;
    let create = views.state_event(number, state, "m.room.create", "").await?;
    let Some(Ok(Create { predecessor })) = create.map(|event| event.pdu.content_as()) else {
        return Ok(None);
    };
    let Some(old) = views.room_no(&predecessor.room_id).await? else { return Ok(None) };
    let state = views.head(old).await?.state;
    let tombstone = views.state_event(old, state, "m.room.tombstone", "").await?;
    let Some(Ok(Tombstone { replacement_room })) = tombstone.map(|event| event.pdu.content_as()) else {
        return Ok(None);
    };
    Ok((replacement_room == room).then_some(predecessor.room_id))
}
