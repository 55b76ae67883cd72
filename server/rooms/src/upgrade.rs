//! Replacing a room by one of another version.
//!
//! One commit: the old room's tombstone and silence, the new room with what can be carried over, its aliases
//! and its place in the directory. Who was in the old room follows the tombstone.
//!
//! **Bounds**: [`CARRIED_MAX`] bans and children of a space; a room with more is not replaced.
//! **Source**: Matrix v1.19, client-server API, "Room upgrades". A guild's rooms are always of version 12
//! and are not replaced.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_event_store::{RoomNo, Rows as _, Scan};
use nexus_state_resolution::RoomVersion;
use nexus_views::{
    Event,
    records::{AliasRow, Aliases, Published, RoomAliases},
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::json;

use crate::{
    Actor, Created, Profile, Rooms, RoomsError,
    content::{object, string},
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    membership::member_content,
};

/// The most events that are carried over beside the room's settings.
const CARRIED_MAX: usize = 200;

/// State that a new room takes over as it is.
const SETTINGS: [&str; 8] = [
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
];

impl Rooms {
    /// Replaces a room by a new one of `version`. `additional_creators` count where the version knows them.
    ///
    /// # Errors
    /// Refused when the actor may not, or the room is a guild's.
    pub async fn upgrade(
        &self,
        actor: &Actor,
        room: &RoomId,
        version: RoomVersion,
        additional_creators: Vec<OwnedUserId>,
    ) -> Result<Created, RoomsError> {
        let old = self.known_room(room).await?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        let command = Upgrade { actor, old, old_id: room, version, additional_creators, profile };
        Ok(self.run(&command).await?.0)
    }
}

struct Upgrade<'a> {
    actor: &'a Actor,
    old: RoomNo,
    old_id: &'a RoomId,
    version: RoomVersion,
    additional_creators: Vec<OwnedUserId>,
    profile: Profile,
}

/// What the old room was when it was replaced.
struct Old {
    create: CanonicalJsonObject,
    levels: Option<CanonicalJsonObject>,
    settings: Vec<(&'static str, CanonicalJsonObject)>,
    aliases: Option<CanonicalJsonObject>,
    /// The actor was above all levels.
    actor_above_all: bool,
    /// Bans and, of a space, its children.
    carried: Vec<Arc<Event>>,
}

impl Decide for Upgrade<'_> {
    type Output = Created;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.old]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Created, RoomsError> {
        let info = decision.reader().info(self.old).await?;
        if info.is_guild || info.guild.is_some() {
            return Err(RoomsError::forbidden("a guild's rooms are not replaced"));
        }
        decision.need_to_set(self.old, &self.actor.user, "m.room.tombstone").await?;
        let old = self.look_at_old(decision).await?;
        let room = self.found(decision, &old).await?;
        let room_id = decision.room(room).await?.room_id.clone();
        self.carry_over(decision, room, &old).await?;
        self.move_names(decision, room, &old).await?;
        self.silence(decision, old.levels).await?;
        Ok(Created { room_id, room })
    }
}

