//! Taking things back.

use std::collections::BTreeMap;

use nexus_rooms::{AddBot, CreateRoom, Preset, Redact, Rejection, Sent};
use nexus_sim::server::SimulatedSigner;
use nexus_state_resolution::{RoomVersion, Signer as _};
use nexus_views::{Event, Page, Permissions, Removed, actor::verify};
use ruma::{CanonicalJsonObject, EventId, ServerName, serde::Base64};
use serde_json::{Value, json};

use crate::scene::{Room, Scene, actor, edit, event, missing, play, reaction, redaction, state, text};

const SECRET: &str = "the secret words";

/// Whether any row of the store still holds the secret.
fn is_in_store(scene: &Scene) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    scene.engine.dump().iter().any(|((_, key), value)| holds(key) || holds(value))
}

async fn is_shown(scene: &Scene, room: &Room) -> bool {
    let listed = scene.views().messages(room.no, Page::Newest, 100).await.unwrap();
    let in_list = listed.iter().any(|message| message.event.pdu.json().contains(SECRET));
    in_list || scene.timeline(room).await.iter().any(|line| line.contains(SECRET))
}

#[test]
fn what_was_said_is_gone_from_everywhere() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, SECRET)).await;
        // Into the cache, from which it must go too.
        assert!(scene.event(&sent).await.pdu.json().contains(SECRET));
        assert!(is_in_store(scene) && is_shown(scene, &guild.general).await);

        let redacted = scene.rooms.redact(&actor("ana"), redaction(&guild.general, &sent)).await.unwrap();
        assert!(!is_in_store(scene) && !is_shown(scene, &guild.general).await);
        assert!(scene.message(&sent).await.is_none());
        let left = scene.event(&sent).await;
        assert_eq!((left.pdu.content().get(), left.redacted_by), ("{}", Some(redacted.place.event)));
        assert_eq!(left.pdu.event_id(), sent.event_id, "what is left has the same id");
        let removed = scene.views().removed_by(redacted.place).await.unwrap();
        assert_eq!(removed, Some(Removed::Message(sent.snowflake.unwrap())));
    });
}

/// Readers that fill the cache while the redaction is on its way must not bring the content back.
#[test]
fn nobody_reads_it_again_while_it_goes() {
    for seed in 0..20 {
        crate::scene::play_from(seed, async |scene| {
            let guild = scene.guild("ana").await;
            let sent = scene.send("ana", text(&guild.general, SECRET)).await;
            let (rooms, redact) = (scene.rooms.clone(), redaction(&guild.general, &sent));
            let readers = (0..6).map(|number| {
                let (views, place, rooms) = (scene.views().clone(), sent.place, rooms.clone());
                let (redact, simulation) = ((number == 3).then(|| redact.clone()), scene.simulation.clone());
                async move {
                    if let Some(redact) = redact {
                        rooms.redact(&actor("ana"), redact).await.unwrap();
                        return;
                    }
                    for _ in 0..30 {
                        views.event(place).await.unwrap();
                        let pause = std::time::Duration::from_micros(simulation.below(200));
                        nexus_event_store::world::Clock::sleep(&simulation, pause).await;
                    }
                }
            });
            scene.together(readers).await;
            assert!(!scene.event(&sent).await.pdu.json().contains(SECRET), "seed {seed}");
        });
    }
}

#[test]
fn anothers_words_need_the_permission() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "hers")).await;
        let of_ben = scene.refused(scene.rooms.redact(&actor("ben"), redaction(&guild.general, &sent))).await;
        assert_eq!(of_ben, missing(Permissions::MANAGE_MESSAGES));
        let of_eve = scene.refused(scene.rooms.redact(&actor("eve"), redaction(&guild.general, &sent))).await;
        assert_eq!(of_eve, missing(Permissions::VIEW_CHANNEL));
    });
}

