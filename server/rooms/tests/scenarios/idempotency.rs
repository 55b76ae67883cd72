//! The same command with the same key happens once.

use nexus_rooms::{Actor, Redact, Rejection, SendEvent};

use crate::scene::{actor, key, play, play_from, redaction, text};

fn keyed(event: SendEvent, id: &str) -> SendEvent {
    SendEvent { txn: key(id), ..event }
}

#[test]
fn the_same_key_at_once_makes_one_event() {
    for seed in 0..20 {
        play_from(seed, async |scene| {
            let guild = scene.guild("ana").await;
            let outcomes = scene
                .together((0..10).map(|_| {
                    let (rooms, event) = (scene.rooms.clone(), keyed(text(&guild.general, "once"), "t1"));
                    async move { rooms.send(&actor("ana"), event).await.unwrap() }
                }))
                .await;
            assert_eq!(outcomes.iter().filter(|sent| !sent.replayed).count(), 1, "seed {seed}");
            let first = outcomes.iter().find(|sent| !sent.replayed).unwrap();
            for sent in &outcomes {
                assert_eq!(
                    (&sent.event_id, sent.snowflake, sent.position),
                    (&first.event_id, first.snowflake, first.position)
                );
            }
            let said = scene.timeline(&guild.general).await;
            assert_eq!(said.iter().filter(|line| line.ends_with("once")).count(), 1);
        });
    }
}

#[test]
fn a_repeated_key_counts_even_when_the_content_differs() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let first = scene.send("ana", keyed(text(&guild.general, "first"), "t1")).await;
        let visible = scene.store().visible();
        let second = scene.send("ana", keyed(text(&guild.general, "second"), "t1")).await;
        assert!(second.replayed && second.event_id == first.event_id);
        assert_eq!(scene.store().visible(), visible);
    });
}

#[test]
fn another_device_user_room_or_scope_makes_another_event() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let event = || keyed(text(&guild.general, "same key"), "t1");
        let first = scene.send("ana", event()).await;
        let laptop = Actor { device: "LAPTOP".to_owned(), ..actor("ana") };
        let mut others = vec![
            scene.rooms.send(&laptop, event()).await.unwrap(),
            scene.send("ben", event()).await,
            scene.send("ana", keyed(text(&guild.voice, "elsewhere"), "t1")).await,
        ];
        let mut nonce = event();
        nonce.txn.as_mut().unwrap().scope = "nonce".to_owned();
        others.push(scene.send("ana", nonce).await);
        for other in &others {
            assert!(!other.replayed && other.event_id != first.event_id);
        }
    });
}

#[test]
fn only_its_device_is_told_the_key() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", keyed(text(&guild.general, "mine"), "t1")).await;
        let mark = scene.event(&sent).await.transaction.clone().unwrap();
        assert_eq!((mark.device.as_str(), mark.id.as_str()), ("PHONE", "t1"));
        assert_eq!(Some(mark.user), scene.views().user_no(&actor("ana").user).await.unwrap());
    });
}

#[test]
fn a_redaction_happens_once_per_key() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "gone")).await;
        let redact = || Redact { txn: key("t2"), ..redaction(&guild.general, &sent) };
        let first = scene.rooms.redact(&actor("ana"), redact()).await.unwrap();
        let second = scene.rooms.redact(&actor("ana"), redact()).await.unwrap();
        assert!(!first.replayed && second.replayed);
        assert_eq!(first.event_id, second.event_id);
    });
}

#[test]
fn a_key_has_a_length() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for id in [String::new(), "k".repeat(256)] {
            let refusal =
                scene.refused(scene.rooms.send(&actor("ana"), keyed(text(&guild.general, "x"), &id))).await;
            assert!(matches!(refusal, Rejection::BadField { field: "transaction id", .. }), "{refusal:?}");
        }
    });
}
