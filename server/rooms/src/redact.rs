//! Redaction: what an event said is taken out of the log and of every view.
//!
//! A message takes the edits of its author along. One's own events always; another's by power level, or in a guild by the steward for a member whose roles
//! allow it. **Invariant**: the redacted form is written in the redaction's own commit, so no reader ever
//! finds the content again.

use nexus_event_store::{
    RoomNo, Rows as _, Scan, UserNo,
    catalogue::{Events, Transactions},
    rows::{EventPlace, TransactionMark},
};
use nexus_views::{
    Event, Membership, Permissions,
    project::{NewEvent, is_steward, project_redaction},
    rows::{RelationKind, Relations},
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Actor, Appended, Rooms, RoomsError, Sent, TxnKey,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    permission::need,
    send::{Outcome, transaction_key},
};

/// State without whose content a room is closed to everybody.
const LASTING: [&str; 2] = ["m.room.create", "m.room.server_acl"];

/// The most edits that are redacted with their message; a commit has room for so many events.
const EDITS_MAX: usize = 200;

/// An event to redact.
#[derive(Clone, Debug)]
pub struct Redact {
    /// The room.
    pub room: OwnedRoomId,
    /// The event.
    pub event_id: OwnedEventId,
    /// Why.
    pub reason: Option<String>,
    /// Makes it happen once.
    pub txn: Option<TxnKey>,
}

impl Rooms {
    /// Redacts an event.
    ///
    /// # Errors
    /// Refused when the event is not in the room, or is another's and nothing allows it.
    pub async fn redact(&self, actor: &Actor, redact: Redact) -> Result<Sent, RoomsError> {
        let room = self.known_room(&redact.room).await?;
        let (outcome, position) = self.run(&RedactEvent { actor, room, redact }).await?;
        Ok(match outcome {
            Outcome::New(appended) => appended.sent(position),
            Outcome::Replayed(sent) => sent,
        })
    }
}

struct RedactEvent<'a> {
    actor: &'a Actor,
    room: RoomNo,
    redact: Redact,
}

impl Decide for RedactEvent<'_> {
    type Output = Outcome;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Outcome, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let key = match &self.redact.txn {
            Some(txn) => Some(transaction_key(user, self.actor, txn, self.room, "m.room.redaction")?),
            None => None,
        };
        if let Some(key) = &key
            && let Some(sent) = decision.replay(key).await?
        {
            return Ok(Outcome::Replayed(sent));
        }
        let membership = decision.reader().membership(self.room, user).await?;
        let info = decision.reader().info(self.room).await?;
        let joined = membership.is_some_and(|row| row.membership == Membership::Join);
        if !joined && info.guild.is_none() {
            return Err(Rejection::NotMember.into());
        }
        if let Some(guild) = info.guild {
            // A membership that a job has yet to end gives nothing.
            need(decision.permissions(guild, Some(self.room), user).await?, Permissions::VIEW_CHANNEL)?;
        }
        let target = decision.reader().event_by_id(&self.redact.event_id).await?;
        let target = target.filter(|event| event.room == self.room).ok_or(Rejection::UnknownEvent)?;
        if LASTING.contains(&target.pdu.event_type()) && target.pdu.state_key().is_some() {
            return Err(RoomsError::forbidden("this event cannot be redacted"));
        }
        // What a steward says of a guild holds until it is said anew: emptied it would read as "deny".
        let is_control = target.pdu.state_key().is_some()
            && (target.pdu.event_type().starts_with("nexus.") || is_steward(target.pdu.sender()));
        if is_control {
            return Err(RoomsError::forbidden("what a steward says of a guild cannot be redacted"));
        }
        let mut by_steward = false;
        if target.pdu.sender() != self.actor.user || !joined {
            match info.guild {
                Some(guild) => {
                    let held = decision.permissions(guild, Some(self.room), user).await?;
                    if target.pdu.sender() != self.actor.user {
                        need(held, Permissions::MANAGE_MESSAGES)?;
                        if target.pdu.state_key().is_some() {
                            return Err(RoomsError::forbidden("stewards do not redact state"));
                        }
                    }
                    by_steward = true;
                }
                None => need_redact_level(decision, self.room, self.actor).await?,
            }
        }
        let mut event = self.redaction(decision, &target, by_steward)?;
        event.transaction = self.mark(user);
        let appended = apply(decision, self.room, event, &target).await?;
        for edit in edits_left(decision, &target).await? {
            let event = self.redaction(decision, &edit, by_steward)?;
            apply(decision, self.room, event, &edit).await?;
        }
        if let Some(key) = &key {
            decision.tx.put::<Transactions>(key, &EventPlace { room: appended.room, event: appended.no });
        }
        Ok(Outcome::New(appended))
    }
}