impl Upgrade<'_> {
    fn state(&self, event_type: &str, content: CanonicalJsonObject) -> NewPdu {
        NewPdu::state(self.actor.user.clone(), event_type, "", content)
    }

    async fn look_at_old(&self, decision: &mut Decision<'_>) -> Result<Old, RoomsError> {
        let state = decision.room(self.old).await?.state;
        let content = async |decision: &Decision<'_>, kind: &str| {
            let event = decision.reader().state_event(self.old, state, kind, "").await?;
            Ok::<_, RoomsError>(event.and_then(|event| event.pdu.content_as::<CanonicalJsonObject>().ok()))
        };
        let mut settings = Vec::new();
        for kind in SETTINGS {
            settings.extend(content(decision, kind).await?.map(|content| (kind, content)));
        }
        let create = content(decision, "m.room.create").await?.unwrap_or_default();
        let is_space = string(&create, "type") == Some("m.space");
        let mut carried = Vec::new();
        for ((kind, key), event) in decision.reader().snapshot(self.old, state).await? {
            let place = nexus_event_store::rows::EventPlace { room: self.old, event };
            let wanted = match kind.as_str() {
                "m.room.member" => key != self.actor.user,
                "m.space.child" => is_space,
                _ => false,
            };
            if !wanted {
                continue;
            }
            let event = decision.reader().event(place).await?;
            let keep = match kind.as_str() {
                "m.room.member" => is_ban(&event),
                _ => event.pdu.content().get() != "{}",
            };
            if keep {
                carried.push(event);
            }
            if carried.len() > CARRIED_MAX {
                return Err(Rejection::TooMany {
                    what: "bans and children of a space to carry over",
                    limit: CARRIED_MAX,
                }
                .into());
            }
        }
        let power = decision.power(self.old).await?;
        Ok(Old {
            actor_above_all: power.level_of(&self.actor.user) == i64::MAX,
            create,
            levels: content(decision, "m.room.power_levels").await?,
            settings,
            aliases: content(decision, "m.room.canonical_alias").await?,
            carried,
        })
    }

    /// The new room's first event, and the old one's tombstone.
    async fn found(&self, decision: &mut Decision<'_>, old: &Old) -> Result<RoomNo, RoomsError> {
        let mut content = old.create.clone();
        for field in ["creator", "room_version", "predecessor", "additional_creators", "nexus.nonce"] {
            content.remove(field);
        }
        let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
        content.insert("room_version".to_owned(), text(self.version.as_str()));
        if !self.version.rules().authorization.use_room_create_sender {
            content.insert("creator".to_owned(), text(self.actor.user.as_str()));
        }
        if self.version.rules().authorization.additional_room_creators && !self.additional_creators.is_empty()
        {
            let creators = self.additional_creators.iter().map(|user| text(user.as_str())).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
        let mut predecessor = object(json!({ "room_id": self.old_id }));
        let tombstone = |replacement: &RoomId| {
            let body = "This room has been replaced.";
            self.state("m.room.tombstone", object(json!({ "body": body, "replacement_room": replacement })))
        };
        let room_id = self.new_room_id(decision)?;
        if let Some(room_id) = &room_id {
            let appended = decision.append(self.old, tombstone(room_id)).await?;
            predecessor.insert("event_id".to_owned(), text(appended.event_id.as_str()));
        }
        content.insert("predecessor".to_owned(), CanonicalJsonValue::Object(predecessor));
        let create = self.state("m.room.create", content);
        let is_hash = room_id.is_none();
        let room = decision.found_room(self.version, room_id, create).await?;
        if is_hash {
            // The id is the hash of what was just made: only now can the old room name it.
            let room_id = decision.room(room).await?.room_id.clone();
            decision.append(self.old, tombstone(&room_id)).await?;
        }
        Ok(room)
    }

    fn new_room_id(&self, decision: &Decision<'_>) -> Result<Option<OwnedRoomId>, RoomsError> {
        if self.version.room_id_is_create_event() {
            return Ok(None);
        }
        let random: [u8; 15] = decision.tx.store().world().random_bytes();
        let id = format!("!{}:{}", URL_SAFE_NO_PAD.encode(random), decision.rooms.server_name());
        OwnedRoomId::try_from(id).map(Some).map_err(|error| RoomsError::Internal(error.to_string()))
    }

    async fn carry_over(
        &self,
        decision: &mut Decision<'_>,
        room: RoomNo,
        old: &Old,
    ) -> Result<(), RoomsError> {
        let user = &self.actor.user;
        let join = member_content("join", &self.profile, None);
        decision.append(room, NewPdu::state(user.clone(), "m.room.member", user.as_str(), join)).await?;
        let levels = self.new_levels(old);
        // Until everything is there, whoever replaces the room may do everything.
        let mut first = levels.clone();
        if !self.version.room_id_is_create_event() {
            raise(&mut first, user);
        }
        decision.append(room, self.state("m.room.power_levels", first.clone())).await?;
        for (kind, content) in &old.settings {
            let content =
                if *kind == "m.room.join_rules" { self.join_rules(content) } else { content.clone() };
            decision.append(room, self.state(kind, content)).await?;
        }
        for event in &old.carried {
            let key = event.pdu.state_key().unwrap_or_default();
            let content = match event.pdu.event_type() {
                "m.room.member" => member_content("ban", &Profile::default(), ban_reason(event).as_deref()),
                _ => event.pdu.content_as().unwrap_or_default(),
            };
            decision.append(room, NewPdu::state(user.clone(), event.pdu.event_type(), key, content)).await?;
        }
        if first != levels {
            decision.append(room, self.state("m.room.power_levels", levels)).await?;
        }
        Ok(())
    }

    /// The old levels, without those who are above all in the new room.
    fn new_levels(&self, old: &Old) -> CanonicalJsonObject {
        let mut levels = as_integers(old.levels.clone().unwrap_or_default());
        let none = || CanonicalJsonValue::Object(CanonicalJsonObject::new());
        if let CanonicalJsonValue::Object(users) = levels.entry("users".to_owned()).or_insert_with(none) {
            if self.version.room_id_is_create_event() {
                users.remove(self.actor.user.as_str());
                for creator in &self.additional_creators {
                    users.remove(creator.as_str());
                }
            } else if old.actor_above_all {
                let full = CanonicalJsonValue::Integer(Int::from(100));
                users.insert(self.actor.user.to_string(), full);
            }
        }
        levels
    }

    /// A join rule that the new version does not know would let in nobody, or everybody.
    fn join_rules(&self, content: &CanonicalJsonObject) -> CanonicalJsonObject {
        let rules = &self.version.rules().authorization;
        let known = match string(content, "join_rule") {
            Some("knock") => rules.knocking,
            Some("restricted") => rules.restricted_join_rule,
            Some("knock_restricted") => rules.knock_restricted_join_rule,
            _ => true,
        };
        if known { content.clone() } else { object(json!({ "join_rule": "invite" })) }
    }

    /// Moves aliases and the place in the directory.
    async fn move_names(
        &self,
        decision: &mut Decision<'_>,
        room: RoomNo,
        old: &Old,
    ) -> Result<(), RoomsError> {
        let scan = Scan::prefix::<RoomAliases>(&self.old);
        for ((_, alias), ()) in decision.tx.scan::<RoomAliases>(scan).await? {
            let row = decision.tx.existing::<Aliases>(&alias).await?;
            decision.tx.put::<Aliases>(&alias, &AliasRow { room, ..row });
            decision.tx.delete::<RoomAliases>(&(self.old, alias.clone()));
            decision.tx.put::<RoomAliases>(&(room, alias), &());
        }
        if decision.tx.row::<Published>(&self.old).await?.is_some() {
            decision.tx.delete::<Published>(&self.old);
            decision.tx.put::<Published>(&room, &());
        }
        let Some(aliases) = old.aliases.clone().filter(|aliases| !aliases.is_empty()) else { return Ok(()) };
        let kind = "m.room.canonical_alias";
        self.where_allowed(decision, self.old, kind, CanonicalJsonObject::new()).await?;
        self.where_allowed(decision, room, kind, aliases).await
    }

    /// In the old room only who could replace it speaks and invites, as far as the actor may say so.
    async fn silence(
        &self,
        decision: &mut Decision<'_>,
        levels: Option<CanonicalJsonObject>,
    ) -> Result<(), RoomsError> {
        let Some(mut levels) = levels else { return Ok(()) };
        let level = |levels: &CanonicalJsonObject, field: &str| match levels.get(field) {
            Some(CanonicalJsonValue::Integer(level)) => i64::from(*level),
            _ => 0,
        };
        let silent = level(&levels, "users_default").saturating_add(1).max(50);
        for field in ["events_default", "invite"] {
            let raised = level(&levels, field).max(silent);
            if let Ok(raised) = Int::try_from(raised) {
                levels.insert(field.to_owned(), CanonicalJsonValue::Integer(raised));
            }
        }
        self.where_allowed(decision, self.old, "m.room.power_levels", levels).await
    }

    async fn where_allowed(
        &self,
        decision: &mut Decision<'_>,
        room: RoomNo,
        event_type: &str,
        content: CanonicalJsonObject,
    ) -> Result<(), RoomsError> {
        match decision.append(room, self.state(event_type, content)).await {
            Ok(_) | Err(RoomsError::Rejected(Rejection::Forbidden { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Gives `user` at least the highest level that anything needs, and 100.
fn raise(levels: &mut CanonicalJsonObject, user: &UserId) {
    let mut needed = Int::from(100);
    for value in levels.values() {
        match value {
            CanonicalJsonValue::Integer(level) => needed = needed.max(*level),
            CanonicalJsonValue::Object(inner) => {
                for level in inner.values() {
                    if let CanonicalJsonValue::Integer(level) = level {
                        needed = needed.max(*level);
                    }
                }
            }
            _ => {}
        }
    }
    if let Some(CanonicalJsonValue::Object(users)) = levels.get_mut("users") {
        users.insert(user.to_string(), CanonicalJsonValue::Integer(needed));
    }
}

/// Levels as every version reads them: the oldest let them be strings.
fn as_integers(levels: CanonicalJsonObject) -> CanonicalJsonObject {
    let integer = |value: CanonicalJsonValue| match value {
        CanonicalJsonValue::String(text) => match text.trim().parse::<i64>().map(Int::try_from) {
            Ok(Ok(level)) => Some(CanonicalJsonValue::Integer(level)),
            _ => None,
        },
        CanonicalJsonValue::Integer(level) => Some(CanonicalJsonValue::Integer(level)),
        _ => None,
    };
    let inside = |inner: CanonicalJsonObject| {
        let levels = inner.into_iter().filter_map(|(name, value)| Some((name, integer(value)?)));
        CanonicalJsonValue::Object(levels.collect())
    };
    let fields = levels.into_iter().filter_map(|(name, value)| match value {
        CanonicalJsonValue::Object(inner) => Some((name, inside(inner))),
        other => Some((name, integer(other)?)),
    });
    fields.collect()
}

fn ban_reason(event: &Event) -> Option<String> {
    let content: CanonicalJsonObject = event.pdu.content_as().ok()?;
    string(&content, "reason").map(str::to_owned)
}

fn is_ban(event: &Event) -> bool {
    let content: CanonicalJsonObject = event.pdu.content_as().unwrap_or_default();
    string(&content, "membership") == Some("ban")
}
