//! Polls: a question, what people chose, and how it stands.
//!
//! **Shapes**: `m.poll.start`, `m.poll.response`, `m.poll.end`, and the same as `org.matrix.msc3381.*`. Of a
//! user's responses the one that came last counts; one after the end, or after `nexus.poll.expires_ms`, does
//! not. Answers that the poll has not are skipped, and what is beyond `max_selections`.
//! **Bound**: [`ANSWERS_MAX`] answers.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, UserNo, catalogue::numbers, rows::EventPlace, table, versioned_value,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ViewError, Views};

/// No poll has more answers.
pub const ANSWERS_MAX: usize = 20;

/// A poll as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollRow {
    /// The ids of its answers.
    pub answers: Vec<String>,
    /// How many of them one user may choose.
    pub selections: u32,
    /// Who asks.
    pub author: UserNo,
    /// When it closes by itself, milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
    /// The event that ended it.
    pub ended: Option<EventNo>,
    /// How many users chose each answer.
    pub counts: Vec<u64>,
}
versioned_value!(PollRow, 1);

/// A response: the indexes of the answers chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseRow {
    /// Sorted, each once.
    pub chosen: Vec<u8>,
}
versioned_value!(ResponseRow, 1);

table! {
    /// Polls: (room, poll).
    Polls = numbers::POLLS, "polls", (RoomNo, EventNo) => PollRow
}
table! {
    /// Responses: (room, poll, user, response).
    PollResponses = numbers::POLL_RESPONSES, "poll_responses", (RoomNo, EventNo, UserNo, EventNo) => ResponseRow
}

/// What a poll asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollContent {
    /// The question.
    pub question: String,
    /// Ids and texts of the answers.
    pub answers: Vec<(String, String)>,
    /// How many may be chosen.
    pub selections: u32,
    /// When it closes by itself, milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
    /// What the Discord-shaped API shows beside the text of each answer, in order.
    pub emoji: Vec<Option<String>>,
}

/// Whether an event type starts a poll.
#[must_use]
pub fn is_start(event_type: &str) -> bool {
    matches!(event_type, "m.poll.start" | "org.matrix.msc3381.poll.start")
}

/// Whether an event type is a response to a poll.
#[must_use]
pub fn is_response(event_type: &str) -> bool {
    matches!(event_type, "m.poll.response" | "org.matrix.msc3381.poll.response")
}

/// Whether an event type ends a poll.
#[must_use]
pub fn is_end(event_type: &str) -> bool {
    matches!(event_type, "m.poll.end" | "org.matrix.msc3381.poll.end")
}

/// Reads what a poll asks; `None` for content that is no poll.
#[must_use]
pub fn poll_of(content: &Value) -> Option<PollContent> {
    let poll = content.get("m.poll").or_else(|| content.get("org.matrix.msc3381.poll.start"))?;
    let mut found = PollContent { question: text_of(poll.get("question")?)?, ..PollContent::default() };
    for answer in poll.get("answers")?.as_array()?.iter().take(ANSWERS_MAX) {
        let id = answer.get("m.id").or_else(|| answer.get("id")).and_then(Value::as_str);
        let (Some(id), Some(text)) = (id, text_of(answer)) else { continue };
        if id.len() > 255 || found.answers.iter().any(|(known, _)| known == id) {
            continue;
        }
        found.answers.push((id.to_owned(), text));
        found.emoji.push(answer.get("nexus.emoji").and_then(Value::as_str).map(str::to_owned));
    }
    let selections = poll.get("max_selections").and_then(Value::as_u64).unwrap_or(1).max(1);
    found.selections = u32::try_from(selections).unwrap_or(u32::MAX);
    found.expires_ms = content.get("nexus.poll").and_then(|own| own.get("expires_ms")?.as_u64());
    (!found.answers.is_empty()).then_some(found)
}

/// A text in one of the ways in which extensible events write it.
fn text_of(holder: &Value) -> Option<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts.first()?.get("body")?.as_str().map(str::to_owned),
        _ => None,
    };
    let keys = ["m.text", "org.matrix.msc1767.text", "body"];
    keys.iter().find_map(|key| plain(holder.get(*key)?))
}

