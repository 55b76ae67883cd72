//! Which permissions an event in a channel of a guild needs, by what it is and what is in it.
//!
//! The same for both APIs: what a Matrix client sends is judged as what a Discord client sends. What is
//! encrypted cannot be looked into. **Source**: `discord-api-docs`, "Permissions"; the table in
//! `spec/events.md`.

use nexus_views::{Permissions, polls};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};

use crate::content::string;

/// Discord's message flag of a voice message.
const VOICE_MESSAGE: i64 = 1 << 13;

/// What a new message needs besides VIEW_CHANNEL, in a channel or in a thread of it.
pub(crate) fn needs(event_type: &str, content: &CanonicalJsonObject, in_thread: bool) -> Permissions {
    let base = if in_thread { Permissions::SEND_MESSAGES_IN_THREADS } else { Permissions::SEND_MESSAGES };
    let base = match event_type {
        // Packs of a guild's own there are none yet.
        "m.sticker" => base.with(Permissions::USE_EXTERNAL_STICKERS),
        start if polls::is_start(start) => base.with(Permissions::SEND_POLLS),
        _ => base,
    };
    let mut permissions = base.with(carried(content));
    if mentions_room(content) {
        permissions = permissions.with(Permissions::MENTION_EVERYONE);
    }
    if answers(content) {
        permissions = permissions.with(Permissions::READ_MESSAGE_HISTORY);
    }
    permissions
}

/// What an edit of one's own message needs: what it brings that was not there before.
pub(crate) fn edit_needs(edit: &CanonicalJsonObject, before: &CanonicalJsonObject) -> Permissions {
    let new = edit.get("m.new_content").and_then(CanonicalJsonValue::as_object);
    let brought = new.map_or(Permissions::NONE, |new| carried(new).without(carried(before)));
    let pings = new.is_some_and(|new| mentions_room(new) && !mentions_room(before));
    if pings || mentions_room(edit) { brought.with(Permissions::MENTION_EVERYONE) } else { brought }
}

/// What a reaction needs; `is_first` = nobody has reacted so to the message yet.
pub(crate) fn reaction_needs(emoji: &str, is_first: bool) -> Permissions {
    let mut permissions = Permissions::READ_MESSAGE_HISTORY;
    if is_first {
        permissions = permissions.with(Permissions::ADD_REACTIONS);
    }
    // A picture of the sender's own choice.
    if emoji.starts_with("mxc://") {
        permissions = permissions.with(Permissions::USE_EXTERNAL_EMOJIS);
    }
    permissions
}

/// What the content carries: files, embeds, a voice.
fn carried(content: &CanonicalJsonObject) -> Permissions {
    let has_items = |field: &str| {
        content.get(field).and_then(CanonicalJsonValue::as_array).is_some_and(|items| !items.is_empty())
    };
    let is_file = matches!(string(content, "msgtype"), Some("m.image" | "m.file" | "m.audio" | "m.video"));
    let flags = content.get("nexus.flags").and_then(CanonicalJsonValue::as_integer).map_or(0, i64::from);
    let voices = ["org.matrix.msc3245.voice", "m.voice"];
    let is_voice = voices.iter().any(|field| content.contains_key(*field)) || flags & VOICE_MESSAGE != 0;
    [
        (is_file || has_items("nexus.attachments"), Permissions::ATTACH_FILES),
        (is_voice, Permissions::SEND_VOICE_MESSAGES),
        (has_items("nexus.embeds"), Permissions::EMBED_LINKS),
        (content.get("nexus.tts") == Some(&CanonicalJsonValue::Bool(true)), Permissions::SEND_TTS_MESSAGES),
    ]
    .into_iter()
    .filter_map(|(is_there, permission)| is_there.then_some(permission))
    .fold(Permissions::NONE, Permissions::with)
}

/// Whether it pings everyone in the room.
fn mentions_room(content: &CanonicalJsonObject) -> bool {
    let mentions = content.get("m.mentions").and_then(CanonicalJsonValue::as_object);
    mentions.and_then(|mentions| mentions.get("room")) == Some(&CanonicalJsonValue::Bool(true))
}

