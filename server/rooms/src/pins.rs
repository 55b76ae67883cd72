//! Pins: `m.room.pinned_events`. In a guild's channel the steward sets it for a member whose roles allow it,
//! and the event that pins a message is shown as a notice; in other rooms it is state like any other.

use nexus_event_store::{NodeHash, RoomNo, UserNo};
use nexus_state_resolution::Pdu;
use nexus_views::{Event, Permissions, pins::PINS_MAX, project::is_steward};
use ruma::{CanonicalJsonObject, EventId, OwnedEventId, RoomId};
use serde_json::{Value, json};

use crate::{
    Actor, Appended, Rooms, RoomsError, Sent,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    permission::need,
};

const PINNED: &str = "m.room.pinned_events";

/// What to change of the pins of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinChange {
    /// Pins a message; one that is pinned stays as it is.
    Pin(OwnedEventId),
    /// Takes a pin away; none is no fault.
    Unpin(OwnedEventId),
    /// The whole list, as Matrix clients set it.
    All(Vec<OwnedEventId>),
}

impl Rooms {
    /// Changes the pins of a guild's channel.
    ///
    /// # Errors
    /// Refused without PIN_MESSAGES or MANAGE_MESSAGES, for what is no message of the channel, and for more
    /// pins than there may be.
    pub async fn change_pins(
        &self,
        actor: &Actor,
        channel: RoomNo,
        change: PinChange,
    ) -> Result<Option<Sent>, RoomsError> {
        let (appended, position) = self.run(&Change { actor, channel, change }).await?;
        Ok(appended.map(|appended: Appended| appended.sent(position)))
    }

    /// `m.room.pinned_events` that a member of a guild sends into its channel is this command.
    pub(crate) async fn pins_by_state(
        &self,
        actor: &Actor,
        room: &RoomId,
        (event_type, state_key): (&str, Option<&str>),
        content: &CanonicalJsonObject,
    ) -> Result<Option<Sent>, RoomsError> {
        if event_type != PINNED || state_key != Some("") {
            return Ok(None);
        }
        let room = self.known_room(room).await?;
        if self.inner.views.info(room).await?.guild.is_none() || is_steward(&actor.user) {
            return Ok(None);
        }
        let mut pinned = Vec::new();
        let list = content.get("pinned").and_then(|list| list.as_array());
        for id in list.ok_or_else(|| bad_list("must be a list"))? {
            let id = id.as_str().and_then(|id| OwnedEventId::try_from(id).ok());
            pinned.push(id.ok_or_else(|| bad_list("must hold event ids"))?);
        }
        match self.change_pins(actor, room, PinChange::All(pinned)).await? {
            Some(sent) => Ok(Some(sent)),
            // Nothing changed: the event that says so stands.
            None => self.standing_pins(room).await.map(Some),
        }
    }

    async fn standing_pins(&self, room: RoomNo) -> Result<Sent, RoomsError> {
        let views = &self.inner.views;
        let head = views.head(room).await?;
        let event = views.state_event(room, head.state, PINNED, "").await?.ok_or(Rejection::UnknownEvent)?;
        let place = nexus_event_store::rows::EventPlace { room, event: event.no };
        let event_id = event.pdu.event_id().to_owned();
        Ok(Sent { event_id, place, snowflake: event.snowflake, position: event.position, replayed: true })
    }
}

fn bad_list(problem: &str) -> RoomsError {
    Rejection::BadField { field: "pinned", problem: problem.to_owned() }.into()
}

struct Change<'a> {
    actor: &'a Actor,
    channel: RoomNo,
    change: PinChange,
}

