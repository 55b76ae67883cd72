//! Tags that a user puts on rooms: one piece of account data a room, changed tag by tag.
//!
//! **Shapes**: `m.tag`, `{"tags": {"u.name": {…}}}`.
//! **Bounds**: a tag has at most [`TAG_BYTES_MAX`] bytes, all of a room's tags what account data may have.

use nexus_event_store::{Rows, UserNo, codec::Text, feed::Topic};
use ruma::RoomId;
use serde_json::{Map, Value};

use crate::{
    AccountError, Accounts,
    account_data::check_content,
    decide::Decision,
    tables::{AccountData, DatumRow},
};

/// The longest tag.
const TAG_BYTES_MAX: usize = 255;

impl Accounts {
    /// The tags that `user` has put on `room`.
    ///
    /// # Errors
    /// The store's.
    pub async fn tags(&self, user: UserNo, room: &RoomId) -> Result<Map<String, Value>, AccountError> {
        let datum = self.account_data(user, Some(room), "m.tag").await?;
        Ok(datum.map(|content| read(&content)).unwrap_or_default())
    }

    /// Puts a tag on a room, or with `None` takes it off.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`]; the store's.
    pub async fn set_tag(
        &self,
        user: UserNo,
        room: &RoomId,
        tag: &str,
        content: Option<Value>,
    ) -> Result<(), AccountError> {
        if tag.len() > TAG_BYTES_MAX {
            return Err(AccountError::FieldTooLong { field: "tag", bytes_max: TAG_BYTES_MAX });
        }
        let (key, content) = (&(user, room.to_string(), Text::from("m.tag")), &content);
        self.decide(|tx| async move {
            let row = tx.row::<AccountData>(key).await?;
            let mut tags = row.map(|row| read(&row.content)).unwrap_or_default();
            let before = match content {
                Some(content) => tags.insert(tag.to_owned(), content.clone()),
                None => tags.remove(tag),
            };
            if before == *content {
                return Ok(Decision::Nothing(()));
            }
            let text = Value::Object(Map::from_iter([("tags".to_owned(), Value::Object(tags))])).to_string();
            check_content(&text)?;
            let key = key.clone();
            tx.put_at::<AccountData>(move |position| (key, DatumRow { position, content: text }));
            tx.announce(Topic::User(user));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}

/// Clients may have written anything there.
fn read(content: &str) -> Map<String, Value> {
    match serde_json::from_str::<Value>(content).map(|mut content| content["tags"].take()) {
        Ok(Value::Object(tags)) => tags,
        _ => Map::new(),
    }
}