/// The request that the steward carried out, checked as another server would.
fn check_request(event: &Event) -> Value {
    let server = ServerName::parse("sim.example").unwrap();
    let key = SimulatedSigner::new(&server, [7; 32]).key_pair().public_key();
    let keys = BTreeMap::from([("ed25519:sim".to_owned(), Base64::new(key.to_vec()))]);
    let request = verify(&event.pdu, &keys).expect("the actor's server signed it for this event");
    let mut rest: CanonicalJsonObject = event.pdu.content_as().unwrap();
    rest.remove("nexus.actor");
    json!({ "user": request.user, "action": request.action, "rest": rest })
}

#[test]
fn who_may_manage_messages_has_the_steward_take_them_away() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let bot = AddBot {
            guild: guild.room.no,
            bot: actor("helper").user,
            name: "Helper".to_owned(),
            permissions: Permissions::MANAGE_MESSAGES,
        };
        scene.rooms.add_bot(&actor("ana"), bot).await.unwrap();
        let sent = scene.send("ana", text(&guild.general, SECRET)).await;
        let redact = Redact { reason: Some("rude".to_owned()), ..redaction(&guild.general, &sent) };
        let redacted = scene.rooms.redact(&actor("helper"), redact).await.unwrap();
        assert!(!is_in_store(scene) && scene.message(&sent).await.is_none());

        let by = scene.event(&redacted).await;
        assert_eq!(by.pdu.sender().localpart(), "nexus");
        assert_eq!(by.pdu.redacts(), Some(&*sent.event_id));
        let expected = json!({
            "user": "@helper:sim.example",
            "action": "redact",
            "rest": { "redacts": sent.event_id, "nexus.reason": "rude", "reason": "rude" },
        });
        assert_eq!(check_request(&by), expected);
    });
}

#[test]
fn reactions_and_edits_can_be_taken_back() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        let reacted = scene.send("ben", reaction(&guild.general, &sent, "👍")).await;
        let edited = scene.send("ana", edit(&guild.general, &sent, "edited")).await;
        let undo = async |who: &str, target: &Sent| {
            let redacted = scene.rooms.redact(&actor(who), redaction(&guild.general, target)).await.unwrap();
            scene.views().removed_by(redacted.place).await.unwrap().unwrap()
        };
        let (message, ben) =
            (sent.snowflake.unwrap(), scene.views().user_no(&actor("ben").user).await.unwrap());
        assert_eq!(undo("ben", &reacted).await, Removed::Reaction(message, "👍".to_owned(), ben.unwrap()));
        assert_eq!(undo("ana", &edited).await, Removed::Edit(message));
        assert!(scene.message(&sent).await.unwrap().reactions.is_empty());
        assert_eq!(scene.says(&sent).await, "well?");
        // A second time there is nothing left to take.
        let again = scene.rooms.redact(&actor("ben"), redaction(&guild.general, &reacted)).await.unwrap();
        assert_eq!(scene.views().removed_by(again.place).await.unwrap(), None);
    });
}

#[test]
fn what_is_not_in_the_room_cannot_be_redacted_there() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "here")).await;
        let elsewhere =
            scene.refused(scene.rooms.redact(&actor("ana"), redaction(&guild.voice, &sent))).await;
        assert_eq!(elsewhere, Rejection::UnknownEvent);
        let mut nothing = redaction(&guild.general, &sent);
        nothing.event_id = EventId::parse("$nothing").unwrap();
        assert_eq!(scene.refused(scene.rooms.redact(&actor("ana"), nothing)).await, Rejection::UnknownEvent);
    });
}

/// An event of that type says to other servers: redact. Nobody checked whether it may.
#[test]
fn a_redaction_does_not_pass_as_a_message() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "hers")).await;
        let content = json!({ "redacts": sent.event_id });
        for event in [
            event(&guild.general, "m.room.redaction", content.clone()),
            state(&guild.general, "m.room.redaction", "", content),
        ] {
            let refusal = scene.refused(scene.rooms.send(&actor("ben"), event)).await;
            assert!(matches!(refusal, Rejection::BadField { field: "type", .. }), "{refusal:?}");
        }
    });
}

