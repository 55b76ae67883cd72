//! Several messages, taken away in one commit by the steward.

use nexus_event_store::RoomNo;
use nexus_views::{Event, Permissions};
use ruma::{CanonicalJsonValue, OwnedEventId};
use serde_json::json;

use crate::{
    Actor, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, EVENTS_PER_ROOM, NewPdu},
    error::Rejection,
    redact::{apply, edits_left},
};

/// The most messages that are deleted at once.
pub const MESSAGES_AT_ONCE: usize = 100;

impl Rooms {
    /// Deletes messages of a guild's channel; those that are gone already are passed over.
    ///
    /// # Errors
    /// Refused without MANAGE_MESSAGES.
    pub async fn delete_messages(
        &self,
        actor: &Actor,
        channel: RoomNo,
        messages: Vec<OwnedEventId>,
    ) -> Result<(), RoomsError> {
        if messages.len() > MESSAGES_AT_ONCE {
            return Err(Rejection::TooMany { what: "messages", limit: MESSAGES_AT_ONCE }.into());
        }
        self.run(&DeleteMessages { actor, channel, messages }).await.map(drop)
    }
}

/// Redacts an event at a member's request.
async fn redact(
    decision: &mut Decision<'_>,
    actor: &Actor,
    action: &str,
    target: &Event,
) -> Result<(), RoomsError> {
    let redacts = target.pdu.event_id().to_owned();
    let mut content = object(json!({ "redacts": redacts }));
    if let Some(reason) = &actor.reason {
        content.insert("reason".to_owned(), CanonicalJsonValue::String(reason.clone()));
    }
    let content = decision.on_behalf_of(actor, action, None, content)?;
    let event = NewPdu::message(decision.rooms.steward()?, "m.room.redaction", content);
    apply(decision, target.room, NewPdu { redacts: Some(redacts), ..event }, target).await.map(drop)
}

struct DeleteMessages<'a> {
    actor: &'a Actor,
    channel: RoomNo,
    messages: Vec<OwnedEventId>,
}

impl Decide for DeleteMessages<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_channel(self.channel, user, Permissions::MANAGE_MESSAGES).await?;
        let mut targets = Vec::new();
        for id in &self.messages {
            let event = decision.reader().event_by_id(id).await?;
            targets.extend(event.filter(|event| {
                event.room == self.channel && event.redacted_by.is_none() && event.pdu.state_key().is_none()
            }));
        }
        targets.sort_by_key(|event| event.no);
        targets.dedup_by_key(|event| event.no);
        for target in &targets {
            redact(decision, self.actor, "messages.delete", target).await?;
        }
        // Their edits say what they said; what the commit has no room for stays, as with a single message.
        let mut room_left = EVENTS_PER_ROOM - targets.len();
        for target in &targets {
            for edit in edits_left(decision, target).await? {
                if room_left == 0 {
                    return Ok(());
                }
                room_left -= 1;
                redact(decision, self.actor, "messages.delete", &edit).await?;
            }
        }
        Ok(())
    }
}
