//! The body of a message as clients send it, checked against Discord's limits.
//!
//! **Units**: lengths in characters. **Errors**: 50035 with the field named; 50006 for a message with
//! nothing in it. What this server does not have yet (stickers) is refused, not dropped.
//! **Source**: `discord-api-docs`, "Create Message", "Embed Limits", "Allowed Mentions Object".

use nexus_event_store::Snowflake;
use ruma::CanonicalJsonValue;
use serde_json::Value;

use crate::{
    attachment::{self, AttachmentForm},
    error::ApiError,
    form::{self, Form},
    poll_form::PollForm,
};

const CONTENT_CHARS: usize = 2000;
const NONCE_CHARS: usize = 25;
const EMBEDS: usize = 10;
const EMBED_CHARS_IN_ALL: usize = 6000;
const COMPONENTS: usize = 40;
const COMPONENT_BYTES_IN_ALL: usize = 16 << 10;
/// Suppress embeds, suppress notifications, components v2.
const FLAGS_A_SENDER_SETS: u64 = 1 << 2 | 1 << 12 | 1 << 15;

/// What a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) message: Snowflake,
    pub(crate) fail_if_not_exists: bool,
}

/// Whom a message may ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedMentions {
    pub(crate) everyone: bool,
    /// `None` = all.
    pub(crate) users: Option<Vec<Snowflake>>,
    pub(crate) replied_user: bool,
}

impl AllowedMentions {
    const ALL: Self = Self { everyone: true, users: None, replied_user: true };

    /// Whether a mention of `user` pings.
    pub(crate) fn pings(&self, user: Snowflake) -> bool {
        self.users.as_ref().is_none_or(|users| users.contains(&user))
    }
}

/// A message to send, or the changed fields of one to edit; `None` = not given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MessageForm {
    pub(crate) content: Option<String>,
    pub(crate) embeds: Option<Vec<Value>>,
    pub(crate) components: Option<Vec<Value>>,
    pub(crate) reference: Option<Reference>,
    pub(crate) allowed_mentions: AllowedMentions,
    pub(crate) nonce: Option<Value>,
    pub(crate) enforce_nonce: bool,
    pub(crate) flags: Option<u64>,
    pub(crate) poll: Option<PollForm>,
    pub(crate) attachments: Option<Vec<AttachmentForm>>,
}

impl MessageForm {
    /// Reads a body.
    pub(crate) fn parse(body: &Value) -> Result<Self, ApiError> {
        form::read(body, |form| {
            if form.list("sticker_ids", usize::MAX).is_some_and(|items| !items.is_empty()) {
                form.fault("sticker_ids", "NOT_AVAILABLE", "Stickers are not available on this server yet.");
            }
            form.flag("tts");
            let embeds = embeds(form);
            Self {
                content: cleared(form, "content", |form| form.text("content", 0..=CONTENT_CHARS)),
                embeds,
                components: components(form),
                poll: form.object("poll", PollForm::read),
                reference: form.object("message_reference", reference),
                allowed_mentions: allowed_mentions(form),
                nonce: nonce(form),
                enforce_nonce: form.flag("enforce_nonce").unwrap_or(false),
                flags: form
                    .integer("flags", 0..=i64::MAX)
                    .map(|flags| flags.unsigned_abs() & FLAGS_A_SENDER_SETS),
                attachments: cleared(form, "attachments", attachment::forms),
            }
        })
    }
}

/// A field whose `null` means empty.
fn cleared<T: Default>(form: &Form<'_>, field: &str, read: impl FnOnce(&Form<'_>) -> Option<T>) -> Option<T> {
    form.nullable(field, read).map(Option::unwrap_or_default)
}

fn reference(form: &Form<'_>) -> Reference {
    form.require("message_id");
    if form.integer("type", 0..=0).is_none() && form.raw("type").is_some() {
        form.fault("type", "NOT_AVAILABLE", "Forwarding is not available on this server yet.");
    }
    form.snowflake("channel_id");
    form.snowflake("guild_id");
    Reference {
        message: form.snowflake("message_id").unwrap_or_default(),
        fail_if_not_exists: form.flag("fail_if_not_exists").unwrap_or(true),
    }
}

