//! What `/sync` answers: what a user is told of everything up to a moment, or since an earlier one.
//!
//! A [`Moment`] is fixed first; everything an answer says is of that moment or before it, and its token is
//! the `next_batch`. Rooms are looked at only if their membership is new or something in them changed.
//!
//! **Shapes**: [`Answer`] holds each room's section as JSON text; [`Answer::write`] makes the reply.
//! **Invariant**: an event is in exactly one answer of a chain of tokens, or in none if its answer was
//! limited; the `state` of a section is of the start of its timeline and never repeats a timeline event.
//! **Source**: Matrix v1.19, client-server API, "Syncing".

mod invited;
mod joined;
mod knocked;
mod left;
mod receipts;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use nexus_accounts::Accounts;
use nexus_event_store::{Position, RoomNo, UserNo, rows::EventPlace};
use nexus_views::{Membership, MembershipRow, ViewError, Views};
use ruma::UserId;

use crate::{
    error::ApiError, event_json::Viewer, filter::Filter, ignored::Ignored, json_out::ObjectWriter,
    token::SyncToken,
};

/// Who syncs, and what they want.
pub(crate) struct Client<'a> {
    /// Where rooms are read.
    pub(crate) views: &'a Views,
    /// Where account data is read.
    pub(crate) accounts: &'a Accounts,
    /// The device.
    pub(crate) viewer: Viewer<'a>,
    /// The user.
    pub(crate) user_id: &'a UserId,
    /// What to leave out.
    pub(crate) filter: &'a Filter,
    /// How far the client is.
    pub(crate) since: Option<SyncToken>,
    /// Whether it wants the whole state all the same.
    pub(crate) full_state: bool,
}

/// A point in the stream with the user's memberships at it.
pub(crate) struct Moment {
    /// Everything up to here is told.
    pub(crate) token: SyncToken,
    /// The user's rooms.
    pub(crate) memberships: Vec<(RoomNo, MembershipRow)>,
}

impl Moment {
    /// The present.
    pub(crate) async fn now(views: &Views, user: UserNo) -> Result<Self, ViewError> {
        loop {
            let position = views.store().visible();
            let typing = views.typing_version();
            let memberships = views.rooms_of(user).await?;
            // A membership that came in between would be told without what it goes with.
            if memberships.iter().all(|(_, row)| row.position <= position) {
                return Ok(Self { token: SyncToken { position, typing }, memberships });
            }
            tokio::task::yield_now().await;
        }
    }

    /// The rooms that the user is in.
    pub(crate) fn joined(&self) -> BTreeSet<RoomNo> {
        let joined = self.memberships.iter().filter(|(_, row)| row.membership == Membership::Join);
        joined.map(|(room, _)| *room).collect()
    }
}

/// The sections of an answer: room id and JSON text.
#[derive(Default)]
pub(crate) struct Answer {
    join: Vec<(String, String)>,
    invite: Vec<(String, String)>,
    knock: Vec<(String, String)>,
    leave: Vec<(String, String)>,
    /// Global account data, as JSON events.
    account_data: Vec<String>,
}

impl Answer {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.join.is_empty()
            && self.invite.is_empty()
            && self.knock.is_empty()
            && self.leave.is_empty()
            && self.account_data.is_empty()
    }

    /// The JSON of the reply.
    pub(crate) fn write(&self, next_batch: SyncToken) -> String {
        let sections =
            [("join", &self.join), ("invite", &self.invite), ("knock", &self.knock), ("leave", &self.leave)];
        let bytes: usize =
            sections.iter().flat_map(|(_, rooms)| rooms.iter()).map(|(_, text)| text.len()).sum();
        let mut out = String::with_capacity(bytes + 512);
        let mut reply = ObjectWriter::begin(&mut out);
        reply.string("next_batch", &next_batch.to_string());
        let mut rooms = reply.object("rooms");
        for (name, entries) in sections {
            let mut section = rooms.object(name);
            for (room_id, text) in entries {
                section.json(room_id, text);
            }
            section.end();
        }
        rooms.end();
        events_field(&mut reply, "account_data", &self.account_data);
        events_field(&mut reply, "presence", &[]);
        events_field(&mut reply, "to_device", &[]);
        // Nobody has keys here yet.
        reply.json("device_one_time_keys_count", "{}");
        reply.json("device_unused_fallback_key_types", "[]");
        reply.end();
        out
    }
}

