//! What is in a message event: the content as it stands, whichever client wrote it.
//!
//! **Shapes**: an `m.room.message` (or sticker, poll, encrypted event) and its newest edit in, the fields
//! that a message object shows out. Content is foreign: a field of the wrong type reads as absent.
//! **Source**: Matrix v1.19, "m.room.message", "Event replacements", "Rich replies"; `nexus.*` fields are
//! described in `spec/`.

use nexus_views::Event;
use serde_json::Value;

use crate::{
    attachment::{self, Attachment},
    text::without_reply_fallback,
};

/// The content of a message as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    /// Markdown with global mentions.
    pub(crate) source: String,
    /// User ids that are pinged.
    pub(crate) mentions: Vec<String>,
    /// Whether everyone is pinged.
    pub(crate) mentions_everyone: bool,
    /// The event this answers.
    pub(crate) reply_to: Option<String>,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) attachments: Vec<Attachment>,
    /// Discord's message flags.
    pub(crate) flags: u64,
    /// Whether it does no more than begin a thread.
    pub(crate) starts_thread: bool,
    /// Role ids that are pinged.
    pub(crate) mention_roles: Vec<String>,
}

/// A message or sticker that nobody can read here says so by being empty.
const NO_TEXT: [&str; 1] = ["m.room.encrypted"];

/// The content of `event` after its newest `edit`.
pub(crate) fn content_of(event: &Event, edit: Option<&Event>) -> Content {
    let original: Value = event.pdu.content_as().unwrap_or(Value::Null);
    let edited: Option<Value> = edit
        .and_then(|edit| edit.pdu.content_as::<Value>().ok())
        .map(|mut content| content["m.new_content"].take())
        .filter(Value::is_object);
    if NO_TEXT.contains(&event.pdu.event_type()) {
        return Content { reply_to: reply_to(&original), ..Content::default() };
    }
    parse(&original, edited.as_ref())
}

fn parse(original: &Value, edited: Option<&Value>) -> Content {
    let reply_to = reply_to(original);
    let current = edited.unwrap_or(original);
    let mentions = &current["m.mentions"];
    Content {
        source: source(current, reply_to.is_some() && edited.is_none()),
        mentions: strings(&mentions["user_ids"]),
        mentions_everyone: mentions["room"].as_bool().unwrap_or(false),
        reply_to,
        embeds: list(&current["nexus.embeds"]),
        components: list(&current["nexus.components"]),
        attachments: attachment::read(current),
        flags: current["nexus.flags"].as_u64().unwrap_or(0),
        starts_thread: original["nexus.thread_start"].as_bool().unwrap_or(false),
        mention_roles: strings(&current["nexus.mention_roles"]),
    }
}

fn source(content: &Value, may_quote: bool) -> String {
    if let Some(source) = content["nexus.source"].as_str() {
        return source.to_owned();
    }
    if attachment::is_only_a_name(content) {
        return String::new();
    }
    let body = content["body"].as_str().unwrap_or_default();
    let body = if may_quote { without_reply_fallback(body) } else { body };
    match content["msgtype"].as_str() {
        // Discord's own way of writing an action.
        Some("m.emote") => format!("_{body}_"),
        _ => body.to_owned(),
    }
}

/// The answered event. A thread's fallback for clients without threads is no answer.
fn reply_to(content: &Value) -> Option<String> {
    let relates = &content["m.relates_to"];
    if relates["is_falling_back"].as_bool().unwrap_or(false) {
        return None;
    }
    relates["m.in_reply_to"]["event_id"].as_str().map(str::to_owned)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_matrix_reply_loses_its_quote_and_keeps_its_target() {
        let content = parse(
            &json!({
                "msgtype": "m.text",
                "body": "> <@a:b> hi\n\nhello",
                "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } },
                "m.mentions": { "user_ids": ["@a:b", 3], "room": true },
            }),
            None,
        );
        assert_eq!(content.source, "hello");
        assert_eq!(content.reply_to.as_deref(), Some("$x"));
        assert_eq!((content.mentions, content.mentions_everyone), (vec!["@a:b".to_owned()], true));
    }

    #[test]
    fn an_edit_replaces_all_but_the_relation() {
        let original = json!({
            "body": "old", "nexus.source": "old source", "nexus.embeds": [{}],
            "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } },
        });
        let content = parse(&original, Some(&json!({ "body": "new" })));
        assert_eq!((content.source.as_str(), content.embeds.len()), ("new", 0));
        assert!(content.reply_to.is_some());
    }

    #[test]
    fn foreign_shapes_read_as_absent() {
        for odd in [json!(null), json!({ "body": 3, "m.mentions": [], "nexus.embeds": "x" }), json!([])] {
            assert_eq!(parse(&odd, None), Content::default());
        }
        let thread = json!({ "m.relates_to": {
            "rel_type": "m.thread", "is_falling_back": true, "m.in_reply_to": { "event_id": "$x" },
        } });
        assert_eq!(parse(&thread, None).reply_to, None);
        assert_eq!(parse(&json!({ "msgtype": "m.emote", "body": "waves" }), None).source, "_waves_");
    }
}