fn allowed_mentions(form: &Form<'_>) -> AllowedMentions {
    let read = |form: &Form<'_>| {
        let mut parse = Vec::new();
        for (index, kind) in form.list("parse", 3).into_iter().flatten().enumerate() {
            match kind.as_str() {
                Some(kind @ ("roles" | "users" | "everyone")) => parse.push(kind),
                _ => {
                    let choices = "Value must be one of ('users', 'roles', 'everyone').";
                    form.fault(&format!("parse.{index}"), "BASE_TYPE_CHOICES", choices);
                }
            }
        }
        form.snowflakes("roles", 100);
        let users = form.snowflakes("users", 100).unwrap_or_default();
        let all_users = parse.contains(&"users");
        if all_users && !users.is_empty() {
            let message = "parse:[\"users\"] and users: [ids...] are mutually exclusive.";
            form.fault("users", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message);
        }
        AllowedMentions {
            everyone: parse.contains(&"everyone"),
            users: (!all_users).then_some(users),
            replied_user: form.flag("replied_user").unwrap_or(false),
        }
    };
    form.object("allowed_mentions", read).unwrap_or(AllowedMentions::ALL)
}

/// A string or an integer; given back as it came.
fn nonce(form: &Form<'_>) -> Option<Value> {
    match form.raw("nonce")? {
        number @ Value::Number(inner) if inner.is_i64() || inner.is_u64() => Some(number.clone()),
        Value::String(_) => form.text("nonce", 0..=NONCE_CHARS).map(Value::String),
        _ => {
            form.fault("nonce", "NONCE_TYPE_INVALID", "Must be a string or an integer.");
            None
        }
    }
}

fn embeds(form: &Form<'_>) -> Option<Vec<Value>> {
    let given = cleared(form, "embeds", |form| {
        let mut in_all = 0;
        form.objects("embeds", EMBEDS, |embed| in_all += embed_chars(embed));
        if in_all > EMBED_CHARS_IN_ALL {
            let message = format!("Embed size exceeds maximum size of {EMBED_CHARS_IN_ALL}");
            form.fault("embeds", "MAX_EMBED_SIZE_EXCEEDED", &message);
        }
        form.list("embeds", EMBEDS).map(<[Value]>::to_vec)
    });
    // The single embed of old libraries.
    let old = || {
        form.object("embed", embed_chars).and_then(|_| form.raw("embed").cloned()).map(|embed| vec![embed])
    };
    let mut embeds = given.or_else(old)?;
    for embed in &mut embeds {
        if let Some(embed) = embed.as_object_mut() {
            embed.insert("type".to_owned(), "rich".into());
        }
    }
    storable(form, "embeds", &embeds);
    Some(embeds)
}

/// Checks an embed; tells how many characters count.
fn embed_chars(embed: &Form<'_>) -> usize {
    let chars = |text: Option<String>| text.map_or(0, |text| text.chars().count());
    let mut count = chars(embed.text("title", 0..=256)) + chars(embed.text("description", 0..=4096));
    embed.text("url", 0..=2048);
    embed.integer("color", 0..=0xff_ffff);
    for picture in ["image", "thumbnail"] {
        embed.object(picture, |form| form.required_text("url", 1..=2048));
    }
    let fields = embed.objects("fields", 25, |field| {
        field.flag("inline");
        field.required_text("name", 1..=256).chars().count()
            + field.required_text("value", 1..=1024).chars().count()
    });
    count += fields.unwrap_or_default().into_iter().sum::<usize>();
    count += embed.object("footer", |form| form.required_text("text", 1..=2048).chars().count()).unwrap_or(0);
    count += embed.object("author", |form| form.required_text("name", 1..=256).chars().count()).unwrap_or(0);
    count
}

fn components(form: &Form<'_>) -> Option<Vec<Value>> {
    let components = cleared(form, "components", |form| {
        form.objects("components", COMPONENTS, |component| component.require("type"));
        form.list("components", COMPONENTS).map(<[Value]>::to_vec)
    })?;
    let bytes: usize = components.iter().map(|component| component.to_string().len()).sum();
    if bytes > COMPONENT_BYTES_IN_ALL {
        let message = format!("Must be {COMPONENT_BYTES_IN_ALL} or fewer bytes in all.");
        form.fault("components", "BASE_TYPE_MAX_LENGTH", &message);
    }
    storable(form, "components", &components);
    Some(components)
}

