//! From a message as a client sends it to the content of an event.
//!
//! **Shapes**: `m.room.message` content with a readable `body`, `m.mentions`, and under `nexus.*` what only
//! this API shows: `nexus.source` (Markdown with global mentions, when it differs from the body),
//! `nexus.embeds`, `nexus.components`, `nexus.flags`. An edit is an `m.replace` whose `m.new_content` has
//! the same form.

use std::collections::BTreeMap;

use nexus_event_store::{
    Snowflake, UserNo,
    rows::{EventPlace, SnowflakeRow},
};
use nexus_rooms::TxnKey;
use nexus_views::{Channel, Message, Permissions, Thread};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Map, Value, json};

use crate::{
    attachment::{self, Attachment},
    error::ApiError,
    message_content::content_of,
    message_form::{AllowedMentions, MessageForm},
    objects::Objects,
    text::{self, Named, Piece, without_reply_fallback},
};

/// Starts the idempotency key of a nonce, so that it can be told from a Matrix transaction id.
const NONCE: &str = "nexus-nonce-";

/// What a message says, in this API's terms.
struct Said<'a> {
    content: &'a str,
    embeds: Vec<Value>,
    components: Vec<Value>,
    attachments: Vec<Attachment>,
    flags: u64,
    is_reply: bool,
    /// User ids to ping.
    pinged: Vec<String>,
    pings_everyone: bool,
}

impl Objects {
    /// The content of a new message with its files; `answered` is what it replies to.
    pub(crate) async fn compose(
        &self,
        channel: &Channel,
        author: UserNo,
        form: &MessageForm,
        attachments: Vec<Attachment>,
        answered: Option<&Message>,
    ) -> Result<CanonicalJsonObject, ApiError> {
        let content = form.content.as_deref().unwrap_or_default();
        let mut pinged = self.pinged(content, &form.allowed_mentions).await?;
        if let Some(answered) = answered.filter(|answered| answered.author != author)
            && form.allowed_mentions.replied_user
        {
            let answered = self.views.user_id(answered.author).await?.to_string();
            if !pinged.contains(&answered) {
                pinged.push(answered);
            }
        }
        let said = Said {
            content,
            embeds: form.embeds.clone().unwrap_or_default(),
            components: form.components.clone().unwrap_or_default(),
            attachments,
            flags: form.flags.unwrap_or(0),
            is_reply: answered.is_some(),
            pinged,
            pings_everyone: self.pings_everyone(channel, author, content, &form.allowed_mentions).await?,
        };
        let is_bare = said.content.trim().is_empty()
            && said.embeds.is_empty()
            && said.components.is_empty()
            && said.attachments.is_empty();
        let mut object = match &form.poll {
            // The poll is what there is to read.
            Some(_) if is_bare => Map::from_iter([("m.mentions".to_owned(), json!({}))]),
            _ => self.content(channel, said).await?,
        };
        if let Some(poll) = &form.poll {
            poll.write(&mut object, self.views.store().world().now().0);
        }
        if let Some(answered) = answered {
            let target = json!({ "m.in_reply_to": { "event_id": answered.event.pdu.event_id() } });
            object.insert("m.relates_to".to_owned(), target);
        }
        if let Some(thread) = &channel.thread {
            let relates = self.thread_relation(channel, thread, answered).await?;
            object.insert("m.relates_to".to_owned(), relates);
        }
        canonical(object)
    }

    /// `m.thread`, with an answer to the newest message for clients that know no threads.
    async fn thread_relation(
        &self,
        channel: &Channel,
        thread: &Thread,
        answered: Option<&Message>,
    ) -> Result<Value, ApiError> {
        let root = EventPlace { room: channel.room, event: thread.root };
        let root_id = self.views.event(root).await?.pdu.event_id().to_owned();
        let to = match (answered, thread.last_message_id) {
            (Some(answered), _) => answered.event.pdu.event_id().to_owned(),
            (None, Some(newest)) => match self.views.message(channel.room, newest).await? {
                Some(newest) => newest.event.pdu.event_id().to_owned(),
                None => root_id.clone(),
            },
            (None, None) => root_id.clone(),
        };
        Ok(json!({
            "rel_type": "m.thread",
            "event_id": root_id,
            "is_falling_back": answered.is_none(),
            "m.in_reply_to": { "event_id": to },
        }))
    }

