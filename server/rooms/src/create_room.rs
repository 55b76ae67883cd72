//! Rooms that Matrix clients make.
//!
//! **Source**: Matrix client-server API, `POST /createRoom`: create, creator's join, power levels, preset,
//! initial state, name and topic, invites, in this order, all in one commit.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_event_store::RoomNo;
use nexus_state_resolution::RoomVersion;
use nexus_views::records::Published;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::json;

use crate::{
    Actor, Profile, RoomRefusal, Rooms, RoomsError,
    aliases::alias_of_name,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    membership::member_content,
};

/// Whoever a request names as a room's creator must be a user.
fn check_creators(content: &CanonicalJsonObject) -> Result<(), RoomsError> {
    let bad = |problem: &str| {
        Err(Rejection::BadField { field: "additional_creators", problem: problem.to_owned() }.into())
    };
    match content.get("additional_creators") {
        None => Ok(()),
        Some(CanonicalJsonValue::Array(creators)) => {
            let is_user = |creator: &CanonicalJsonValue| {
                creator.as_str().is_some_and(|creator| UserId::parse(creator).is_ok())
            };
            if creators.iter().all(is_user) { Ok(()) } else { bad("must be user ids") }
        }
        Some(_) => bad("must be a list of user ids"),
    }
}

/// The most users that are invited with a room's creation.
const INVITES: usize = 100;

/// The most initial state events.
const INITIAL_STATE: usize = 100;

/// What kind of room, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// By invite.
    #[default]
    PrivateChat,
    /// By invite, and who is invited may do what the creator may.
    TrustedPrivateChat,
    /// Open to all.
    PublicChat,
}

/// A state event to start with.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Its content.
    pub content: CanonicalJsonObject,
}

/// A room to make.
#[derive(Clone, Debug, Default)]
pub struct CreateRoom {
    /// The room version; `None` = the configured default.
    pub version: Option<RoomVersion>,
    /// What kind of room.
    pub preset: Preset,
    /// `m.room.name`
    pub name: Option<String>,
    /// `m.room.topic`
    pub topic: Option<String>,
    /// Who is invited.
    pub invite: Vec<OwnedUserId>,
    /// State to start with.
    pub initial_state: Vec<InitialState>,
    /// More fields of `m.room.create`.
    pub creation_content: CanonicalJsonObject,
    /// Fields that replace those of the default power levels.
    pub power_level_content_override: Option<CanonicalJsonObject>,
    /// The invites are for a direct chat.
    pub is_direct: bool,
    /// The local part of an alias.
    pub alias: Option<String>,
    /// Whether the directory lists it.
    pub listed: bool,
}

/// A new room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub room_id: OwnedRoomId,
    /// Its number.
    pub room: RoomNo,
}

impl Rooms {
    /// Makes a room.
    ///
    /// # Errors
    /// Refused when a part of it cannot be: nothing of it then exists.
    pub async fn create_room(&self, actor: &Actor, room: CreateRoom) -> Result<Created, RoomsError> {
        if room.invite.len() > INVITES {
            return Err(Rejection::TooMany { what: "invites", limit: INVITES }.into());
        }
        if room.initial_state.len() > INITIAL_STATE {
            return Err(Rejection::TooMany { what: "initial state events", limit: INITIAL_STATE }.into());
        }
        let profile = self.inner.profiles.profile(&actor.user).await;
        let mut invited = Vec::with_capacity(room.invite.len());
        for user in &room.invite {
            invited.push((user.clone(), self.inner.profiles.profile(user).await));
        }
        let version = room.version.unwrap_or(self.inner.config.default_version);
        check_creators(&room.creation_content)?;
        let alias = match &room.alias {
            Some(name) => Some(alias_of_name(name, self.server_name())?),
            None => None,
        };
        Ok(self.run(&Create { actor, room, version, alias, profile, invited }).await?.0)
    }
}

struct Create<'a> {
    actor: &'a Actor,
    room: CreateRoom,
    version: RoomVersion,
    alias: Option<OwnedRoomAliasId>,
    profile: Profile,
    invited: Vec<(OwnedUserId, Profile)>,
}

impl Decide for Create<'_> {
    type Output = Created;

    fn rooms(&self) -> Vec<RoomNo> {
        Vec::new()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Created, RoomsError> {
        let create = self.state("m.room.create", self.create_content());
        let room = decision.found_room(self.version, self.room_id(decision)?, create).await?;
        if let Some(alias) = &self.alias {
            let creator = decision.actor_no(&self.actor.user).await?;
            decision.put_alias(alias, room, creator).await.map_err(|error| match error {
                RoomsError::Rejected(Rejection::Room(RoomRefusal::AliasTaken)) => Rejection::RoomInUse.into(),
                other => other,
            })?;
        }
        if self.room.listed {
            decision.tx.put::<Published>(&room, &());
        }
        for event in self.first_events() {
            if self.is_given(&event) {
                let key = event.state_key.as_deref().unwrap_or_default();
                decision.check_state(room, &event.event_type, key, &event.content).await?;
            }
            // A creator's own room refuses an event only if the request makes it impossible.
            decision.append(room, event).await.map_err(|error| match error {
                RoomsError::Rejected(Rejection::Forbidden { reason }) => {
                    Rejection::InvalidState { reason }.into()
                }
                other => other,
            })?;
        }
        Ok(Created { room_id: decision.room(room).await?.room_id.clone(), room })
    }
}

