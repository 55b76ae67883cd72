//! Reactions.

use nexus_rooms::Rejection;
use nexus_views::Permissions;
use ruma::EventId;
use serde_json::json;

use crate::scene::{Scene, actor, event, missing, play, reaction, redaction, text};

async fn counts(scene: &Scene, sent: &nexus_rooms::Sent) -> Vec<(String, usize)> {
    let message = scene.message(sent).await.unwrap();
    message.reactions.into_iter().map(|reaction| (reaction.key, reaction.count)).collect()
}

#[test]
fn each_emoji_is_counted_oldest_first() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        for (who, emoji) in [("ben", "🎉"), ("ana", "👍"), ("ben", "👍")] {
            scene.send(who, reaction(&guild.general, &sent, emoji)).await;
        }
        assert_eq!(counts(scene, &sent).await, [("🎉".to_owned(), 1), ("👍".to_owned(), 2)]);
    });
}

#[test]
fn one_reacts_with_one_emoji_once() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        let first = scene.send("ana", reaction(&guild.general, &sent, "👍")).await;
        let ana = actor("ana");
        let again = || scene.rooms.send(&ana, reaction(&guild.general, &sent, "👍"));
        assert_eq!(scene.refused(again()).await, Rejection::DuplicateReaction);
        scene.rooms.redact(&ana, redaction(&guild.general, &first)).await.unwrap();
        assert_eq!(counts(scene, &sent).await, []);
        again().await.unwrap();
        assert_eq!(counts(scene, &sent).await, [("👍".to_owned(), 1)]);
    });
}

#[test]
fn of_many_at_once_one_counts() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        let outcomes = scene
            .together((0..8).map(|_| {
                let (rooms, event) = (scene.rooms.clone(), reaction(&guild.general, &sent, "👍"));
                async move { rooms.send(&actor("ana"), event).await.is_ok() }
            }))
            .await;
        assert_eq!(outcomes.into_iter().filter(|ok| *ok).count(), 1);
        assert_eq!(counts(scene, &sent).await, [("👍".to_owned(), 1)]);
    });
}

#[test]
fn there_must_be_something_to_react_to() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let mut sent = scene.send("ana", text(&guild.general, "here")).await;
        let elsewhere = reaction(&guild.voice, &sent, "👍");
        assert_eq!(scene.refused(scene.rooms.send(&actor("ana"), elsewhere)).await, Rejection::UnknownEvent);
        sent.event_id = EventId::parse("$nothing").unwrap();
        let nothing = reaction(&guild.general, &sent, "👍");
        assert_eq!(scene.refused(scene.rooms.send(&actor("ana"), nothing)).await, Rejection::UnknownEvent);
    });
}

#[test]
fn an_emoji_has_a_length() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        for emoji in [String::new(), "x".repeat(256)] {
            let refusal =
                scene.refused(scene.rooms.send(&actor("ana"), reaction(&guild.general, &sent, &emoji))).await;
            assert!(matches!(refusal, Rejection::BadField { field: "key", .. }), "{refusal:?}");
        }
    });
}

#[test]
fn reacting_needs_the_permission() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "no comments")).await;
        scene.deny_everyone(&guild, &guild.general, Permissions::ADD_REACTIONS).await;
        let refusal =
            scene.refused(scene.rooms.send(&actor("ben"), reaction(&guild.general, &sent, "👍"))).await;
        assert_eq!(refusal, missing(Permissions::ADD_REACTIONS));
    });
}

/// Only `m.reaction` is checked for being sent twice, so only that may count.
#[test]
fn other_events_that_annotate_are_no_reactions() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "well?")).await;
        let relates = json!({ "rel_type": "m.annotation", "event_id": sent.event_id, "key": "👍" });
        for _ in 0..2 {
            let content = json!({ "body": "a message", "m.relates_to": relates });
            scene.send("ana", event(&guild.general, "m.room.message", content)).await;
        }
        assert_eq!(counts(scene, &sent).await, []);
    });
}
