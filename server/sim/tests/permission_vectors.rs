//! The examples in `spec/vectors/permissions.json`: projections and the permission function find, from the
//! state events alone, what the file says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use nexus_event_store::{
    RoomNo, Rows as _, Scan, Store, Tx,
    catalogue::{RoomNumbers, Rooms},
    codec::Text,
    kv::memory::{MemoryEngine, PerfectDisk},
    rows::RoomRow,
};
use nexus_sim::executor::Simulation;
use nexus_state_resolution::{Pdu, RoomVersion};
use nexus_views::{
    Permissions, Place, Reader,
    project::{NewEvent, project},
    rows::{GuildOverwrites, Infos, OverwriteRow},
};
use ruma::{OwnedEventId, UserId};
use serde_json::{Value, json};

const GUILD: &str = "!guild";

fn room(tx: &Tx, room_id: &str) -> RoomNo {
    let number = tx.new_room_no();
    tx.put::<RoomNumbers>(&Text::from(room_id), &number);
    let row = RoomRow { room_id: room_id.to_owned(), version: "12".to_owned() };
    tx.put::<Rooms>(&number, &row);
    number
}

/// The state as a guild's room would have come to it.
async fn enter(tx: &Tx, guild: RoomNo, state: &[Value]) {
    for (number, event) in state.iter().enumerate() {
        let json = json!({
            "room_id": GUILD, "sender": "@nexus:a.example", "type": event["type"],
            "state_key": event["state_key"], "content": event["content"], "origin_server_ts": number,
            "prev_events": [], "auth_events": [], "depth": number + 1,
        });
        let event_id = OwnedEventId::try_from(format!("${number:043}")).unwrap();
        let pdu = Pdu::from_stored(RoomVersion::V12, event_id, json.to_string().into()).unwrap();
        let sender = tx.intern_user(pdu.sender().as_str()).await.unwrap();
        let event = NewEvent {
            room: guild,
            no: tx.new_event_no(),
            pdu: &pdu,
            sender,
            snowflake: None,
            is_current_state: true,
            position: None,
        };
        project(tx, event).await.unwrap();
    }
}

async fn evaluate(store: &Store, case: &Value) -> Permissions {
    let tx = store.begin();
    let state = case["state"].as_array().unwrap();
    let guild = room(&tx, GUILD);
    let channels: BTreeSet<&str> = state
        .iter()
        .filter(|event| event["type"] == "nexus.channel")
        .map(|event| event["state_key"].as_str().unwrap())
        .collect();
    let mut asked = None;
    for channel in channels {
        let number = room(&tx, channel);
        asked = if case["channel"] == channel { Some(number) } else { asked };
    }
    enter(&tx, guild, state).await;
    let caches = nexus_views::Caches::default();
    let reader = Reader { rows: &tx, caches: &caches };
    let user = tx.intern_user(case["user"].as_str().unwrap()).await.unwrap();
    let now_ms = case["now_ms"].as_u64().unwrap();
    let Some(channel) = asked else { return reader.permissions(guild, None, user, now_ms).await.unwrap() };
    let rows = tx.scan::<GuildOverwrites>(Scan::prefix::<GuildOverwrites>(&channel)).await.unwrap();
    let overwrites: Vec<OverwriteRow> = rows.into_iter().map(|(_, row)| row).collect();
    let kind = tx.row::<Infos>(&channel).await.unwrap().unwrap().kind;
    let in_thread = case["in_thread"].as_bool().unwrap();
    let place = Place { kind, in_thread, overwrites: &overwrites };
    reader.permissions(guild, Some(place), user, now_ms).await.unwrap()
}

#[test]
fn every_example_comes_out_as_the_file_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/permissions.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (name, bit) in file["bits"].as_object().unwrap() {
        let known = Permissions::NAMES.iter().find(|(known, _)| known == name);
        assert_eq!(known.map(|(_, bit)| bit.0), bit.as_u64(), "{name}");
    }
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 250);
    let simulation = Simulation::new(1);
    simulation.run(async {
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = Store::open(Arc::new(engine), simulation.world(), Arc::new(|_| {})).await.unwrap();
        for case in cases {
            UserId::parse(case["user"].as_str().unwrap()).unwrap();
            let held = evaluate(&store, case).await;
            let expected = Permissions(case["permissions"].as_str().unwrap().parse().unwrap());
            assert_eq!(held, expected, "{}: {held} instead of {expected}", case["what"]);
        }
    });
}
