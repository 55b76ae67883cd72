//! What a user may read of a room: the room's state as they may know it, and each event by the history
//! visibility in force when it came.
//!
//! A member sees the present, and so does everybody while the room is `world_readable`. Otherwise who left
//! sees the room as it was when they left, and nothing after it; who was never in it, or has forgotten it,
//! sees nothing.
//!
//! In a guild, roles come first: who is no member reads nothing of it, and who may not view a channel nothing
//! of the channel, whatever the room's own state still says of them.
//!
//! **Errors**: 403 `M_FORBIDDEN` for a room that one may not read, and alike for one that is not there, so
//! that nobody can probe for rooms.
//! **Source**: Matrix v1.19, client-server API, "Room history visibility"; unknown values mean `shared`.

use std::collections::BTreeMap;

use nexus_event_store::{NodeHash, Position, RoomNo, UserNo, rows::EventPlace};
use nexus_views::{Event, Membership, MembershipRow, Permissions, ViewError, Views};
use ruma::{OwnedUserId, RoomId, UserId};
use serde::Deserialize;

use crate::error::ApiError;

/// How many memberships are looked back at to find the last one that was a join.
const MEMBERSHIPS_BACK_MAX: usize = 32;

/// A room that a user may read.
pub(crate) struct Access {
    /// The room.
    pub(crate) room: RoomNo,
    /// The state that the user may know.
    pub(crate) state: NodeHash,
    /// The commit after which nothing is for this user; `None` = the present is.
    pub(crate) until: Option<Position>,
    /// What the user may see of its history.
    pub(crate) sight: Sight,
}

impl Access {
    /// Checks that `user` may read `room`.
    pub(crate) async fn check(
        views: &Views,
        room: &RoomId,
        user: UserNo,
        user_id: &UserId,
    ) -> Result<Self, ApiError> {
        let refused = || ApiError::forbidden("you are not in this room");
        let room = views.room_no(room).await?.ok_or_else(refused)?;
        if !views.guild_admits(room, user).await? {
            return Err(refused());
        }
        let membership = views.membership(room, user).await?;
        let head = views.head(room).await?;
        let mut sight = Sight::new(views, room, user_id, membership.as_ref()).await?;
        if let Some(row) = &membership
            && views.is_forgotten(room, user, row).await?
            && visibility(views, room, head.state).await? != Visibility::WorldReadable
        {
            return Err(refused());
        }
        if sight.presence == Presence::Joined
            && let Some(guild) = views.info(room).await?.guild
        {
            let held = views.permissions(guild, Some(room), user).await?;
            if !held.contains(Permissions::VIEW_CHANNEL) {
                // Whoever is still in a channel that they may view no more.
                return Err(refused());
            }
            sight.reads_history = held.contains(Permissions::READ_MESSAGE_HISTORY);
        }
        let is_open = sight.presence == Presence::Joined
            || visibility(views, room, head.state).await? == Visibility::WorldReadable;
        let (state, until) = match sight.presence {
            _ if is_open => (head.state, None),
            Presence::Left { position, state } => (state, Some(position)),
            Presence::Joined | Presence::Never => return Err(refused()),
        };
        Ok(Self { room, state, until, sight })
    }
}

impl Access {
    /// Whether the user may read `event` of this room.
    pub(crate) async fn sees(&mut self, views: &Views, event: &Event) -> Result<bool, ViewError> {
        let in_time = self.until.is_none_or(|until| event.position <= until);
        Ok(in_time && event.room == self.room && self.sight.sees(views, event).await?)
    }
}

/// The rule: whether an event may be read that came while `visibility` was in force, by who was `membership`
/// in the room then, and was in the room at some time `since`.
fn may_read(visibility: Visibility, membership: Option<Membership>, since: bool) -> bool {
    match visibility {
        Visibility::WorldReadable => true,
        Visibility::Shared => since || membership == Some(Membership::Join),
        // An invite opens the past from then on only to who has come.
        Visibility::Invited => {
            membership == Some(Membership::Join) || (since && membership == Some(Membership::Invite))
        }
        Visibility::Joined => membership == Some(Membership::Join),
    }
}

/// Whether a user is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Now.
    Joined,
    /// Until the commit at `position`; `state` is the room's then.
    Left { position: Position, state: NodeHash },
    /// Not yet, though perhaps invited.
    Never,
}

/// `m.room.history_visibility`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visibility {
    WorldReadable,
    Shared,
    Invited,
    Joined,
}