#[test]
fn in_other_rooms_power_decides() {
    for version in RoomVersion::ALL {
        play(async |scene| {
            let new =
                CreateRoom { version: Some(version), preset: Preset::PublicChat, ..CreateRoom::default() };
            let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
            let room = scene.room(made.room).await;
            scene.rooms.join(&actor("ben"), &room.id, None).await.unwrap();
            let of_ana = scene.send("ana", text(&room, "hers")).await;
            let of_ben = scene.send("ben", text(&room, SECRET)).await;
            let refusal = scene.refused(scene.rooms.redact(&actor("ben"), redaction(&room, &of_ana))).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            scene.rooms.redact(&actor("ana"), redaction(&room, &of_ben)).await.unwrap();
            assert!(!is_in_store(scene));
            let refusal = scene.refused(scene.rooms.redact(&actor("eve"), redaction(&room, &of_ana))).await;
            assert_eq!(refusal, Rejection::NotMember);
        });
    }
}

/// Without it every later event would be refused, for ever.
#[test]
fn the_creation_of_a_room_cannot_be_redacted() {
    play(async |scene| {
        for version in RoomVersion::ALL {
            let new = CreateRoom { version: Some(version), ..CreateRoom::default() };
            let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
            let room = scene.room(made.room).await;
            let head = scene.views().head(room.no).await.unwrap();
            let create =
                scene.views().state_event(room.no, head.state, "m.room.create", "").await.unwrap().unwrap();
            let redact = Redact {
                room: room.id.clone(),
                event_id: create.pdu.event_id().to_owned(),
                reason: None,
                txn: None,
            };
            let refusal = scene.refused(scene.rooms.redact(&actor("ana"), redact)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            scene.send("ana", text(&room, "still open")).await;
        }
    });
}

#[test]
fn a_name_that_is_redacted_is_a_name_no_more() {
    play(async |scene| {
        let new = CreateRoom { name: Some(SECRET.to_owned()), ..CreateRoom::default() };
        let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
        let room = scene.room(made.room).await;
        let head = scene.views().head(room.no).await.unwrap();
        let name = scene.views().state_event(room.no, head.state, "m.room.name", "").await.unwrap().unwrap();
        let redact = Redact {
            room: room.id.clone(),
            event_id: name.pdu.event_id().to_owned(),
            reason: None,
            txn: None,
        };
        scene.rooms.redact(&actor("ana"), redact).await.unwrap();
        assert_eq!(scene.views().info(room.no).await.unwrap().name, None);
        assert!(!is_in_store(scene));
    });
}

/// Emptied, what a steward says of a guild reads as "deny"; so not even a steward empties it.
#[test]
fn what_a_steward_says_of_a_guild_is_not_redacted() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let role = scene.rooms.create_role(&actor("ana"), guild.room.no, Default::default()).await;
        let (role, head) = (role.unwrap().to_string(), scene.views().head(guild.room.no).await.unwrap());
        for (kind, key) in [
            ("nexus.guild", ""),
            ("nexus.role", "everyone"),
            ("nexus.role", role.as_str()),
            ("m.room.name", ""),
        ] {
            let event =
                scene.views().state_event(guild.room.no, head.state, kind, key).await.unwrap().unwrap();
            for who in ["ana", "nexus"] {
                let event_id = event.pdu.event_id().to_owned();
                let redact = Redact { room: guild.room.id.clone(), event_id, reason: None, txn: None };
                let refusal = scene.refused(scene.rooms.redact(&actor(who), redact)).await;
                assert!(matches!(refusal, Rejection::Forbidden { .. }), "{who} {kind} {refusal:?}");
            }
        }
    });
}