/// Everything there is to tell `client` at `moment`.
pub(crate) async fn answer(client: &Client<'_>, moment: &Moment) -> Result<Answer, ApiError> {
    let views = client.views;
    let changed = match client.since {
        Some(since) if !client.full_state => {
            views.changed_rooms(&moment.joined(), since.position, moment.token.position).await?
        }
        _ => moment.joined(),
    };
    let AccountData { global, mut by_room } = account_data(client, moment).await?;
    let ignored = Ignored::of(client.accounts, client.viewer.user).await?;
    let mut answer = Answer { account_data: global, ..Answer::default() };
    for (room, row) in &moment.memberships {
        let may_be_news = changed.contains(room)
            || client.is_new(row)
            || !by_room.is_empty()
            || (row.membership == Membership::Join
                && (client.typing_is_news(*room) || client.receipts_are_news(*room).await?));
        if !may_be_news {
            continue;
        }
        let room_id = views.room_id(*room).await?;
        if !client.filter.room.admits_room(&room_id) {
            continue;
        }
        let data = by_room.remove(room_id.as_str()).unwrap_or_default();
        let admitted = views.guild_admits(*room, client.viewer.user).await?;
        let (sections, text) = match row.membership {
            // Of a channel that one may not view any more nothing is told until its room is left.
            Membership::Join if !admitted => continue,
            Membership::Join => {
                (&mut answer.join, joined::section(client, moment, *room, row, &data, &ignored).await?)
            }
            Membership::Invite if client.is_new(row) => {
                (&mut answer.invite, invited::section(client, *room, row, &ignored).await?)
            }
            Membership::Knock if client.is_new(row) => {
                (&mut answer.knock, Some(knocked::section(client, *room, row).await?))
            }
            Membership::Leave | Membership::Ban
                if client.wants_left(row) && !views.is_forgotten(*room, client.viewer.user, row).await? =>
            {
                (&mut answer.leave, Some(left::section(client, *room, row, &ignored, admitted).await?))
            }
            Membership::Invite | Membership::Leave | Membership::Ban | Membership::Knock => continue,
        };
        sections.extend(text.map(|text| (room_id.to_string(), text)));
    }
    Ok(answer)
}

/// Account data as JSON events.
struct AccountData {
    global: Vec<String>,
    by_room: BTreeMap<String, Vec<String>>,
}

/// The account data that the client has not been told.
async fn account_data(client: &Client<'_>, moment: &Moment) -> Result<AccountData, ApiError> {
    let since = client.since.map_or(Position::START, |token| token.position);
    let mut data = AccountData { global: Vec::new(), by_room: BTreeMap::new() };
    for datum in client.accounts.account_data_since(client.viewer.user, since).await? {
        let filter = match &datum.room {
            Some(_) => &client.filter.room.account_data,
            None => &client.filter.account_data,
        };
        // What came after the moment is told by the next answer.
        if datum.position > moment.token.position || !filter.admits_type(&datum.event_type) {
            continue;
        }
        let mut text = String::new();
        let mut event = ObjectWriter::begin(&mut text);
        event.string("type", &datum.event_type);
        event.json("content", &datum.content);
        event.end();
        match datum.room {
            Some(room) => data.by_room.entry(room.to_string()).or_default().push(text),
            None => data.global.push(text),
        }
    }
    Ok(data)
}

impl Client<'_> {
    /// Whether who types in a room may have changed since the client was last told.
    fn typing_is_news(&self, room: RoomNo) -> bool {
        match self.since {
            Some(since) => self.views.typing_changed_since(room, since.typing),
            None => !self.views.typing(room).is_empty(),
        }
    }

    /// Whether the client was not told of a membership yet.
    fn is_new(&self, row: &MembershipRow) -> bool {
        self.since.is_none_or(|since| row.position > since.position)
    }

    /// Whether to tell of a room that the user is no longer in.
    fn wants_left(&self, row: &MembershipRow) -> bool {
        self.is_new(row) && (self.since.is_some() || self.filter.room.include_leave)
    }

    fn place(&self, room: RoomNo, row: &MembershipRow) -> EventPlace {
        EventPlace { room, event: row.event }
    }
}

/// Writes `"name": {"events": […]}`.
fn events_field(object: &mut ObjectWriter<'_>, name: &str, events: &[String]) {
    let mut field = object.object(name);
    field.json_list("events", events);
    field.end();
}