    /// The content of an edit of `message`: what `form` does not name stays. `attachments` are all that it has then.
    pub(crate) async fn compose_edit(
        &self,
        channel: &Channel,
        message: &Message,
        form: &MessageForm,
        attachments: Vec<Attachment>,
    ) -> Result<CanonicalJsonObject, ApiError> {
        let before = content_of(&message.event, message.edit.as_deref());
        let (text, pinged, pings_everyone) = match &form.content {
            Some(text) => {
                let allowed = &form.allowed_mentions;
                let everyone = self.pings_everyone(channel, message.author, text, allowed).await?;
                (text.clone(), self.pinged(text, allowed).await?, everyone)
            }
            None => {
                (self.shown_text(&before.source).await?, before.mentions.clone(), before.mentions_everyone)
            }
        };
        let said = Said {
            content: &text,
            embeds: form.embeds.clone().unwrap_or(before.embeds),
            components: form.components.clone().unwrap_or(before.components),
            attachments,
            flags: form.flags.unwrap_or(before.flags),
            is_reply: false,
            pinged,
            pings_everyone,
        };
        let new = self.content(channel, said).await?;
        let mut object = Map::new();
        object.insert("msgtype".to_owned(), new["msgtype"].clone());
        object.insert("body".to_owned(), format!("* {}", new["body"].as_str().unwrap_or_default()).into());
        // An edit pings nobody anew.
        object.insert("m.mentions".to_owned(), json!({}));
        let target = json!({ "rel_type": "m.replace", "event_id": message.event.pdu.event_id() });
        object.insert("m.relates_to".to_owned(), target);
        object.insert("m.new_content".to_owned(), Value::Object(new));
        canonical(object)
    }

    async fn content(&self, channel: &Channel, said: Said<'_>) -> Result<Map<String, Value>, ApiError> {
        let visible = !said.content.trim().is_empty()
            || !said.embeds.is_empty()
            || !said.components.is_empty()
            || !said.attachments.is_empty();
        if !visible {
            return Err(ApiError::EmptyMessage);
        }
        let (users, channels) = self.named(channel, said.content).await?;
        let stored = text::store(said.content, |id| users.get(&id).cloned(), |id| channels.get(&id).cloned());
        let body = match stored.body {
            text if !text.trim().is_empty() => text,
            _ if !said.attachments.is_empty() => String::new(),
            _ => readable(&said.embeds),
        };
        // A body that readers would shorten must not be taken for the source.
        let shortened = said.is_reply && without_reply_fallback(&body) != body;
        let mut object = Map::new();
        object.insert("msgtype".to_owned(), "m.text".into());
        if stored.source != body || shortened || !said.attachments.is_empty() {
            object.insert("nexus.source".to_owned(), stored.source.into());
        }
        object.insert("body".to_owned(), body.into());
        attachment::write(&mut object, &said.attachments);
        if let Some(html) = stored.formatted {
            object.insert("format".to_owned(), "org.matrix.custom.html".into());
            object.insert("formatted_body".to_owned(), html.into());
        }
        let mut mentions = Map::new();
        if !said.pinged.is_empty() {
            mentions.insert("user_ids".to_owned(), said.pinged.into());
        }
        if said.pings_everyone {
            mentions.insert("room".to_owned(), true.into());
        }
        object.insert("m.mentions".to_owned(), Value::Object(mentions));
        for (field, values) in [("nexus.embeds", said.embeds), ("nexus.components", said.components)] {
            if !values.is_empty() {
                object.insert(field.to_owned(), Value::Array(values));
            }
        }
        if said.flags != 0 {
            object.insert("nexus.flags".to_owned(), said.flags.into());
        }
        Ok(object)
    }

    /// What the mentions in `content` stand for.
    async fn named(
        &self,
        channel: &Channel,
        content: &str,
    ) -> Result<(BTreeMap<Snowflake, Named>, BTreeMap<Snowflake, Named>), ApiError> {
        let (mut users, mut channels) = (BTreeMap::new(), BTreeMap::new());
        for piece in text::scan(content) {
            match piece {
                Piece::User(id, _) => {
                    if let Some(SnowflakeRow::User(user)) = self.views.lookup(id).await? {
                        users.insert(id, self.named_user(channel, user).await?);
                    }
                }
                Piece::Channel(id) => {
                    if let Some(room) = self.room_of(id).await? {
                        let name = self.views.info(room).await?.name.unwrap_or_default();
                        channels.insert(id, Named { id: self.views.room_id(room).await?.to_string(), name });
                    }
                }
                Piece::Text(_) => {}
            }
        }
        Ok((users, channels))
    }