impl Create<'_> {
    /// Whether the request names this state.
    fn is_given(&self, event: &NewPdu) -> bool {
        let mut given = self.room.initial_state.iter();
        given.any(|state| {
            state.event_type == event.event_type && Some(&state.state_key) == event.state_key.as_ref()
        })
    }

    fn state(&self, event_type: &str, content: CanonicalJsonObject) -> NewPdu {
        NewPdu::state(self.actor.user.clone(), event_type, "", content)
    }

    /// Before version 12 a room's id is random; after, it is that of its create event.
    fn room_id(&self, decision: &Decision<'_>) -> Result<Option<OwnedRoomId>, RoomsError> {
        if self.version.room_id_is_create_event() {
            return Ok(None);
        }
        let random: [u8; 15] = decision.tx.store().world().random_bytes();
        let id = format!("!{}:{}", URL_SAFE_NO_PAD.encode(random), decision.rooms.server_name());
        OwnedRoomId::try_from(id).map(Some).map_err(|error| RoomsError::Internal(error.to_string()))
    }

    fn create_content(&self) -> CanonicalJsonObject {
        let mut content = self.room.creation_content.clone();
        content.remove("creator");
        let version = CanonicalJsonValue::String(self.version.as_str().to_owned());
        content.insert("room_version".to_owned(), version);
        if !self.version.rules().authorization.use_room_create_sender {
            let creator = CanonicalJsonValue::String(self.actor.user.to_string());
            content.insert("creator".to_owned(), creator);
        }
        if self.room.preset == Preset::TrustedPrivateChat && self.version.room_id_is_create_event() {
            let trusted = self.room.invite.iter().map(|user| CanonicalJsonValue::String(user.to_string()));
            let mut creators = match content.remove("additional_creators") {
                Some(CanonicalJsonValue::Array(creators)) => creators,
                _ => Vec::new(),
            };
            for user in trusted {
                if !creators.contains(&user) {
                    creators.push(user);
                }
            }
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
        content
    }

    fn first_events(&self) -> Vec<NewPdu> {
        let user = &self.actor.user;
        let join = member_content("join", &self.profile, None);
        let mut events = vec![
            NewPdu::state(user.clone(), "m.room.member", user.as_str(), join),
            self.state("m.room.power_levels", self.power_levels()),
        ];
        let given = |event_type: &str| {
            let mut initial = self.room.initial_state.iter();
            initial.any(|state| state.event_type == event_type && state.state_key.is_empty())
        };
        if let Some(alias) = &self.alias {
            events.push(self.state("m.room.canonical_alias", object(json!({ "alias": alias }))));
        }
        for (event_type, content) in self.preset_state() {
            if !given(event_type) {
                events.push(self.state(event_type, content));
            }
        }
        let replaced = |event_type: &str| {
            (event_type == "m.room.name" && self.room.name.is_some())
                || (event_type == "m.room.topic" && self.room.topic.is_some())
        };
        for state in &self.room.initial_state {
            if !(state.state_key.is_empty() && replaced(&state.event_type)) {
                let (key, content) = (state.state_key.clone(), state.content.clone());
                events.push(NewPdu::state(user.clone(), &state.event_type, key, content));
            }
        }
        if let Some(name) = &self.room.name {
            events.push(self.state("m.room.name", object(json!({ "name": name }))));
        }
        if let Some(topic) = &self.room.topic {
            let rich = json!({ "m.text": [{ "body": topic, "mimetype": "text/plain" }] });
            let content = object(json!({ "topic": topic, "m.topic": rich }));
            events.push(self.state("m.room.topic", content));
        }
        for (invited, profile) in &self.invited {
            let mut content = member_content("invite", profile, None);
            if self.room.is_direct {
                content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
            }
            events.push(NewPdu::state(user.clone(), "m.room.member", invited.as_str(), content));
        }
        events
    }

    fn preset_state(&self) -> [(&'static str, CanonicalJsonObject); 3] {
        let (join_rule, guest_access) = match self.room.preset {
            Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", "can_join"),
            Preset::PublicChat => ("public", "forbidden"),
        };
        [
            ("m.room.join_rules", object(json!({ "join_rule": join_rule }))),
            ("m.room.history_visibility", object(json!({ "history_visibility": "shared" }))),
            ("m.room.guest_access", object(json!({ "guest_access": guest_access }))),
        ]
    }

    fn power_levels(&self) -> CanonicalJsonObject {
        let creators_above_all = self.version.room_id_is_create_event();
        let mut users = serde_json::Map::new();
        if !creators_above_all {
            users.insert(self.actor.user.to_string(), json!(100));
            if self.room.preset == Preset::TrustedPrivateChat {
                users.extend(self.room.invite.iter().map(|user| (user.to_string(), json!(100))));
            }
        }
        let mut content = object(json!({
            "ban": 50,
            "events": {
                "m.room.avatar": 50,
                "m.room.canonical_alias": 50,
                "m.room.encryption": 100,
                "m.room.history_visibility": 100,
                "m.room.name": 50,
                "m.room.power_levels": 100,
                "m.room.server_acl": 100,
                // In rooms whose creators stand above all levels, replacing the room is theirs alone.
                "m.room.tombstone": if creators_above_all { 150 } else { 100 },
            },
            "events_default": 0,
            "invite": 0,
            "kick": 50,
            "redact": 50,
            "state_default": 50,
            "users": users,
            "users_default": 0,
        }));
        content.extend(self.room.power_level_content_override.clone().unwrap_or_default());
        content
    }
}
