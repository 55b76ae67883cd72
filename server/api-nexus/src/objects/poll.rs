//! Poll objects: the question, the answers, and how many chose each.
//!
//! **Shapes**: answers are numbered from 1 in the order of the poll. A poll is over when its author ended it or
//! its time is up, which is told by the clock when it is read: nothing is written then.

use nexus_event_store::{UserNo, rows::EventPlace};
use nexus_views::{Event, polls::poll_of};
use serde_json::{Value, json};

use super::{Built, Objects};
use crate::snowflake::iso_time;

impl Objects {
    /// The poll that a message is, for `viewer`.
    pub(crate) async fn poll(&self, event: &Event, viewer: Option<UserNo>) -> Built<Option<Value>> {
        let content: Value = event.pdu.content_as().unwrap_or_default();
        let place = EventPlace { room: event.room, event: event.no };
        let (Some(poll), Some(row)) = (poll_of(&content), self.views.poll(place).await?) else {
            return Ok(None);
        };
        let chosen = match viewer {
            Some(viewer) => self.views.poll_choice(place, viewer, row.ended).await?,
            None => Vec::new(),
        };
        let answers: Vec<Value> = poll
            .answers
            .iter()
            .zip(poll.emoji.iter().chain(std::iter::repeat(&None)))
            .enumerate()
            .map(|(index, ((_, text), emoji))| {
                let mut media = json!({ "text": text });
                if let Some(emoji) = emoji {
                    media["emoji"] = json!({ "id": null, "name": emoji });
                }
                json!({ "answer_id": index + 1, "poll_media": media })
            })
            .collect();
        let counts: Vec<Value> = row
            .counts
            .iter()
            .enumerate()
            .map(|(index, count)| {
                let me = chosen.iter().any(|answer| usize::from(*answer) == index);
                json!({ "id": index + 1, "count": count, "me_voted": me })
            })
            .collect();
        let now_ms = self.views.store().world().now().0;
        let is_over = row.ended.is_some() || row.expires_ms.is_some_and(|end| end <= now_ms);
        let ended_ms = match row.ended {
            Some(ended) => {
                let end = self.views.event(EventPlace { room: event.room, event: ended }).await?;
                Some(u64::from(end.pdu.origin_server_ts().get()))
            }
            None => row.expires_ms,
        };
        Ok(Some(json!({
            "question": { "text": poll.question },
            "answers": answers,
            "expiry": ended_ms.map(iso_time),
            "allow_multiselect": row.selections > 1,
            "layout_type": 1,
            "results": { "is_finalized": is_over, "answer_counts": counts },
        })))
    }
}