    async fn named_user(&self, channel: &Channel, user: UserNo) -> Result<Named, ApiError> {
        let nick = self.views.guild_member(channel.guild, user).await?.and_then(|member| member.nick);
        let card = self.card(user, Some(channel.guild)).await?;
        let name = nick.or(card.display_name).unwrap_or_else(|| card.user_id.localpart().to_owned());
        Ok(Named { id: card.user_id.to_string(), name })
    }

    /// The user ids that `content` mentions and may ping.
    async fn pinged(&self, content: &str, allowed: &AllowedMentions) -> Result<Vec<String>, ApiError> {
        let mut pinged = Vec::new();
        for piece in text::scan(content) {
            let Piece::User(id, _) = piece else { continue };
            if !allowed.pings(id) {
                continue;
            }
            if let Some(SnowflakeRow::User(user)) = self.views.lookup(id).await? {
                let user = self.views.user_id(user).await?.to_string();
                if !pinged.contains(&user) {
                    pinged.push(user);
                }
            }
        }
        Ok(pinged)
    }

    async fn pings_everyone(
        &self,
        channel: &Channel,
        author: UserNo,
        content: &str,
        allowed: &AllowedMentions,
    ) -> Result<bool, ApiError> {
        let said = content.contains("@everyone") || content.contains("@here");
        if !said || !allowed.everyone {
            return Ok(false);
        }
        let held = self.views.permissions(channel.guild, Some(channel.room), author).await?;
        Ok(held.contains(Permissions::MENTION_EVERYONE))
    }
}

/// The idempotency key of a nonce. One that is not enforced still comes back to the author's sessions, so it
/// is kept under a key that nothing else has.
pub(crate) fn nonce_key(nonce: &Value, enforce: bool, unique: u64) -> TxnKey {
    let (kind, text) = match nonce {
        Value::String(text) => ("s", text.clone()),
        other => ("i", other.to_string()),
    };
    if enforce {
        TxnKey { scope: "nonce".to_owned(), id: format!("{NONCE}{kind}:{text}") }
    } else {
        TxnKey { scope: "echo".to_owned(), id: format!("{NONCE}{kind}:{text}\n{unique:016x}") }
    }
}

/// The nonce of an idempotency key.
pub(crate) fn nonce_of(transaction_id: &str) -> Option<Value> {
    let (kind, text) = transaction_id.strip_prefix(NONCE)?.split_once(':')?;
    let text = text.split_once('\n').map_or(text, |(text, _)| text);
    if kind == "i" { serde_json::from_str(text).ok() } else { Some(text.into()) }
}

/// What Matrix clients read of a message that is only embeds.
fn readable(embeds: &[Value]) -> String {
    let mut lines = Vec::new();
    for embed in embeds {
        let fields = embed["fields"].as_array().into_iter().flatten();
        let inside = fields.flat_map(|field| [&field["name"], &field["value"]]);
        let parts = [&embed["title"], &embed["description"]].into_iter().chain(inside);
        lines.extend(parts.filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned));
    }
    if lines.is_empty() { "(no text)".to_owned() } else { lines.join("\n") }
}

fn canonical(object: Map<String, Value>) -> Result<CanonicalJsonObject, ApiError> {
    match CanonicalJsonValue::try_from(Value::Object(object)) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        // Numbers were checked when the body was read.
        _ => Err(ApiError::NotJson),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_come_back_as_they_were() {
        for nonce in [json!("abc:d"), json!(""), json!(123), json!("123"), json!(u64::MAX)] {
            for enforce in [true, false] {
                assert_eq!(nonce_of(&nonce_key(&nonce, enforce, 7).id), Some(nonce.clone()), "{nonce}");
            }
        }
        assert_eq!(nonce_of("m1234.5"), None);
        let enforced = |nonce| nonce_key(&nonce, true, 1);
        assert_ne!(enforced(json!("1")), enforced(json!(1)));
        assert_ne!(nonce_key(&json!("1"), false, 1), nonce_key(&json!("1"), false, 2));
    }

    #[test]
    fn embeds_are_readable() {
        let embeds =
            [json!({ "title": "T", "fields": [{ "name": "n", "value": "v" }] }), json!({ "image": {} })];
        assert_eq!(readable(&embeds), "T\nn\nv");
        assert_eq!(readable(&[]), "(no text)");
    }
}
