//! MESSAGE_POLL_VOTE_ADD and MESSAGE_POLL_VOTE_REMOVE, from a response and what the user had chosen before.
//!
//! A response that changes several answers is told by one notice: the first that was added, else the first
//! that was taken back.

use nexus_event_store::{RoomNo, rows::EventPlace};
use ruma::EventId;
use serde_json::{Value, json};

use super::{fact::Fact, render::Rendered};
use crate::{error::ApiError, objects::Objects};

impl Objects {
    pub(super) async fn vote_event(
        &self,
        fact: &Fact,
        channel: RoomNo,
        response: EventPlace,
    ) -> Result<Rendered, ApiError> {
        let event = self.views.event(response).await?;
        let content: Value = event.pdu.content_as().unwrap_or_default();
        let poll = content["m.relates_to"]["event_id"].as_str().and_then(|id| <&EventId>::try_from(id).ok());
        let poll = match poll {
            Some(poll) => self.views.event_by_id(poll).await?.filter(|poll| poll.room == channel),
            None => None,
        };
        let user = self.views.user_no(event.pdu.sender()).await?.unwrap_or_default();
        let (mut name, mut answer, mut message) = ("MESSAGE_POLL_VOTE_ADD", 0, None);
        if let Some(poll) = poll {
            let place = EventPlace { room: poll.room, event: poll.no };
            let after = nexus_event_store::EventNo(response.event.0 + 1);
            let now = self.views.poll_choice_before(place, user, after).await?;
            let before = self.views.poll_choice_before(place, user, response.event).await?;
            let added = now.iter().find(|answer| !before.contains(answer));
            let removed = before.iter().find(|answer| !now.contains(answer));
            if added.is_none() && removed.is_some() {
                name = "MESSAGE_POLL_VOTE_REMOVE";
            }
            answer = added.or(removed).or(now.first()).map_or(0, |index| u64::from(*index) + 1);
            message = poll.snowflake;
        }
        let d = json!({
            "user_id": self.views.user_snowflake(user).await?.to_string(),
            "channel_id": self.views.room_snowflake(channel).await?.unwrap_or_default().to_string(),
            "message_id": message.unwrap_or_default().to_string(),
            "guild_id": fact.guild_id.to_string(),
            "answer_id": answer,
        });
        Ok(Rendered::plain(name, &d))
    }
}
