//! The life of one message: any event a member sends into a room.
//!
//! In a guild's channel the sender's roles are asked first, and a sender who may view the channel but has
//! not joined it joins in the same commit. Then the event takes the one way in ([`Decision::append`]).
//! A repeated idempotency key gives back the event it made the first time.

use nexus_event_store::{
    RoomNo, Rows as _, Scan, UserNo,
    catalogue::{EventPlaces, Events, Transactions},
    codec::Text,
    event_id::EventIdKey,
    rows::{EventPlace, TransactionMark},
};
use nexus_views::{
    ChannelKind, Membership, Permissions,
    polls::{self, Polls},
    rows::Reactions,
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, OwnedRoomId, RoomId, UserId};

use crate::{
    Actor, Appended, Profile, Rooms, RoomsError, Sent, TxnKey,
    content::{relation, string},
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    message_rules::{edit_needs, needs, reaction_needs},
    permission::need,
};

/// The longest idempotency key, in bytes.
pub(crate) const TXN_BYTES: usize = 255;

/// The longest reaction, in bytes.
const REACTION_BYTES: usize = 255;

/// An event to send.
#[derive(Clone, Debug)]
pub struct SendEvent {
    /// Where to.
    pub room: OwnedRoomId,
    /// Its type.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// Makes it happen once.
    pub txn: Option<TxnKey>,
}

impl Rooms {
    /// Sends an event: on disk when this returns.
    ///
    /// # Errors
    /// Refused when the room is unknown, the actor is not in it, or its rules or the actor's roles do not
    /// allow it.
    pub async fn send(&self, actor: &Actor, event: SendEvent) -> Result<Sent, RoomsError> {
        if let Some(sent) = self.membership_by_state(actor, &event).await? {
            return Ok(sent);
        }
        let kind = (event.event_type.as_str(), event.state_key.as_deref());
        if let Some(sent) = self.pins_by_state(actor, &event.room, kind, &event.content).await? {
            return Ok(sent);
        }
        let room = self.known_room(&event.room).await?;
        let profile = Profile::default();
        let mut command = Send { actor, room, event, profile };
        let user = self.inner.views.user_no(&actor.user).await?;
        let joined = match user {
            Some(user) => self.inner.views.membership(room, user).await?,
            None => None,
        };
        if joined.is_none_or(|row| row.membership != Membership::Join) {
            // It may have to join first, and a join shows the profile.
            command.profile = self.inner.profiles.profile(&actor.user).await;
        }
        let (outcome, position) = self.run(&command).await?;
        Ok(match outcome {
            Outcome::New(appended) => appended.sent(position),
            Outcome::Replayed(sent) => sent,
        })
    }
}

impl Rooms {
    /// A membership changed by a plain state event is the command of that name; a member's own changed
    /// profile is a plain event.
    async fn membership_by_state(
        &self,
        actor: &Actor,
        event: &SendEvent,
    ) -> Result<Option<Sent>, RoomsError> {
        let Some(key) = event.state_key.as_deref().filter(|_| event.event_type == "m.room.member") else {
            return Ok(None);
        };
        let reason = string(&event.content, "reason").map(str::to_owned);
        let own = key == actor.user;
        Ok(match string(&event.content, "membership") {
            Some("join") if own && !self.is_joined(actor, &event.room).await? => {
                Some(self.join(actor, &event.room, reason).await?)
            }
            Some("leave") if own => Some(self.leave(actor, &event.room, reason).await?),
            Some("knock") if own => Some(self.knock(actor, &event.room, reason).await?),
            Some(deed @ ("invite" | "leave" | "ban")) => {
                let target = UserId::parse(key).map_err(|error| Rejection::BadField {
                    field: "state_key",
                    problem: error.to_string(),
                })?;
                Some(match deed {
                    "invite" => self.invite(actor, &event.room, &target, reason).await?,
                    "ban" => self.ban(actor, &event.room, &target, reason).await?,
                    _ => self.remove(actor, &event.room, &target, reason).await?,
                })
            }
            _ => None,
        })
    }

    async fn is_joined(&self, actor: &Actor, room: &RoomId) -> Result<bool, RoomsError> {
        let views = &self.inner.views;
        let Some(user) = views.user_no(&actor.user).await? else { return Ok(false) };
        let membership = views.membership(self.known_room(room).await?, user).await?;
        Ok(membership.is_some_and(|row| row.membership == Membership::Join))
    }
}

/// A new event, or the one that the same key made before.
pub(crate) enum Outcome {
    New(Appended),
    Replayed(Sent),
}

