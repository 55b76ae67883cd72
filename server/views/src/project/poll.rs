//! Polls: the start, each response, the end; and what is left when one of them is redacted.

use std::collections::BTreeMap;

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, StoreError, Tx, UserNo, catalogue::Events, rows::EventPlace,
};
use serde_json::Value;

use super::{NewEvent, is_steward, message::type_of};
use crate::{
    polls::{PollResponses, PollRow, Polls, ResponseRow, chosen_ids, is_end, is_response, poll_of},
    rows::{RelationKind, Relations},
};

/// A poll is asked.
pub(super) async fn started(tx: &Tx, event: NewEvent<'_>, content: &Value) {
    if let Some(poll) = poll_of(content) {
        let answers: Vec<String> = poll.answers.into_iter().map(|(id, _)| id).collect();
        let row = PollRow {
            counts: vec![0; answers.len()],
            answers,
            selections: poll.selections,
            author: event.sender,
            expires_ms: poll.expires_ms,
            ended: None,
        };
        tx.put::<Polls>(&(event.room, event.no), &row);
    }
}

/// Something refers to `poll`, which may be one.
pub(super) async fn referred(
    tx: &Tx,
    event: NewEvent<'_>,
    poll: EventNo,
    content: &Value,
) -> Result<(), StoreError> {
    let (kind, key) = (event.pdu.event_type(), (event.room, poll));
    if !is_response(kind) && !is_end(kind) {
        return Ok(());
    }
    let Some(mut row) = tx.row::<Polls>(&key).await? else { return Ok(()) };
    if is_end(kind) {
        if row.ended.is_none() && (event.sender == row.author || is_steward(event.pdu.sender())) {
            row.ended = Some(event.no);
            tx.put::<Polls>(&key, &row);
        }
        return Ok(());
    }
    if row.expires_ms.is_some_and(|end| u64::from(event.pdu.origin_server_ts().get()) >= end) {
        return Ok(());
    }
    let response = ResponseRow { chosen: chosen(&row, content) };
    if row.ended.is_none() {
        for answer in newest(tx, event.room, poll, event.sender, None).await?.chosen {
            lower(&mut row, answer);
        }
        response.chosen.iter().for_each(|answer| raise(&mut row, *answer));
        tx.put::<Polls>(&key, &row);
    }
    tx.put::<PollResponses>(&(event.room, poll, event.sender, event.no), &response);
    Ok(())
}

/// The indexes of the answers that a response chooses: those that there are, as many as one may.
fn chosen(row: &PollRow, content: &Value) -> Vec<u8> {
    let mut chosen = Vec::new();
    for id in chosen_ids(content) {
        let index = row.answers.iter().position(|answer| answer == id).and_then(|at| u8::try_from(at).ok());
        let Some(index) = index.filter(|index| !chosen.contains(index)) else { continue };
        if chosen.len() < usize::try_from(row.selections).unwrap_or(usize::MAX) {
            chosen.push(index);
        }
    }
    chosen.sort_unstable();
    chosen
}

fn raise(row: &mut PollRow, answer: u8) {
    if let Some(count) = row.counts.get_mut(usize::from(answer)) {
        *count += 1;
    }
}

fn lower(row: &mut PollRow, answer: u8) {
    if let Some(count) = row.counts.get_mut(usize::from(answer)) {
        *count = count.saturating_sub(1);
    }
}

/// The newest response of a user, before the end if there is one.
async fn newest(
    tx: &Tx,
    room: RoomNo,
    poll: EventNo,
    user: UserNo,
    ended: Option<EventNo>,
) -> Result<ResponseRow, StoreError> {
    let mut scan = Scan::prefix::<PollResponses>(&(room, poll, user)).reverse().limit(1);
    if let Some(ended) = ended {
        scan = scan.until::<PollResponses>(&(room, poll, user, ended));
    }
    let row = tx.scan::<PollResponses>(scan).await?.pop();
    Ok(row.map(|(_, row)| row).unwrap_or_default())
}

/// A poll's own message is redacted.
pub(super) async fn unasked(tx: &Tx, place: EventPlace) -> Result<(), StoreError> {
    let key = (place.room, place.event);
    if tx.row::<Polls>(&key).await?.is_none() {
        return Ok(());
    }
    tx.delete::<Polls>(&key);
    for (key, _) in tx.scan::<PollResponses>(Scan::prefix::<PollResponses>(&key)).await? {
        tx.delete::<PollResponses>(&key);
    }
    Ok(())
}

/// A response or an end of `poll` is redacted; its relation is gone already.
pub(super) async fn unreferred(
    tx: &Tx,
    place: EventPlace,
    poll: EventNo,
    sender: UserNo,
) -> Result<(), StoreError> {
    let key = (place.room, poll);
    let Some(mut row) = tx.row::<Polls>(&key).await? else { return Ok(()) };
    if row.ended == Some(place.event) {
        row.ended = next_end(tx, place.room, poll, row.author).await?;
        recount(tx, place.room, poll, &mut row).await?;
        tx.put::<Polls>(&key, &row);
        return Ok(());
    }
    let response = (place.room, poll, sender, place.event);
    if tx.row::<PollResponses>(&response).await?.is_none() {
        return Ok(());
    }
    let before = newest(tx, place.room, poll, sender, row.ended).await?;
    tx.delete::<PollResponses>(&response);
    let after = newest(tx, place.room, poll, sender, row.ended).await?;
    before.chosen.iter().for_each(|answer| lower(&mut row, *answer));
    after.chosen.iter().for_each(|answer| raise(&mut row, *answer));
    tx.put::<Polls>(&key, &row);
    Ok(())
}

/// The first end that is left.
async fn next_end(
    tx: &Tx,
    room: RoomNo,
    poll: EventNo,
    author: UserNo,
) -> Result<Option<EventNo>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Sender {
        sender: String,
    }
    for ((_, _, event), kind) in tx.scan::<Relations>(Scan::prefix::<Relations>(&(room, poll))).await? {
        if kind != RelationKind::Reference {
            continue;
        }
        let row = tx.existing::<Events>(&(room, event)).await?;
        if type_of(&row.json).is_none_or(|kind| !is_end(&kind)) {
            continue;
        }
        let Ok(Sender { sender }) = serde_json::from_str(&row.json) else { continue };
        if sender.starts_with("@nexus:") || tx.intern_user(&sender).await? == author {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// Counts all responses that count anew.
async fn recount(tx: &Tx, room: RoomNo, poll: EventNo, row: &mut PollRow) -> Result<(), StoreError> {
    row.counts = vec![0; row.answers.len()];
    let mut newest: BTreeMap<UserNo, Vec<u8>> = BTreeMap::new();
    for ((_, _, user, event), response) in
        tx.scan::<PollResponses>(Scan::prefix::<PollResponses>(&(room, poll))).await?
    {
        if row.ended.is_none_or(|end| event < end) {
            newest.insert(user, response.chosen);
        }
    }
    newest.values().flatten().for_each(|answer| raise(row, *answer));
    Ok(())
}
