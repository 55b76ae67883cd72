//! What a section tells of reading: `m.receipt` events and how much one has not read.

use std::collections::BTreeMap;

use nexus_event_store::{Position, RoomNo, rows::EventPlace};
use nexus_views::{
    ViewError,
    unread::{PRIVATE, ReceiptThread, Unread},
};
use serde_json::{Value, json};

use super::{Client, Moment};
use crate::json_out::ObjectWriter;

impl Client<'_> {
    /// Whether somebody may have read further in a room since the client was last told.
    pub(super) async fn receipts_are_news(&self, room: RoomNo) -> Result<bool, ViewError> {
        let since = self.since.map_or(Position::START, |since| since.position);
        self.views.has_receipts_since(room, since).await
    }
}

/// The `m.receipt` event of what came since the client was last told, if anything did.
pub(super) async fn event(
    client: &Client<'_>,
    moment: &Moment,
    room: RoomNo,
    since: Option<Position>,
) -> Result<Option<String>, ViewError> {
    if !client.filter.room.ephemeral.admits_type("m.receipt") {
        return Ok(None);
    }
    let views = client.views;
    let since = since.unwrap_or(Position::START);
    let mut content: BTreeMap<String, Value> = BTreeMap::new();
    for receipt in views.receipts(room, since, moment.token.position).await? {
        if receipt.kind == PRIVATE && receipt.user != client.viewer.user {
            continue;
        }
        let kind = if receipt.kind == PRIVATE { "m.read.private" } else { "m.read" };
        let event = views.event(EventPlace { room, event: receipt.event }).await?;
        let mut said = json!({ "ts": receipt.at_ms });
        match receipt.thread {
            ReceiptThread::Whole => {}
            ReceiptThread::Main => said["thread_id"] = "main".into(),
            ReceiptThread::Of(root) => {
                let root = views.event(EventPlace { room, event: root }).await?;
                said["thread_id"] = root.pdu.event_id().as_str().into();
            }
        }
        let user = views.user_id(receipt.user).await?;
        let entry = content.entry(event.pdu.event_id().to_string()).or_insert_with(|| json!({}));
        entry[kind][user.as_str()] = said;
    }
    Ok((!content.is_empty()).then(|| json!({ "type": "m.receipt", "content": content }).to_string()))
}

/// Writes how much the user has not read.
pub(super) async fn unread_fields(
    client: &Client<'_>,
    room: RoomNo,
    section: &mut ObjectWriter<'_>,
) -> Result<(), ViewError> {
    let (views, user) = (client.views, client.viewer.user);
    let markers = views.markers(room, user).await?;
    let mut main = views.unread(room, user, None, &markers).await?;
    let threads = views.unread_threads(room, user, &markers).await?;
    let apart = client.filter.room.timeline.unread_thread_notifications;
    if !apart {
        for (_, thread) in &threads {
            main.messages += thread.messages;
            main.mentions += thread.mentions;
        }
    }
    write(section.object("unread_notifications"), main);
    if apart {
        let mut field = section.object("unread_thread_notifications");
        for (root, unread) in threads {
            let root = views.event(EventPlace { room, event: root }).await?;
            write(field.object(root.pdu.event_id().as_str()), unread);
        }
        field.end();
    }
    Ok(())
}

fn write(mut object: ObjectWriter<'_>, unread: Unread) {
    object.number("notification_count", unread.messages as u64);
    object.number("highlight_count", unread.mentions as u64);
    object.end();
}