/// The row key of an idempotency key: (user, device, scope, id).
type TransactionKey = (UserNo, String, String, Text);

pub(crate) fn transaction_key(
    user: UserNo,
    actor: &Actor,
    key: &TxnKey,
    room: RoomNo,
    event_type: &str,
) -> Result<TransactionKey, RoomsError> {
    for (field, text) in [("transaction id", &key.id), ("device", &actor.device)] {
        if text.is_empty() || text.len() > TXN_BYTES {
            let problem = format!("must have 1 to {TXN_BYTES} bytes");
            return Err(Rejection::BadField { field, problem }.into());
        }
    }
    let scope = format!("{}|{room}|{event_type}", key.scope);
    Ok((user, actor.device.clone(), scope, Text(key.id.clone())))
}

impl Decision<'_> {
    /// The event that `key` made before, if it did.
    pub(crate) async fn replay(&self, key: &TransactionKey) -> Result<Option<Sent>, RoomsError> {
        let Some(place) = self.tx.row::<Transactions>(key).await? else { return Ok(None) };
        let row = self.tx.existing::<Events>(&(place.room, place.event)).await?;
        let event_id =
            OwnedEventId::try_from(row.event_id).map_err(|error| RoomsError::Internal(error.to_string()))?;
        let (snowflake, position) = (row.snowflake, row.position);
        Ok(Some(Sent { event_id, place, snowflake, position, replayed: true }))
    }
}

struct Send<'a> {
    actor: &'a Actor,
    room: RoomNo,
    event: SendEvent,
    profile: Profile,
}

impl Decide for Send<'_> {
    type Output = Outcome;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Outcome, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let key = match &self.event.txn {
            Some(txn) => Some(transaction_key(user, self.actor, txn, self.room, &self.event.event_type)?),
            None => None,
        };
        if let Some(key) = &key
            && let Some(sent) = decision.replay(key).await?
        {
            return Ok(Outcome::Replayed(sent));
        }
        self.admit(decision, user).await?;
        if self.event.event_type == "m.reaction" {
            self.check_reaction(decision, user).await?;
        }
        if let Some(key) = &self.event.state_key {
            decision.check_state(self.room, &self.event.event_type, key, &self.event.content).await?;
        }
        let transaction = self.event.txn.as_ref().map(|txn| TransactionMark {
            user,
            device: self.actor.device.clone(),
            id: txn.id.clone(),
        });
        let event = NewPdu {
            sender: self.actor.user.clone(),
            event_type: self.event.event_type.clone(),
            state_key: self.event.state_key.clone(),
            content: self.event.content.clone(),
            redacts: None,
            transaction,
        };
        let appended = decision.append(self.room, event).await?;
        if let Some(key) = &key {
            let place = EventPlace { room: appended.room, event: appended.no };
            decision.tx.put::<Transactions>(key, &place);
        }
        Ok(Outcome::New(appended))
    }
}

