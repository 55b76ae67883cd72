//! How far a user has read: a primary record, told to others if it is public.

use nexus_event_store::{Position, RoomNo, Rows as _, feed::Topic, rows::EventPlace};
use nexus_views::{
    Membership, Permissions,
    unread::{PRIVATE, PUBLIC, ReceiptOrder, ReceiptRow, ReceiptThread, Receipts},
};

use crate::{
    Actor, Rooms, RoomsError,
    decision::{Decide, Decision},
    error::Rejection,
    permission::need,
};

/// Who hears of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// `m.read`: everyone in the room.
    Public,
    /// `m.read.private`: one's own devices.
    Private,
}

/// A receipt to write.
#[derive(Clone, Copy, Debug)]
pub struct MarkRead {
    /// The newest event that was read.
    pub event: EventPlace,
    /// What it is for.
    pub thread: ReceiptThread,
    /// Who hears of it.
    pub kind: ReceiptKind,
    /// Whether it may go back: somebody marks something as unread.
    pub may_go_back: bool,
}

impl Rooms {
    /// Notes how far the actor has read; tells whether that is news.
    ///
    /// # Errors
    /// Refused when the actor is not in the room, or may not view the channel.
    pub async fn mark_read(&self, actor: &Actor, mark: MarkRead) -> Result<bool, RoomsError> {
        Ok(self.run(&Mark { actor, mark }).await?.0)
    }
}

struct Mark<'a> {
    actor: &'a Actor,
    mark: MarkRead,
}

impl Decide for Mark<'_> {
    type Output = bool;

    /// It appends nothing, so it need not wait for who does.
    fn rooms(&self) -> Vec<RoomNo> {
        Vec::new()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<bool, RoomsError> {
        let MarkRead { event: EventPlace { room, event }, thread, kind, may_go_back } = self.mark;
        let user = decision.actor_no(&self.actor.user).await?;
        let membership = decision.reader().membership(room, user).await?;
        if membership.is_none_or(|row| row.membership != Membership::Join) {
            let guild = decision.reader().info(room).await?.guild.ok_or(Rejection::NotMember)?;
            need(decision.permissions(guild, Some(room), user).await?, Permissions::VIEW_CHANNEL)?;
        }
        let kind = match kind {
            ReceiptKind::Public => PUBLIC,
            ReceiptKind::Private => PRIVATE,
        };
        let key = (room, user, thread.number(), kind);
        let before = decision.tx.row::<Receipts>(&key).await?;
        if let Some(before) = before {
            if before.event == event || (before.event > event && !may_go_back) {
                return Ok(false);
            }
            decision.tx.delete::<ReceiptOrder>(&(room, before.position, user, kind));
        }
        let row = ReceiptRow { event, at_ms: decision.now.0, position: Position::START };
        decision.tx.put_positioned::<Receipts>(&key, row, |row, position| row.position = position);
        let news = std::sync::Arc::clone(decision.rooms.inner.views.receipt_news());
        decision.tx.put_at::<ReceiptOrder>(move |position| {
            news.note(room, position);
            ((room, position, user, kind), thread.number())
        });
        decision.tx.announce(Topic::User(user));
        if kind == PUBLIC {
            decision.tx.announce(Topic::Room(room));
        }
        Ok(true)
    }
}