impl Decide for Change<'_> {
    type Output = Option<Appended>;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Option<Appended>, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        need_to_pin(decision, self.channel, user).await?;
        let state = decision.room(self.channel).await?.state;
        let before = decision.reader().state_event(self.channel, state, PINNED, "").await?;
        let before = before.map(|event| listed(&event)).unwrap_or_default();
        let ids: Vec<&str> = before.iter().map(|(id, _)| id.as_str()).collect();
        let wanted: Vec<String> = match &self.change {
            PinChange::Pin(id) if ids.contains(&id.as_str()) => return Ok(None),
            PinChange::Pin(id) => ids.iter().copied().chain([id.as_str()]).map(str::to_owned).collect(),
            PinChange::Unpin(id) => {
                ids.iter().filter(|known| **known != id.as_str()).map(|id| (*id).to_owned()).collect()
            }
            PinChange::All(all) => all.iter().map(ToString::to_string).collect(),
        };
        if wanted.len() > PINS_MAX {
            return Err(Rejection::TooMany { what: "pins", limit: PINS_MAX }.into());
        }
        if wanted.iter().map(String::as_str).eq(ids.iter().copied()) {
            return Ok(None);
        }
        let mut times = Vec::with_capacity(wanted.len());
        for id in &wanted {
            match before.iter().find(|(known, _)| known == id) {
                Some((_, at_ms)) => times.push(*at_ms),
                None => {
                    self.need_message(decision, id).await?;
                    times.push(decision.now.0);
                }
            }
        }
        let action = if wanted.len() > before.len() { "message.pin" } else { "message.unpin" };
        let content = object(json!({ "pinned": wanted, "nexus.pinned_at": times }));
        let content = decision.on_behalf_of(self.actor, action, None, content)?;
        let steward = decision.rooms.steward()?;
        decision.append(self.channel, NewPdu::state(steward, PINNED, "", content)).await.map(Some)
    }
}

impl Change<'_> {
    /// Only a message of the channel that is still there can be pinned.
    async fn need_message(&self, decision: &Decision<'_>, id: &str) -> Result<(), RoomsError> {
        let event = match <&EventId>::try_from(id) {
            Ok(id) => decision.reader().event_by_id(id).await?,
            Err(_) => None,
        };
        let fits = |event: &Event| {
            event.room == self.channel
                && event.snowflake.is_some()
                && event.redacted_by.is_none()
                && event.pdu.state_key().is_none()
        };
        if event.is_some_and(|event| fits(&event)) { Ok(()) } else { Err(Rejection::UnknownMessage.into()) }
    }
}

/// Refuses unless the roles of `user` allow pinning in a channel.
async fn need_to_pin(decision: &Decision<'_>, channel: RoomNo, user: UserNo) -> Result<(), RoomsError> {
    let guild = decision.reader().info(channel).await?.guild.ok_or(Rejection::UnknownChannel)?;
    let held = decision.permissions(guild, Some(channel), user).await?;
    need(held, Permissions::VIEW_CHANNEL)?;
    if held.contains(Permissions::MANAGE_MESSAGES) { Ok(()) } else { need(held, Permissions::PIN_MESSAGES) }
}

/// Which events are pinned, and since when.
fn listed(event: &Event) -> Vec<(String, u64)> {
    let content: Value = event.pdu.content_as().unwrap_or_default();
    let own_ms = u64::from(event.pdu.origin_server_ts().get());
    let ids = content["pinned"].as_array().into_iter().flatten().enumerate();
    let at = |index: usize| content["nexus.pinned_at"].get(index).and_then(Value::as_u64).unwrap_or(own_ms);
    ids.filter_map(|(index, id)| Some((id.as_str()?.to_owned(), at(index)))).collect()
}

impl Decision<'_> {
    /// Whether an event is the steward's that pins one message more: that is shown as a notice.
    pub(crate) async fn is_pin_notice(
        &self,
        room: RoomNo,
        before: NodeHash,
        pdu: &Pdu,
    ) -> Result<bool, RoomsError> {
        if pdu.event_type() != PINNED || pdu.state_key() != Some("") || !is_steward(pdu.sender()) {
            return Ok(false);
        }
        let known = self.reader().state_event(room, before, PINNED, "").await?;
        let known = known.map(|event| listed(&event)).unwrap_or_default();
        let content: Value = pdu.content_as().unwrap_or_default();
        let mut pinned = content["pinned"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(pinned.any(|id| !known.iter().any(|(known, _)| known == id)))
    }
}
