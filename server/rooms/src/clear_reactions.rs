//! Taking all reactions off a message: as many as fit in the deciding commit, the rest by a job.

use nexus_event_store::{EventNo, RoomNo, Scan, rows::EventPlace};
use nexus_views::{Permissions, rows::Reactions};

use crate::{
    Actor, Rejection, Rooms, RoomsError,
    decision::{Decide, Decision},
    jobs::{Request, Work},
};

/// How many reactions go at once.
const AT_ONCE: usize = 100;

impl Rooms {
    /// Takes the reactions off a message of a channel, or only those with one emoji.
    ///
    /// # Errors
    /// Refused without MANAGE_MESSAGES there, and for a message that is not there.
    pub async fn clear_reactions(
        &self,
        actor: Actor,
        message: EventPlace,
        emoji: Option<String>,
    ) -> Result<(), RoomsError> {
        self.run(&Clear { actor, message, emoji }).await.map(drop)
    }
}

struct Clear {
    actor: Actor,
    message: EventPlace,
    emoji: Option<String>,
}

impl Decide for Clear {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.message.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let EventPlace { room, event: target } = self.message;
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_channel(room, user, Permissions::MANAGE_MESSAGES).await?;
        let message = decision.reader().event(self.message).await?;
        if message.snowflake.is_none() || message.redacted_by.is_some() {
            return Err(Rejection::UnknownMessage.into());
        }
        let scan = match &self.emoji {
            Some(emoji) => Scan::prefix::<Reactions>(&(room, target, emoji.clone())),
            None => Scan::prefix::<Reactions>(&(room, target)),
        };
        let rows = decision.tx.scan::<Reactions>(scan).await?;
        let events: Vec<EventNo> = rows.into_iter().map(|(_, event)| event).collect();
        let request = Request::new(&self.actor, "redact", None);
        for event in events.iter().take(AT_ONCE) {
            decision.redact_by_steward(room, *event, &request).await?;
        }
        if events.len() > AT_ONCE
            && let Some(until) = events.iter().max().copied()
        {
            let work = Work::ClearReactions { target, emoji: self.emoji.clone(), until, request };
            decision.open_job(room, work);
        }
        Ok(())
    }
}
