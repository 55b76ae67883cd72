//! Joins into rooms that let in whoever is in another room.
//!
//! The conditions are looked at only by the resident server: it checks them, names a member of its own who
//! could have invited the joiner, and so vouches for the join with its signature.
//!
//! **Bounds**: [`CONDITIONS_MAX`] conditions are looked at and [`AUTHORISERS_TRIED`] members tried.
//! **Errors**: refused when no condition holds; [`RoomRefusal::CannotAuthoriseJoin`] when one is about a room
//! that this server does not know; [`RoomRefusal::CannotGrantJoin`] when nobody here could have invited.
//! **Source**: Matrix v1.19, client-server API, "Restricted rooms"; room versions 8 and later.

use std::collections::BTreeSet;

use nexus_event_store::{NodeHash, RoomNo, Rows as _, Scan, UserNo, catalogue::RoomNumbers, codec::Text};
use nexus_views::{Membership, rows::Members};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Appended, RoomRefusal, RoomsError,
    decision::{Decision, NewPdu},
    error::Rejection,
};

/// How many conditions of a join rule are looked at.
const CONDITIONS_MAX: usize = 50;

/// How many members are tried as the one who may let somebody in.
const AUTHORISERS_TRIED: usize = 50;

/// How many members are looked at to find them.
const MEMBERS_LOOKED_AT: usize = 1000;

/// What a room's join rule says.
#[derive(Default)]
pub(crate) struct JoinRules {
    join_rule: String,
    /// The rooms whose members may come in.
    allow: Vec<String>,
}

impl JoinRules {
    /// Whether some who are not invited may come in.
    pub(crate) fn is_restricted(&self) -> bool {
        matches!(self.join_rule.as_str(), "restricted" | "knock_restricted")
    }

    fn read(content: &Value) -> Self {
        let allow = content["allow"].as_array().into_iter().flatten();
        let rooms = allow
            .filter(|rule| rule["type"] == "m.room_membership")
            .filter_map(|rule| rule["room_id"].as_str())
            .filter(|room| RoomId::parse(room).is_ok());
        Self {
            join_rule: content["join_rule"].as_str().unwrap_or_default().to_owned(),
            allow: rooms.take(CONDITIONS_MAX).map(str::to_owned).collect(),
        }
    }
}

/// Adds who lets the joiner in.
pub(crate) fn authorised_by(mut content: CanonicalJsonObject, user: &UserId) -> CanonicalJsonObject {
    let user = CanonicalJsonValue::String(user.to_string());
    content.insert("join_authorised_via_users_server".to_owned(), user);
    content
}

impl Decision<'_> {
    /// The join rule of a room in a state.
    pub(crate) async fn join_rules(&self, room: RoomNo, state: NodeHash) -> Result<JoinRules, RoomsError> {
        let rules = self.reader().state_event(room, state, "m.room.join_rules", "").await?;
        let content: Option<Value> = rules.and_then(|event| event.pdu.content_as().ok());
        Ok(content.map(|content| JoinRules::read(&content)).unwrap_or_default())
    }

    /// Joins `user` by the conditions of `rules`; `content` is that of a plain join.
    pub(crate) async fn join_restricted(
        &mut self,
        room: RoomNo,
        rules: &JoinRules,
        user: &UserId,
        content: CanonicalJsonObject,
    ) -> Result<Appended, RoomsError> {
        let number = self.actor_no(user).await?;
        self.check_conditions(rules, number).await?;
        for authoriser in self.authorisers(room).await? {
            let content = authorised_by(content.clone(), &authoriser);
            let event = NewPdu::state(user.to_owned(), "m.room.member", user.as_str(), content);
            match self.append(room, event).await {
                Err(RoomsError::Rejected(Rejection::Forbidden { .. })) => {}
                other => return other,
            }
        }
        Err(RoomRefusal::CannotGrantJoin.into())
    }

    async fn check_conditions(&self, rules: &JoinRules, user: UserNo) -> Result<(), RoomsError> {
        let mut unknown = false;
        for room in &rules.allow {
            match self.tx.row::<RoomNumbers>(&Text::from(room.as_str())).await? {
                Some(room) => {
                    let row = self.reader().membership(room, user).await?;
                    if row.is_some_and(|row| row.membership == Membership::Join) {
                        return Ok(());
                    }
                }
                None => unknown = true,
            }
        }
        if unknown {
            return Err(RoomRefusal::CannotAuthoriseJoin.into());
        }
        Err(RoomsError::forbidden("not a member of any room that gives access to this one"))
    }

    /// Local members who might invite: those with power first, then some others.
    async fn authorisers(&mut self, room: RoomNo) -> Result<Vec<OwnedUserId>, RoomsError> {
        let state = self.room(room).await?.state;
        let mut users: Vec<OwnedUserId> = Vec::new();
        let mut seen = BTreeSet::new();
        for user in self.named_in_power(room, state).await? {
            if user.server_name() != self.rooms.server_name() || users.len() >= AUTHORISERS_TRIED {
                continue;
            }
            let Some(number) = self.reader().user_no(&user).await? else { continue };
            let row = self.reader().membership(room, number).await?;
            if row.is_some_and(|row| row.membership == Membership::Join) && seen.insert(number) {
                users.push(user);
            }
        }
        let some = Scan::prefix::<Members>(&room).limit(MEMBERS_LOOKED_AT);
        for ((_, member), row) in self.tx.scan::<Members>(some).await? {
            if users.len() >= AUTHORISERS_TRIED {
                break;
            }
            if row.membership == Membership::Join && seen.insert(member) {
                let id = self.reader().user_id(member).await?;
                if id.server_name() == self.rooms.server_name() {
                    users.push(id);
                }
            }
        }
        Ok(users)
    }

    /// The room's creators and whom its power levels name.
    async fn named_in_power(&self, room: RoomNo, state: NodeHash) -> Result<Vec<OwnedUserId>, RoomsError> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Create {
            additional_creators: Vec<OwnedUserId>,
        }
        let mut named = Vec::new();
        if let Some(create) = self.reader().state_event(room, state, "m.room.create", "").await? {
            named.push(create.pdu.sender().to_owned());
            named.extend(create.pdu.content_as::<Create>().unwrap_or_default().additional_creators);
        }
        if let Some(levels) = self.reader().state_event(room, state, "m.room.power_levels", "").await? {
            let content: Value = levels.pdu.content_as().unwrap_or_default();
            let mut users: Vec<(i64, OwnedUserId)> = content["users"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(user, level)| Some((level.as_i64()?, UserId::parse(user).ok()?)))
                .collect();
            users.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
            named.extend(users.into_iter().map(|(_, user)| user));
        }
        Ok(named)
    }
}
