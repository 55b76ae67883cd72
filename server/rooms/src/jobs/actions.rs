//! What steps are made of. Each action looks again at what it was planned for, so carrying one out twice is
//! carrying it out once.

use nexus_event_store::{EventNo, RoomNo, UserNo, rows::EventPlace};
use nexus_views::Permissions;
use ruma::{CanonicalJsonObject, CanonicalJsonValue};

use super::{Ending, Request, Work};
use crate::{
    Actor, Profile, RoomsError,
    channels::channel_content,
    content::object,
    decision::{Decision, NewPdu},
    membership::member_content,
    redact,
};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sets who may invite into a channel.
    Levels { guild: RoomNo, channel: RoomNo },
    /// Takes a user out of a channel who may not view it.
    Settle { guild: RoomNo, channel: RoomNo, user: UserNo },
    /// Takes a user out of a room of a deleted guild.
    Expel { room: RoomNo, user: UserNo },
    /// Redacts a message with its edits, or a reaction.
    Redact { room: RoomNo, event: EventNo },
    /// Takes a channel out of a category that is no more.
    Free { guild: RoomNo, category: RoomNo, child: RoomNo },
    /// Takes an inactive member out of the guild.
    Prune { guild: RoomNo, user: UserNo },
}

impl Action {
    /// The rooms it may append to.
    pub(super) fn rooms(&self) -> Vec<RoomNo> {
        match *self {
            Self::Levels { channel, .. } | Self::Settle { channel, .. } => vec![channel],
            Self::Expel { room, .. } | Self::Redact { room, .. } => vec![room],
            Self::Free { guild, .. } | Self::Prune { guild, .. } => vec![guild],
        }
    }

    /// Does it, if it is still called for.
    pub(super) async fn carry_out(&self, decision: &mut Decision<'_>, work: &Work) -> Result<(), RoomsError> {
        match *self {
            Self::Levels { guild, channel } => decision.settle_levels(guild, channel).await,
            Self::Settle { guild, channel, user } => {
                let held = decision.permissions(guild, Some(channel), user).await?;
                let sees = held.contains(Permissions::VIEW_CHANNEL);
                if sees || !decision.is_present(channel, user).await? {
                    return Ok(());
                }
                match work {
                    Work::SettleMember { ending, .. } => decision.end_membership(channel, user, ending).await,
                    _ => decision.end_membership(channel, user, &Ending::Unseen).await,
                }
            }
            Self::Expel { room, user } => {
                let Work::EmptyGuild { request, .. } = work else { return Ok(()) };
                if !decision.is_present(room, user).await? {
                    return Ok(());
                }
                decision.end_membership(room, user, &Ending::Asked(request.clone())).await
            }
            Self::Redact { room, event } => {
                let (Work::DeleteMessages { request, .. } | Work::ClearReactions { request, .. }) = work
                else {
                    return Ok(());
                };
                decision.redact_by_steward(room, event, request).await
            }
            Self::Free { guild, category, child } => {
                let Work::FreeChildren { request, .. } = work else { return Ok(()) };
                decision.free_child(guild, category, child, &request.actor()?).await
            }
            Self::Prune { guild, user } => {
                let Work::Prune { request, silent_since_ms, roles, .. } = work else { return Ok(()) };
                decision.prune_member(guild, user, request, (*silent_since_ms, roles)).await
            }
        }
    }
}

impl Decision<'_> {
    /// Ends a membership of a channel.
    pub(crate) async fn end_membership(
        &mut self,
        room: RoomNo,
        user: UserNo,
        ending: &Ending,
    ) -> Result<(), RoomsError> {
        let target = self.reader().user_id(user).await?;
        let leave = |reason: Option<&str>| member_content("leave", &Profile::default(), reason);
        let (sender, content) = match ending {
            Ending::Own { reason } => (target.clone(), leave(reason.as_deref())),
            Ending::Unseen => (self.rooms.steward()?, leave(None)),
            Ending::Asked(request) => {
                let reason = request.reason.as_deref();
                let actor = request.actor()?;
                let content = self.on_behalf_of(&actor, &request.action, reason, leave(reason))?;
                (self.rooms.steward()?, content)
            }
        };
        let event = NewPdu::state(sender, "m.room.member", target.as_str(), content);
        self.append(room, event).await.map(drop)
    }

    /// Redacts an event, and a message's edits with it; one that is redacted already is left alone.
    pub(crate) async fn redact_by_steward(
        &mut self,
        room: RoomNo,
        event: EventNo,
        request: &Request,
    ) -> Result<(), RoomsError> {
        let target = self.reader().event(EventPlace { room, event }).await?;
        if target.redacted_by.is_some() {
            return Ok(());
        }
        let edits = redact::edits_left(self, &target).await?;
        let actor = request.actor()?;
        for target in std::iter::once(target).chain(edits) {
            let mut content = CanonicalJsonObject::new();
            if let Some(reason) = &request.reason {
                content.insert("reason".to_owned(), CanonicalJsonValue::String(reason.clone()));
            }
            let redacts = target.pdu.event_id().to_owned();
            content.insert("redacts".to_owned(), CanonicalJsonValue::String(redacts.to_string()));
            let content = self.on_behalf_of(&actor, &request.action, request.reason.as_deref(), content)?;
            let event = NewPdu::message(self.rooms.steward()?, "m.room.redaction", content);
            let event = NewPdu { redacts: Some(redacts), ..event };
            redact::apply(self, room, event, &target).await?;
        }
        Ok(())
    }

    /// A channel of a category that goes stands on its own.
    pub(crate) async fn free_child(
        &mut self,
        guild: RoomNo,
        category: RoomNo,
        child: RoomNo,
        actor: &Actor,
    ) -> Result<(), RoomsError> {
        let info = self.reader().info(child).await?;
        if info.parent != Some(category) || info.guild != Some(guild) {
            return Ok(());
        }
        let room_id = self.room(child).await?.room_id.clone();
        let content = channel_content(&info, None);
        let content = self.on_behalf_of(actor, "channel.update", None, content)?;
        let event = NewPdu::state(self.rooms.steward()?, "nexus.channel", room_id.as_str(), content);
        self.append(guild, event).await.map(drop)
    }

    /// Roles and nickname end with the membership: who comes back comes back without them. A timeout that
    /// still runs stays, or leaving would end it.
    pub(crate) async fn forget_member(
        &mut self,
        guild: RoomNo,
        user: UserNo,
        user_id: &ruma::UserId,
    ) -> Result<(), RoomsError> {
        use nexus_event_store::Rows as _;
        use nexus_views::rows::{GuildMemberRow, GuildMembers};
        let row = self.tx.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        let timeout_until_ms = row.timeout_until_ms.filter(|until| *until > self.now.0);
        if row == (GuildMemberRow { timeout_until_ms, ..GuildMemberRow::default() }) {
            return Ok(());
        }
        let mut content = serde_json::json!({ "user": user_id, "roles": [] });
        if let Some(until) = timeout_until_ms {
            content["timeout_until_ms"] = until.into();
        }
        let key = crate::guild_state::user_state_key(user_id);
        let event = NewPdu::state(self.rooms.steward()?, "nexus.member", key, object(content));
        self.append(guild, event).await.map(drop)
    }
}
