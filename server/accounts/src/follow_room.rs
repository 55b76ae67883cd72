//! What a user keeps about a room goes over to the room that replaces it.
//!
//! Tags are copied unless the new room has some, and the new room is a direct chat with whom the old one was
//! one. Doing it again changes nothing.
//!
//! **Source**: Matrix v1.19, client-server API, "Room upgrades", server behaviour.

use nexus_event_store::{Rows, UserNo, codec::Text, feed::Topic};
use ruma::RoomId;
use serde_json::Value;

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{AccountData, DatumRow},
};

impl Accounts {
    /// Takes over what `user` keeps about `from` for its successor `to`.
    ///
    /// # Errors
    /// The store's.
    pub async fn follow_to_room(&self, user: UserNo, from: &RoomId, to: &RoomId) -> Result<(), AccountError> {
        let tags = |room: &RoomId| (user, room.to_string(), Text::from("m.tag"));
        let direct = (user, String::new(), Text::from("m.direct"));
        let (old, new, direct) = (&tags(from), &tags(to), &direct);
        self.decide(|tx| async move {
            let mut changes = Vec::new();
            if let Some(row) = tx.row::<AccountData>(old).await?
                && tx.row::<AccountData>(new).await?.is_none()
            {
                changes.push((new.clone(), row.content));
            }
            if let Some(row) = tx.row::<AccountData>(direct).await?
                && let Some(content) = direct_with(&row.content, from, to)
            {
                changes.push((direct.clone(), content));
            }
            if changes.is_empty() {
                return Ok(Decision::Nothing(()));
            }
            for (key, content) in changes {
                tx.put_at::<AccountData>(move |position| (key, DatumRow { position, content }));
            }
            tx.announce(Topic::User(user));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}

/// `m.direct` with `to` beside `from`; `None` when nothing changes.
fn direct_with(content: &str, from: &RoomId, to: &RoomId) -> Option<String> {
    let mut content: Value = serde_json::from_str(content).ok()?;
    let mut changed = false;
    for (_, rooms) in content.as_object_mut()? {
        let Some(rooms) = rooms.as_array_mut() else { continue };
        let has = |room: &RoomId| rooms.iter().any(|other| other == room.as_str());
        if has(from) && !has(to) {
            rooms.push(Value::from(to.as_str()));
            changed = true;
        }
    }
    changed.then(|| content.to_string())
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::direct_with;

    #[test]
    fn a_direct_chat_stays_one() {
        let (from, to) = (room_id!("!old:a.example"), room_id!("!new:a.example"));
        let before = r#"{"@b:a.example":["!old:a.example"],"@c:a.example":["!x:a.example"],"odd":7}"#;
        let after = direct_with(before, from, to).unwrap();
        assert!(after.contains(r#""@b:a.example":["!old:a.example","!new:a.example"]"#), "{after}");
        assert!(after.contains(r#""@c:a.example":["!x:a.example"]"#), "{after}");
        assert_eq!(direct_with(&after, from, to), None, "once");
        assert_eq!(direct_with("[]", from, to), None);
    }
}