/// The ids of the answers that a response chooses.
pub(crate) fn chosen_ids(content: &Value) -> Vec<&str> {
    let answers = content
        .get("m.selections")
        .or_else(|| content.get("org.matrix.msc3381.poll.response")?.get("answers"))
        .or_else(|| content.get("m.poll.response")?.get("answers"));
    let answers = answers.and_then(Value::as_array).into_iter().flatten();
    answers.filter_map(Value::as_str).take(ANSWERS_MAX).collect()
}

impl Views {
    /// A poll as it stands.
    ///
    /// # Errors
    /// Store errors.
    pub async fn poll(&self, place: EventPlace) -> Result<Option<PollRow>, ViewError> {
        self.store.row::<Polls>(&(place.room, place.event)).await
    }

    /// What `user` chose: the newest response and its answers.
    ///
    /// # Errors
    /// Store errors.
    pub async fn poll_choice(
        &self,
        poll: EventPlace,
        user: UserNo,
        ended: Option<EventNo>,
    ) -> Result<Vec<u8>, ViewError> {
        let mut scan = Scan::prefix::<PollResponses>(&(poll.room, poll.event, user)).reverse().limit(1);
        if let Some(ended) = ended {
            scan = scan.until::<PollResponses>(&(poll.room, poll.event, user, ended));
        }
        let newest = self.store.scan::<PollResponses>(scan).await?.pop();
        Ok(newest.map(|(_, row)| row.chosen).unwrap_or_default())
    }

    /// What `user` chose before the response `before`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn poll_choice_before(
        &self,
        poll: EventPlace,
        user: UserNo,
        before: EventNo,
    ) -> Result<Vec<u8>, ViewError> {
        self.poll_choice(poll, user, Some(before)).await
    }

    /// Who chose an answer, by number after `after`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn poll_voters(
        &self,
        poll: EventPlace,
        ended: Option<EventNo>,
        answer: u8,
        after: Option<UserNo>,
        limit: usize,
    ) -> Result<Vec<UserNo>, ViewError> {
        const CHUNK: usize = 512;
        let (mut voters, mut from) = (Vec::new(), after);
        while voters.len() < limit {
            let mut scan = Scan::prefix::<PollResponses>(&(poll.room, poll.event)).limit(CHUNK);
            if let Some(user) = from {
                scan = scan.after::<PollResponses>(&(poll.room, poll.event, user));
            }
            let rows = self.store.scan::<PollResponses>(scan).await?;
            let is_last = rows.len() < CHUNK;
            let mut users: Vec<UserNo> = rows.into_iter().map(|((_, _, user, _), _)| user).collect();
            users.dedup();
            for user in users {
                from = Some(user);
                if self.poll_choice(poll, user, ended).await?.contains(&answer) && voters.len() < limit {
                    voters.push(user);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(voters)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_dialects_read_alike() {
        let stable = json!({ "m.poll": {
            "question": { "m.text": [{ "body": "Tea?" }] }, "max_selections": 2,
            "answers": [{ "m.id": "y", "m.text": [{ "body": "Yes" }] }, { "m.id": "n", "m.text": [{ "body": "No" }] }],
        } });
        let unstable = json!({ "org.matrix.msc3381.poll.start": {
            "question": { "org.matrix.msc1767.text": "Tea?", "body": "Tea?" }, "max_selections": 2,
            "answers": [
                { "id": "y", "org.matrix.msc1767.text": "Yes" }, { "id": "n", "org.matrix.msc1767.text": "No" },
            ],
        } });
        let poll = poll_of(&stable).unwrap();
        assert_eq!(poll_of(&unstable).as_ref(), Some(&poll));
        assert_eq!((poll.question.as_str(), poll.selections, poll.answers.len()), ("Tea?", 2, 2));
        assert_eq!(chosen_ids(&json!({ "m.selections": ["y", 3] })), ["y"]);
        assert_eq!(chosen_ids(&json!({ "org.matrix.msc3381.poll.response": { "answers": ["n"] } })), ["n"]);
    }

    #[test]
    fn what_is_no_poll_reads_as_none() {
        for odd in
            [json!(null), json!({ "m.poll": [] }), json!({ "m.poll": { "question": {}, "answers": [] } })]
        {
            assert_eq!(poll_of(&odd), None, "{odd}");
        }
    }
}