/// Whether it is a reply; in a thread most name the message before them only for clients without threads.
fn answers(content: &CanonicalJsonObject) -> bool {
    let Some(relates) = content.get("m.relates_to").and_then(CanonicalJsonValue::as_object) else {
        return false;
    };
    relates.contains_key("m.in_reply_to")
        && relates.get("is_falling_back") != Some(&CanonicalJsonValue::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::content::object;

    #[track_caller]
    fn check(event_type: &str, content: Value, expected: &str) {
        let needs = needs(event_type, &object(content.clone()), false);
        assert_eq!(needs.to_string(), expected, "{event_type} {content}");
    }

    #[test]
    fn what_is_in_a_message_asks_for_more() {
        let text = "m.room.message";
        check(text, json!({ "body": "hi" }), "SEND_MESSAGES");
        check(text, json!({ "msgtype": "m.image" }), "SEND_MESSAGES, ATTACH_FILES");
        check(text, json!({ "nexus.attachments": [{}] }), "SEND_MESSAGES, ATTACH_FILES");
        check(text, json!({ "nexus.embeds": [{}] }), "SEND_MESSAGES, EMBED_LINKS");
        check(text, json!({ "nexus.embeds": [], "nexus.tts": false }), "SEND_MESSAGES");
        check(text, json!({ "nexus.tts": true }), "SEND_MESSAGES, SEND_TTS_MESSAGES");
        check(text, json!({ "m.mentions": { "room": true } }), "SEND_MESSAGES, MENTION_EVERYONE");
        check(text, json!({ "m.mentions": { "room": "true" } }), "SEND_MESSAGES");
        let voice = json!({ "msgtype": "m.audio", "org.matrix.msc3245.voice": {} });
        check(text, voice, "SEND_MESSAGES, ATTACH_FILES, SEND_VOICE_MESSAGES");
        let reply = json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } } });
        check(text, reply, "SEND_MESSAGES, READ_MESSAGE_HISTORY");
        let thread = json!({ "rel_type": "m.thread", "event_id": "$r", "is_falling_back": true,
            "m.in_reply_to": { "event_id": "$x" } });
        check(text, json!({ "m.relates_to": thread }), "SEND_MESSAGES");
        let in_thread = needs("m.sticker", &object(json!({})), true).to_string();
        assert_eq!(in_thread, "USE_EXTERNAL_STICKERS, SEND_MESSAGES_IN_THREADS");
        check("m.sticker", json!({}), "SEND_MESSAGES, USE_EXTERNAL_STICKERS");
        check("m.poll.start", json!({}), "SEND_MESSAGES, SEND_POLLS");
        check("m.room.encrypted", json!({}), "SEND_MESSAGES");
    }

    #[test]
    fn an_edit_asks_for_what_it_brings() {
        let check = |edit: Value, before: Value, expected: &str| {
            assert_eq!(edit_needs(&object(edit), &object(before)).to_string(), expected);
        };
        let pings = || json!({ "m.mentions": { "room": true } });
        check(json!({ "m.new_content": { "body": "x" } }), json!({}), "");
        check(json!({ "m.new_content": { "nexus.embeds": [1] } }), json!({}), "EMBED_LINKS");
        check(json!({ "m.new_content": { "nexus.embeds": [1] } }), json!({ "nexus.embeds": [2] }), "");
        check(json!({ "m.new_content": pings() }), json!({}), "MENTION_EVERYONE");
        check(json!({ "m.new_content": pings() }), pings(), "");
        check(pings(), pings(), "MENTION_EVERYONE");
    }

    #[test]
    fn reactions_ask_more_of_the_first() {
        assert_eq!(reaction_needs("👍", false).to_string(), "READ_MESSAGE_HISTORY");
        assert_eq!(reaction_needs("👍", true).to_string(), "ADD_REACTIONS, READ_MESSAGE_HISTORY");
        let own = reaction_needs("mxc://a/b", false).to_string();
        assert_eq!(own, "READ_MESSAGE_HISTORY, USE_EXTERNAL_EMOJIS");
    }
}