impl Send<'_> {
    /// Whether the sender may send here; joins a guild's channel that the sender may view.
    async fn admit(&self, decision: &mut Decision<'_>, user: UserNo) -> Result<(), RoomsError> {
        let membership = decision.reader().membership(self.room, user).await?.map(|row| row.membership);
        let info = decision.reader().info(self.room).await?;
        if let Some(guild) = info.guild {
            let thread = match self.event.state_key {
                None => decision.thread_of_new(self.room, &self.event.content).await?,
                Some(_) => None,
            };
            let place = (self.room, info.kind);
            let held = decision.permissions_in(guild, place, thread.is_some(), user).await?;
            need(held, Permissions::VIEW_CHANNEL)?;
            if self.event.state_key.is_none() {
                let is_message =
                    self.need_to_write(decision, (user, held), info.kind, thread.is_some()).await?;
                if is_message && thread.is_none() {
                    decision.pass_slow_mode(self.room, &info, user, held).await?;
                }
            }
            if membership != Some(Membership::Join) {
                decision.join_channel(self.room, &self.actor.user, &self.profile).await?;
            }
            if let Some(root) = thread {
                decision.open_thread(self.actor, self.room, &root, (user, held)).await?;
            }
            return Ok(());
        }
        match membership {
            Some(Membership::Join) => Ok(()),
            Some(Membership::Ban) => Err(Rejection::Banned.into()),
            _ => Err(Rejection::NotMember.into()),
        }
    }

    /// Refuses what the sender's roles do not allow for an event of this kind; tells whether it makes a message:
    /// reactions, votes and edits are not held up by slow mode.
    async fn need_to_write(
        &self,
        decision: &Decision<'_>,
        (user, held): (UserNo, Permissions),
        channel: ChannelKind,
        in_thread: bool,
    ) -> Result<bool, RoomsError> {
        let kind = self.event.event_type.as_str();
        if channel == ChannelKind::Category {
            return Err(Rejection::NotTextChannel.into());
        }
        if kind == "m.reaction" {
            need(held, self.reaction_needs(decision).await?)?;
            return Ok(false);
        }
        if polls::is_response(kind) {
            need(held, Permissions::READ_MESSAGE_HISTORY)?;
            return Ok(false);
        }
        if polls::is_end(kind) {
            self.need_own_poll(decision, user).await?;
            return Ok(false);
        }
        if let Some(before) = self.edited(decision).await? {
            need(held, edit_needs(&self.event.content, &before))?;
            return Ok(false);
        }
        if channel == ChannelKind::Forum && !in_thread {
            return Err(Rejection::NotTextChannel.into());
        }
        need(held, needs(kind, &self.event.content, in_thread))?;
        Ok(true)
    }

    /// A poll is ended by who asked.
    async fn need_own_poll(&self, decision: &Decision<'_>, user: UserNo) -> Result<(), RoomsError> {
        let place = match relation(&self.event.content) {
            Some((_, poll)) => decision.tx.row::<EventPlaces>(&EventIdKey::from(poll)).await?,
            None => None,
        };
        let place = place.filter(|place| place.room == self.room).ok_or(Rejection::UnknownEvent)?;
        let poll =
            decision.tx.row::<Polls>(&(place.room, place.event)).await?.ok_or(Rejection::UnknownEvent)?;
        if poll.author == user { Ok(()) } else { Err(RoomsError::forbidden("only who asked ends a poll")) }
    }

    /// The content of the message that this edits, one of the sender's own; anything else that claims to be an
    /// edit is a message like others.
    async fn edited(&self, decision: &Decision<'_>) -> Result<Option<CanonicalJsonObject>, RoomsError> {
        let Some(("m.replace", target)) = relation(&self.event.content) else { return Ok(None) };
        let Ok(target) = EventId::parse(target) else { return Ok(None) };
        let target = decision.reader().event_by_id(&target).await?.filter(|target| {
            target.room == self.room
                && target.snowflake.is_some()
                && target.redacted_by.is_none()
                && target.pdu.sender() == self.actor.user
                && target.pdu.event_type() == self.event.event_type
        });
        Ok(target.map(|target| target.pdu.content_as().unwrap_or_default()))
    }

    /// What this reaction needs: with an emoji that is there already everyone may join in.
    async fn reaction_needs(&self, decision: &Decision<'_>) -> Result<Permissions, RoomsError> {
        let relates = self.event.content.get("m.relates_to").and_then(CanonicalJsonValue::as_object);
        let text = |field: &str| relates.and_then(|relates| string(relates, field)).unwrap_or_default();
        let emoji = text("key");
        let place = decision.tx.row::<EventPlaces>(&EventIdKey::from(text("event_id"))).await?;
        let is_first = match place {
            Some(place) => {
                let same = Scan::prefix::<Reactions>(&(self.room, place.event, emoji.to_owned())).limit(1);
                decision.tx.scan::<Reactions>(same).await?.is_empty()
            }
            None => true,
        };
        Ok(reaction_needs(emoji, is_first))
    }

    /// One user reacts to one event with one emoji once.
    async fn check_reaction(&self, decision: &Decision<'_>, user: UserNo) -> Result<(), RoomsError> {
        let Some((_, target)) = relation(&self.event.content) else { return Ok(()) };
        let relates = self.event.content.get("m.relates_to").and_then(CanonicalJsonValue::as_object);
        let key = relates.and_then(|relates| string(relates, "key")).unwrap_or_default();
        if key.is_empty() || key.len() > REACTION_BYTES {
            let problem = format!("must have 1 to {REACTION_BYTES} bytes");
            return Err(Rejection::BadField { field: "key", problem }.into());
        }
        let place = decision.tx.row::<EventPlaces>(&EventIdKey::from(target)).await?;
        let Some(place) = place.filter(|place| place.room == self.room) else {
            return Err(Rejection::UnknownEvent.into());
        };
        let row = decision.tx.row::<Reactions>(&(self.room, place.event, key.to_owned(), user)).await?;
        if row.is_some() { Err(Rejection::DuplicateReaction.into()) } else { Ok(()) }
    }
}