/// Judges events of one room for one user; remembers the verdict of each state snapshot.
pub(crate) struct Sight {
    room: RoomNo,
    user_id: OwnedUserId,
    presence: Presence,
    known: BTreeMap<NodeHash, (Visibility, Option<Membership>)>,
    /// Whether the user may read what was written before; a guild's roles decide it in its channels.
    reads_history: bool,
}

impl Sight {
    /// The eyes of `user_id`, whose membership in `room` is `membership`.
    pub(crate) async fn new(
        views: &Views,
        room: RoomNo,
        user_id: &UserId,
        membership: Option<&MembershipRow>,
    ) -> Result<Self, ViewError> {
        let presence = match membership {
            None => Presence::Never,
            Some(row) if row.membership == Membership::Join => Presence::Joined,
            Some(row) => {
                let event = views.event(EventPlace { room, event: row.event }).await?;
                last_stay(views, &event, user_id).await?
            }
        };
        Ok(Self { room, user_id: user_id.to_owned(), presence, known: BTreeMap::new(), reads_history: true })
    }

    /// The commit that ended the user's last stay in the room.
    pub(crate) fn left_at(&self) -> Option<Position> {
        match self.presence {
            Presence::Left { position, .. } => Some(position),
            Presence::Joined | Presence::Never => None,
        }
    }

    /// Whether the user may see `event`.
    pub(crate) async fn sees(&mut self, views: &Views, event: &Event) -> Result<bool, ViewError> {
        let kind = event.pdu.event_type();
        if !self.reads_history && event.pdu.state_key().is_none() {
            return Ok(false);
        }
        if kind == "m.room.member" && event.pdu.state_key() == Some(self.user_id.as_str()) {
            return Ok(true);
        }
        if self.sees_in(views, event, event.state_before).await? {
            return Ok(true);
        }
        // A change of the visibility is seen by whom either the old or the new one lets see it.
        Ok(kind == "m.room.history_visibility" && self.sees_in(views, event, event.state_after).await?)
    }

    async fn sees_in(&mut self, views: &Views, event: &Event, state: NodeHash) -> Result<bool, ViewError> {
        let (visibility, membership) = match self.known.get(&state) {
            Some(known) => *known,
            None => {
                let known = (
                    visibility(views, self.room, state).await?,
                    membership_in(views, self.room, state, &self.user_id).await?,
                );
                self.known.insert(state, known);
                known
            }
        };
        Ok(may_read(visibility, membership, self.was_joined_after(event.position)))
    }

    fn was_joined_after(&self, position: Position) -> bool {
        match self.presence {
            Presence::Joined => true,
            Presence::Left { position: left, .. } => position < left,
            Presence::Never => false,
        }
    }
}

/// The end of the last time that a user, whose membership is now `event`, was in the room.
async fn last_stay(views: &Views, event: &Event, user_id: &UserId) -> Result<Presence, ViewError> {
    let (mut position, mut before, mut after) = (event.position, event.state_before, event.state_after);
    for _ in 0..MEMBERSHIPS_BACK_MAX {
        let Some(earlier) = views.state_event(event.room, before, "m.room.member", user_id.as_str()).await?
        else {
            break;
        };
        if membership_of(&earlier) == Some(Membership::Join) {
            return Ok(Presence::Left { position, state: after });
        }
        (position, before, after) = (earlier.position, earlier.state_before, earlier.state_after);
    }
    Ok(Presence::Never)
}

/// What a member event says.
pub(crate) fn membership_of(event: &Event) -> Option<Membership> {
    #[derive(Deserialize)]
    struct Content {
        membership: String,
    }
    event.pdu.content_as::<Content>().ok().and_then(|content| Membership::parse(&content.membership))
}

/// A user's membership in a state snapshot.
pub(crate) async fn membership_in(
    views: &Views,
    room: RoomNo,
    state: NodeHash,
    user_id: &UserId,
) -> Result<Option<Membership>, ViewError> {
    let event = views.state_event(room, state, "m.room.member", user_id.as_str()).await?;
    Ok(event.and_then(|event| membership_of(&event)))
}

async fn visibility(views: &Views, room: RoomNo, state: NodeHash) -> Result<Visibility, ViewError> {
    #[derive(Deserialize)]
    struct Content {
        history_visibility: String,
    }
    let event = views.state_event(room, state, "m.room.history_visibility", "").await?;
    let content = event.and_then(|event| event.pdu.content_as::<Content>().ok());
    Ok(match content.as_ref().map(|content| content.history_visibility.as_str()) {
        Some("world_readable") => Visibility::WorldReadable,
        Some("invited") => Visibility::Invited,
        Some("joined") => Visibility::Joined,
        _ => Visibility::Shared,
    })
}