/// The log holds integers of 53 bits and no fractions.
fn storable(form: &Form<'_>, field: &str, values: &[Value]) {
    for (index, value) in values.iter().enumerate() {
        if CanonicalJsonValue::try_from(value.clone()).is_err() {
            let message = "Must contain no fractions and no integers beyond 53 bits.";
            form.fault(&format!("{field}.{index}"), "NUMBER_TYPE_COERCE", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(body: &Value, expected: &Expect) {
        match MessageForm::parse(body) {
            Ok(form) => expected.assert_eq(&format!("{form:?}")),
            Err(ApiError::Form(faults)) => expected.assert_eq(&faults.into_json().to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_libraries_send_is_read() {
        // discord.js
        check(
            &json!({ "content": "hi", "tts": false, "enforce_nonce": false,
                "message_reference": { "message_id": "5", "fail_if_not_exists": true } }),
            &expect![[
                r#"MessageForm { content: Some("hi"), embeds: None, components: None, reference: Some(Reference { message: Snowflake(5), fail_if_not_exists: true }), allowed_mentions: AllowedMentions { everyone: true, users: None, replied_user: true }, nonce: None, enforce_nonce: false, flags: None, poll: None, attachments: None }"#
            ]],
        );
        // discord.py: integer ids, an empty list of components, a nonce it enforces
        check(
            &json!({ "content": "hi", "components": [], "nonce": "123", "enforce_nonce": true, "tts": false,
                "message_reference": { "message_id": 5, "channel_id": 6 } }),
            &expect![[
                r#"MessageForm { content: Some("hi"), embeds: None, components: Some([]), reference: Some(Reference { message: Snowflake(5), fail_if_not_exists: true }), allowed_mentions: AllowedMentions { everyone: true, users: None, replied_user: true }, nonce: Some(String("123")), enforce_nonce: true, flags: None, poll: None, attachments: None }"#
            ]],
        );
        // serenity: parse users with an empty list of users
        check(
            &json!({ "content": null, "embeds": [{ "title": "t", "color": 255 }], "nonce": 7,
                "allowed_mentions": { "parse": ["users"], "users": [], "roles": [] } }),
            &expect![[
                r#"MessageForm { content: Some(""), embeds: Some([Object {"color": Number(255), "title": String("t"), "type": String("rich")}]), components: None, reference: None, allowed_mentions: AllowedMentions { everyone: false, users: None, replied_user: false }, nonce: Some(Number(7)), enforce_nonce: false, flags: None, poll: None, attachments: None }"#
            ]],
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        check(
            &json!({ "content": 5, "nonce": [1], "tts": "no", "attachments": [{ "id": "x" }] }),
            &expect![[
                r#"{"attachments":{"0":{"id":{"_errors":[{"code":"NUMBER_TYPE_COERCE","message":"Value is not snowflake."}]}}},"content":{"_errors":[{"code":"STRING_TYPE_CONVERT","message":"Could not interpret value as string."}]},"nonce":{"_errors":[{"code":"NONCE_TYPE_INVALID","message":"Must be a string or an integer."}]},"tts":{"_errors":[{"code":"BOOLEAN_TYPE_CONVERT","message":"Must be either true or false."}]}}"#
            ]],
        );
        check(
            &json!({ "embeds": [{ "title": "x".repeat(257) }, { "color": 1.5 }], "message_reference": {} }),
            &expect![[
                r#"{"embeds":{"0":{"title":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Must be 256 or fewer in length."}]}},"1":{"color":{"_errors":[{"code":"NUMBER_TYPE_COERCE","message":"Value is not int."}]}}},"embeds.1":{"_errors":[{"code":"NUMBER_TYPE_COERCE","message":"Must contain no fractions and no integers beyond 53 bits."}]},"message_reference":{"message_id":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"This field is required"}]}}}"#
            ]],
        );
        check(
            &json!({ "embeds": [{ "description": "x".repeat(4000) }, { "description": "x".repeat(2001) }],
                "allowed_mentions": { "parse": ["users"], "users": ["1"] } }),
            &expect![[
                r#"{"allowed_mentions":{"users":{"_errors":[{"code":"MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE","message":"parse:[\"users\"] and users: [ids...] are mutually exclusive."}]}},"embeds":{"_errors":[{"code":"MAX_EMBED_SIZE_EXCEEDED","message":"Embed size exceeds maximum size of 6000"}]}}"#
            ]],
        );
    }
}
