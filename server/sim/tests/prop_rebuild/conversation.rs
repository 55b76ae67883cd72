//! Random pins, threads, polls and mentions: what messages are to each other beyond edits and reactions.

use nexus_rooms::{NewThread, PinChange, ThreadChanges, ThreadStart};
use nexus_views::threads::Threads;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId};
use serde_json::{Value, json};

use crate::{commands::Dice, world::World};

fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

impl World {
    pub(crate) async fn converse(&mut self, who: &str, dice: &mut Dice) {
        match dice.below(10) {
            0 | 1 => self.pin(who, dice).await,
            2 => self.pin_by_state(who, dice).await,
            3 | 4 => self.thread(who, dice).await,
            5 => self.mention(who, dice).await,
            6 => self.ask(who, dice).await,
            _ => self.answer_poll(who, dice).await,
        }
    }

    async fn pin(&mut self, who: &str, dice: &mut Dice) {
        let Some(message) = (!self.messages.is_empty()).then(|| dice.recent(4, &self.messages).clone())
        else {
            return;
        };
        let room = self.all_rooms.iter().find(|(_, id)| *id == message.room_id).map(|(room, _)| *room);
        let id = message.event_id;
        let change = if dice.below(3) == 0 { PinChange::Unpin(id) } else { PinChange::Pin(id) };
        let outcome = self.rooms.change_pins(&self.actor(who), room.unwrap(), change).await;
        self.after(outcome).await;
    }

    /// As Matrix clients do it, in any room; also events that are elsewhere or nowhere.
    async fn pin_by_state(&mut self, who: &str, dice: &mut Dice) {
        let message = dice.recent(4, &self.events).clone();
        let other = dice.recent(4, &self.events).event_id.clone();
        let pinned = json!({ "pinned": [message.event_id, other, "$nowhere"], "nexus.pinned_at": [7] });
        self.send_state(who, message.room_id, "m.room.pinned_events", "", pinned).await;
    }

    async fn thread(&mut self, who: &str, dice: &mut Dice) {
        let channel = *dice.recent(6, &self.channels);
        let actor = self.actor(who);
        let existing = {
            let scan = nexus_event_store::Scan::prefix::<Threads>(&channel);
            self.store().scan::<Threads>(scan).await.unwrap()
        };
        if !existing.is_empty() && dice.below(2) == 0 {
            let ((_, root), _) =
                *dice.recent(2, &existing.iter().map(|(key, _)| (*key, ())).collect::<Vec<_>>());
            let outcome = match dice.below(4) {
                0 => self.rooms.delete_thread(&actor, channel, root).await,
                kind => {
                    let changes = ThreadChanges {
                        archived: Some(kind == 1),
                        name: (kind == 2).then(|| "renamed".to_owned()),
                        ..ThreadChanges::default()
                    };
                    self.rooms.update_thread(&actor, channel, root, changes).await
                }
            };
            return self.after(outcome).await;
        }
        let start = match self.messages.last() {
            Some(message) if dice.below(2) == 0 => ThreadStart::On(message.event_id.clone()),
            _ => ThreadStart::With(object(json!({ "msgtype": "m.text", "body": "the start" }))),
        };
        let name = "a thread".to_owned();
        let new =
            NewThread { channel, start, name, auto_archive_minutes: None, slowmode_s: 0, tags: vec![5] };
        let outcome = self.rooms.create_thread(&actor, new).await;
        self.after(outcome).await;
    }

    async fn mention(&mut self, who: &str, dice: &mut Dice) {
        let room = self.some_room(dice);
        let user = self.actor(dice.user()).user;
        let content = json!({
            "body": "hey", "msgtype": "m.text",
            "m.mentions": { "user_ids": [user, "@stranger:elsewhere"], "room": dice.below(2) == 0 },
            "nexus.mention_roles": ["101"],
        });
        self.send(who, room, "m.room.message", content).await;
    }

    async fn ask(&mut self, who: &str, dice: &mut Dice) {
        let answers = json!([{ "m.id": "a", "m.text": [{ "body": "A" }] }, { "m.id": "b", "m.text": [{ "body": "B" }] }]);
        let poll = json!({ "question": { "m.text": [{ "body": "?" }] }, "max_selections": 1 + dice.below(2), "answers": answers });
        let room = self.some_room(dice);
        self.send(who, room, "m.poll.start", json!({ "m.poll": poll })).await;
    }

    /// Votes, ends and what is neither, mostly on a poll.
    async fn answer_poll(&mut self, who: &str, dice: &mut Dice) {
        let polls: Vec<_> = {
            let mut polls = Vec::new();
            for known in self.messages.iter().rev().take(60) {
                let event = self.rooms.views().event_by_id(&known.event_id).await.unwrap().unwrap();
                polls.extend((event.pdu.event_type() == "m.poll.start").then(|| known.clone()));
            }
            polls.reverse();
            polls
        };
        if polls.is_empty() {
            return self.ask(who, dice).await;
        }
        let poll = dice.recent(2, &polls).clone();
        let relates = json!({ "rel_type": "m.reference", "event_id": poll.event_id });
        let (who, kind, more) = match dice.below(8) {
            0 => (poll.sender.localpart().to_owned(), "m.poll.end", json!(null)),
            1 => (who.to_owned(), "m.poll.end", json!(null)),
            _ => {
                let chosen = *dice.one_of(&["a", "b", "c"]);
                (who.to_owned(), "m.poll.response", json!([chosen, "b"]))
            }
        };
        let content = json!({ "m.relates_to": relates, "m.selections": more });
        self.send(&who, poll.room_id, kind, content).await;
    }

    fn some_room(&self, dice: &mut Dice) -> OwnedRoomId {
        let few = dice.below(2) == 0;
        let channel = *dice.recent(4, &self.channels);
        let in_channel = self.all_rooms.iter().find(|(room, _)| *room == channel);
        match in_channel {
            Some((_, id)) if few => id.clone(),
            _ => dice.recent(8, &self.all_rooms).1.clone(),
        }
    }
}
