//! A poll as clients ask for it, and the content of the event that it becomes.
//!
//! **Units**: hours for how long it is open, 1 to 768. **Source**: `discord-api-docs`, "Poll Create Request
//! Object"; MSC3381.

use serde_json::{Map, Value, json};

use crate::form::Form;

const QUESTION_CHARS: usize = 300;
const ANSWER_CHARS: usize = 55;
const ANSWERS: usize = 10;
const HOURS_MAX: i64 = 768;
const HOURS_DEFAULT: i64 = 24;

/// A poll to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PollForm {
    question: String,
    /// Texts and emoji.
    answers: Vec<(String, Option<String>)>,
    hours: i64,
    several: bool,
}

impl PollForm {
    pub(crate) fn read(form: &Form<'_>) -> Self {
        form.require("question");
        form.require("answers");
        let question = form.object("question", |form| form.required_text("text", 1..=QUESTION_CHARS));
        let answers = form.objects("answers", ANSWERS, |answer| {
            answer.require("poll_media");
            let media = answer.object("poll_media", |media| {
                let emoji = media.object("emoji", |emoji| emoji.text("name", 0..=64));
                (media.required_text("text", 1..=ANSWER_CHARS), emoji.flatten())
            });
            media.unwrap_or_default()
        });
        if answers.as_ref().is_some_and(Vec::is_empty) {
            form.fault("answers", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 10 in length.");
        }
        form.integer("layout_type", 1..=1);
        Self {
            question: question.unwrap_or_default(),
            answers: answers.unwrap_or_default(),
            hours: form.integer("duration", 1..=HOURS_MAX).unwrap_or(HOURS_DEFAULT),
            several: form.flag("allow_multiselect").unwrap_or(false),
        }
    }

    /// Adds the poll to the content of a message, which thereby is an `m.poll.start`.
    pub(crate) fn write(&self, object: &mut Map<String, Value>, now_ms: u64) {
        let mut lines = vec![self.question.clone()];
        let mut answers = Vec::new();
        for (index, (text, emoji)) in self.answers.iter().enumerate() {
            let mut answer = json!({ "m.id": (index + 1).to_string(), "m.text": [{ "body": text }] });
            if let Some(emoji) = emoji {
                answer["nexus.emoji"] = emoji.as_str().into();
            }
            answers.push(answer);
            lines.push(format!("{}. {text}", index + 1));
        }
        let poll = json!({
            "kind": "m.disclosed",
            "max_selections": if self.several { self.answers.len() } else { 1 },
            "question": { "m.text": [{ "body": self.question }] },
            "answers": answers,
        });
        object.insert("m.poll".to_owned(), poll);
        object.insert("m.text".to_owned(), json!([{ "body": lines.join("\n") }]));
        let expires_ms = now_ms + self.hours.unsigned_abs() * 3_600_000;
        object.insert("nexus.poll".to_owned(), json!({ "expires_ms": expires_ms }));
    }
}