impl RedactEvent<'_> {
    /// The redaction of `target`, by the actor or for the actor by the steward.
    fn redaction(
        &self,
        decision: &Decision<'_>,
        target: &Event,
        by_steward: bool,
    ) -> Result<NewPdu, RoomsError> {
        let redacts = target.pdu.event_id().to_owned();
        let mut content = CanonicalJsonObject::new();
        if let Some(reason) = &self.redact.reason {
            content.insert("reason".to_owned(), CanonicalJsonValue::String(reason.clone()));
        }
        let mut sender = self.actor.user.clone();
        if by_steward {
            sender = decision.rooms.steward()?;
            // A guild's rooms have it in the content: what is vouched for names its target.
            content.insert("redacts".to_owned(), CanonicalJsonValue::String(redacts.to_string()));
            let reason = self.redact.reason.as_deref();
            content = decision.on_behalf_of(self.actor, "redact", reason, content)?;
        }
        let event = NewPdu::message(sender, "m.room.redaction", content);
        Ok(NewPdu { redacts: Some(redacts), ..event })
    }

    fn mark(&self, user: UserNo) -> Option<TransactionMark> {
        let txn = self.redact.txn.as_ref()?;
        Some(TransactionMark { user, device: self.actor.device.clone(), id: txn.id.clone() })
    }
}

/// The author's edits of a message that was just redacted, newest first: they say what it said. Of more than
/// [`EDITS_MAX`] the oldest stay.
pub(crate) async fn edits_left(
    decision: &Decision<'_>,
    target: &Event,
) -> Result<Vec<Arc<Event>>, RoomsError> {
    let scan = Scan::prefix::<Relations>(&(target.room, target.no));
    let mut edits = Vec::new();
    for ((room, _, event), kind) in decision.tx.scan::<Relations>(scan.reverse()).await? {
        if kind != RelationKind::Replace || edits.len() == EDITS_MAX {
            continue;
        }
        let edit = decision.reader().event(EventPlace { room, event }).await?;
        if edit.pdu.sender() == target.pdu.sender() && edit.redacted_by.is_none() {
            edits.push(edit);
        }
    }
    Ok(edits)
}

/// Appends the redaction and empties its target, in the log and in the views.
pub(crate) async fn apply(
    decision: &mut Decision<'_>,
    room: RoomNo,
    redaction: NewPdu,
    target: &Event,
) -> Result<Appended, RoomsError> {
    let appended = decision.append(room, redaction).await?;
    if target.redacted_by.is_some() {
        return Ok(appended);
    }
    let emptied = target.pdu.redacted().map_err(|error| RoomsError::Internal(error.to_string()))?;
    let mut row = decision.tx.existing::<Events>(&(room, target.no)).await?;
    row.json = emptied.json().to_owned();
    row.redacted_by = Some(appended.no);
    decision.tx.put::<Events>(&(room, target.no), &row);
    decision.forget_event(target.no);
    let sender = decision.tx.intern_user(target.pdu.sender().as_str()).await?;
    let is_current_state = match target.pdu.state_key() {
        Some(key) => {
            let state = decision.room(room).await?.state;
            let current = decision.reader().state_event_no(room, state, target.pdu.event_type(), key).await?;
            current == Some(target.no)
        }
        None => false,
    };
    let left = NewEvent {
        room,
        no: target.no,
        pdu: &emptied,
        sender,
        snowflake: None,
        is_current_state,
        position: Some(target.position),
    };
    project_redaction(&decision.tx, appended.no, target, left).await?;
    Ok(appended)
}

#[derive(Deserialize, Default)]
struct Levels {
    #[serde(default)]
    users: BTreeMap<String, i64>,
    #[serde(default)]
    users_default: i64,
    redact: Option<i64>,
}

/// A room that is no guild's: another's event needs the redact level. (The authorisation rules let any
/// redaction of the same server through; that the target is the sender's own is for us to see to.)
async fn need_redact_level(
    decision: &mut Decision<'_>,
    room: RoomNo,
    actor: &Actor,
) -> Result<(), RoomsError> {
    let open = decision.room(room).await?;
    let (state, version) = (open.state, open.version);
    let create = decision.reader().state_event(room, state, "m.room.create", "").await?;
    if let Some(create) = create.filter(|_| version.room_id_is_create_event()) {
        let content: serde_json::Value = create.pdu.content_as().unwrap_or_default();
        let additional = content.get("additional_creators").and_then(serde_json::Value::as_array);
        let mut creators = additional.into_iter().flatten().filter_map(serde_json::Value::as_str);
        if create.pdu.sender() == actor.user || creators.any(|creator| creator == actor.user.as_str()) {
            return Ok(());
        }
    }
    let levels = decision.reader().state_event(room, state, "m.room.power_levels", "").await?;
    let levels: Levels = levels.and_then(|event| event.pdu.content_as().ok()).unwrap_or_default();
    let level = levels.users.get(actor.user.as_str()).copied().unwrap_or(levels.users_default);
    if level >= levels.redact.unwrap_or(50) {
        Ok(())
    } else {
        Err(RoomsError::forbidden("redacting another's event needs a higher power level"))
    }
}
