//! What a room shows of itself to those outside: in the directory, in a space, before a join.
//!
//! Read from the room's current state; content of the wrong type reads as absent.

use nexus_event_store::{NodeHash, RoomNo};
use ruma::OwnedRoomId;
use serde_json::Value;

use crate::{ViewError, Views};

/// The most rooms that a join rule is said to let in from.
const ALLOWED_MAX: usize = 50;

/// A room from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// Its number.
    pub room: RoomNo,
    /// Its id.
    pub room_id: OwnedRoomId,
    /// `m.room.name`
    pub name: Option<String>,
    /// `m.room.topic`
    pub topic: Option<String>,
    /// `m.room.avatar`
    pub avatar_url: Option<String>,
    /// `m.room.canonical_alias`
    pub canonical_alias: Option<String>,
    /// How many users are in it.
    pub joined: u64,
    /// `m.room.join_rules`; without one it is by invite.
    pub join_rule: String,
    /// The rooms whose members may come in, if the join rule says so.
    pub allowed_rooms: Vec<String>,
    /// Whether anybody may read it.
    pub world_readable: bool,
    /// Whether guests may come in.
    pub guest_can_join: bool,
    /// `type` of `m.room.create`.
    pub room_type: Option<String>,
    /// `algorithm` of `m.room.encryption`.
    pub encryption: Option<String>,
    /// The room's version.
    pub version: String,
}

impl Views {
    /// What a room shows of itself.
    ///
    /// # Errors
    /// Store errors.
    pub async fn summary(&self, room: RoomNo) -> Result<RoomSummary, ViewError> {
        let (info, state) = (self.info(room).await?, self.head(room).await?.state);
        let rules = self.content(room, state, "m.room.join_rules").await?;
        let text = |content: &Value, field: &str| {
            content[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let join_rule = text(&rules, "join_rule").unwrap_or_else(|| "invite".to_owned());
        let restricted = matches!(join_rule.as_str(), "restricted" | "knock_restricted");
        let allow = rules["allow"].as_array().into_iter().flatten().filter(|_| restricted);
        let allowed_rooms = allow
            .filter(|rule| rule["type"] == "m.room_membership")
            .filter_map(|rule| text(rule, "room_id"))
            .take(ALLOWED_MAX)
            .collect();
        let visibility = self.content(room, state, "m.room.history_visibility").await?;
        let guests = self.content(room, state, "m.room.guest_access").await?;
        Ok(RoomSummary {
            room,
            room_id: self.room_id(room).await?,
            name: info.name,
            topic: info.topic,
            avatar_url: text(&self.content(room, state, "m.room.avatar").await?, "url"),
            canonical_alias: self.canonical_alias(room, state).await?,
            joined: info.joined,
            join_rule,
            allowed_rooms,
            world_readable: visibility["history_visibility"] == "world_readable",
            guest_can_join: guests["guest_access"] == "can_join",
            room_type: text(&self.content(room, state, "m.room.create").await?, "type"),
            encryption: text(&self.content(room, state, "m.room.encryption").await?, "algorithm"),
            version: self.room_version(room).await?.as_str().to_owned(),
        })
    }

    /// What a room says that it is called.
    pub(crate) async fn canonical_alias(
        &self,
        room: RoomNo,
        state: NodeHash,
    ) -> Result<Option<String>, ViewError> {
        let content = self.content(room, state, "m.room.canonical_alias").await?;
        Ok(content["alias"].as_str().filter(|alias| !alias.is_empty()).map(str::to_owned))
    }

    /// The content of the state event of a type; null when there is none.
    pub(crate) async fn content(
        &self,
        room: RoomNo,
        state: NodeHash,
        kind: &str,
    ) -> Result<Value, ViewError> {
        let event = self.state_event(room, state, kind, "").await?;
        Ok(event.and_then(|event| event.pdu.content_as().ok()).unwrap_or_default())
    }
}
