//! What clients keep on the server for their user: account data, for all rooms or for one, and filters.
//!
//! **Shapes**: contents are JSON objects as text; that they are is the facade's to check.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nexus_event_store::{Position, Rows, Scan, UserNo, codec::Text, feed::Topic};
use ruma::{OwnedRoomId, RoomId};
use sha2::{Digest, Sha256};

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{AccountData, DatumRow, Filters},
};

const EVENT_TYPE_BYTES_MAX: usize = 255;
const CONTENT_BYTES_MAX: usize = 65_536;

/// A piece of account data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDatum {
    /// The room it is about; `None` = all.
    pub room: Option<OwnedRoomId>,
    /// Its type.
    pub event_type: String,
    /// A JSON object.
    pub content: String,
    /// The commit that wrote it.
    pub position: Position,
}

impl Accounts {
    /// The content of one piece of account data.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_data(
        &self,
        user: UserNo,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<Option<String>, AccountError> {
        let row = self.store.row::<AccountData>(&datum_key(user, room, event_type)).await?;
        Ok(row.map(|row| row.content))
    }

    /// All of a user's account data that was written after `since`.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_data_since(
        &self,
        user: UserNo,
        since: Position,
    ) -> Result<Vec<AccountDatum>, AccountError> {
        let rows = self.store.scan::<AccountData>(Scan::prefix::<AccountData>(&user)).await?;
        let newer = rows.into_iter().filter(|(_, row)| row.position > since);
        Ok(newer
            .map(|((_, room, event_type), row)| AccountDatum {
                room: OwnedRoomId::try_from(room).ok(),
                event_type: event_type.0,
                content: row.content,
                position: row.position,
            })
            .collect())
    }

    /// Sets a piece of account data.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`]; the store's.
    pub async fn put_account_data(
        &self,
        user: UserNo,
        room: Option<&RoomId>,
        event_type: &str,
        content: String,
    ) -> Result<(), AccountError> {
        check_length("type", event_type, EVENT_TYPE_BYTES_MAX)?;
        check_length("content", &content, CONTENT_BYTES_MAX)?;
        let (key, content) = (&datum_key(user, room, event_type), &content);
        // Clients repeat themselves; what is durable already need not wake anybody.
        if self.store.row::<AccountData>(key).await?.is_some_and(|row| row.content == *content) {
            return Ok(());
        }
        self.decide(|tx| async move {
            let (key, content) = (key.clone(), content.clone());
            tx.put_at::<AccountData>(move |position| (key, DatumRow { position, content }));
            tx.announce(Topic::User(user));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// Keeps a filter; equal filters have equal ids. The id never starts with `{`.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`]; the store's.
    pub async fn put_filter(&self, user: UserNo, filter: String) -> Result<String, AccountError> {
        check_length("filter", &filter, CONTENT_BYTES_MAX)?;
        let id = BASE64.encode(&Sha256::digest(&filter)[..12]);
        let key = (user, Text(id.clone()));
        if self.store.row::<Filters>(&key).await?.is_some() {
            return Ok(id);
        }
        let (key, filter) = (&key, &filter);
        self.decide(|tx| async move {
            tx.put::<Filters>(key, filter);
            Ok(Decision::commit(tx, ()))
        })
        .await?;
        Ok(id)
    }

    /// A filter kept before.
    ///
    /// # Errors
    /// The store's.
    pub async fn filter(&self, user: UserNo, id: &str) -> Result<Option<String>, AccountError> {
        Ok(self.store.row::<Filters>(&(user, Text::from(id))).await?)
    }
}

fn datum_key(user: UserNo, room: Option<&RoomId>, event_type: &str) -> (UserNo, String, Text) {
    (user, room.map(ToString::to_string).unwrap_or_default(), Text::from(event_type))
}

/// Refuses what is too much for one piece.
pub(crate) fn check_content(content: &str) -> Result<(), AccountError> {
    check_length("content", content, CONTENT_BYTES_MAX)
}

fn check_length(field: &'static str, text: &str, bytes_max: usize) -> Result<(), AccountError> {
    if text.len() > bytes_max { Err(AccountError::FieldTooLong { field, bytes_max }) } else { Ok(()) }
}
