//! Power levels of a room that is no guild's, as far as a command must know them before it makes an event.
//!
//! Authorisation has the last word; this answers what is no event at all (who may take an alias away) and
//! what must be known beforehand (what a replaced room's levels become).
//!
//! **Source**: Matrix v1.19, `m.room.power_levels` with its defaults; room version 12 for creators.

use std::collections::BTreeSet;

use nexus_event_store::RoomNo;
use nexus_views::Membership;
use ruma::UserId;
use serde_json::Value;

use crate::{RoomsError, decision::Decision, error::Rejection};

/// Who may do what in a room.
#[derive(Debug)]
pub(crate) struct Power {
    /// Users above all levels.
    creators: BTreeSet<String>,
    /// The content of `m.room.power_levels`; null when there is none.
    levels: Value,
    /// In a room without power levels, the one who has them all.
    founder: String,
}

impl Power {
    pub(crate) fn level_of(&self, user: &UserId) -> i64 {
        if self.creators.contains(user.as_str()) {
            return i64::MAX;
        }
        if self.levels.is_null() {
            return if self.founder == user.as_str() { 100 } else { 0 };
        }
        let own = integer(&self.levels["users"][user.as_str()]);
        own.or_else(|| integer(&self.levels["users_default"])).unwrap_or(0)
    }

    /// The level that a state event of this type needs.
    pub(crate) fn to_set(&self, event_type: &str) -> i64 {
        if self.levels.is_null() {
            return 0;
        }
        let own = integer(&self.levels["events"][event_type]);
        own.or_else(|| integer(&self.levels["state_default"])).unwrap_or(50)
    }
}

/// Levels may be strings in the oldest room versions.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

impl Decision<'_> {
    /// Who may do what in `room`.
    pub(crate) async fn power(&mut self, room: RoomNo) -> Result<Power, RoomsError> {
        let open = self.room(room).await?;
        let (state, version) = (open.state, open.version);
        let create = self.reader().state_event(room, state, "m.room.create", "").await?;
        let founder = create.as_ref().map(|create| create.pdu.sender().to_string()).unwrap_or_default();
        let mut creators = BTreeSet::new();
        if let Some(create) = create.filter(|_| version.room_id_is_create_event()) {
            let content: Value = create.pdu.content_as().unwrap_or_default();
            let additional = content["additional_creators"].as_array().into_iter().flatten();
            creators.extend(additional.filter_map(Value::as_str).map(str::to_owned));
            creators.insert(founder.clone());
        }
        let levels = self.reader().state_event(room, state, "m.room.power_levels", "").await?;
        let levels = levels.and_then(|event| event.pdu.content_as().ok()).unwrap_or_default();
        Ok(Power { creators, levels, founder })
    }

    /// Refuses unless `user` is in the room and could set state of this type.
    pub(crate) async fn need_to_set(
        &mut self,
        room: RoomNo,
        user: &UserId,
        event_type: &str,
    ) -> Result<(), RoomsError> {
        self.need_joined(room, user).await?;
        let power = self.power(room).await?;
        if power.level_of(user) < power.to_set(event_type) {
            return Err(RoomsError::forbidden(format!("this needs the power to set {event_type}")));
        }
        Ok(())
    }

    /// Refuses unless `user` is in the room.
    pub(crate) async fn need_joined(&self, room: RoomNo, user: &UserId) -> Result<(), RoomsError> {
        let number = self.reader().user_no(user).await?.ok_or(Rejection::NotMember)?;
        match self.reader().membership(room, number).await?.map(|row| row.membership) {
            Some(Membership::Join) => Ok(()),
            Some(Membership::Ban) => Err(Rejection::Banned.into()),
            _ => Err(Rejection::NotMember.into()),
        }
    }
}
