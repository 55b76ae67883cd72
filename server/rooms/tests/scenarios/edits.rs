//! Edits.

use std::time::Duration;

use nexus_views::Permissions;
use serde_json::json;

use crate::scene::{actor, edit, event, missing, play, redaction, text};

#[test]
fn the_newest_edit_shows() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "first")).await;
        for body in ["second", "third"] {
            scene.wait(Duration::from_millis(5)).await;
            let edited = scene.send("ana", edit(&guild.general, &sent, body)).await;
            assert_eq!(edited.snowflake, None, "an edit is no message");
            assert_eq!(scene.says(&sent).await, body);
        }
    });
}

#[test]
fn when_the_newest_edit_is_redacted_the_one_before_shows() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "first")).await;
        let mut edits = Vec::new();
        for body in ["second", "third", "fourth"] {
            scene.wait(Duration::from_millis(5)).await;
            edits.push(scene.send("ana", edit(&guild.general, &sent, body)).await);
        }
        // One in the middle does not matter; then from the newest on.
        for (undone, left) in [(1, "fourth"), (2, "second"), (0, "first")] {
            scene.rooms.redact(&actor("ana"), redaction(&guild.general, &edits[undone])).await.unwrap();
            assert_eq!(scene.says(&sent).await, left);
        }
    });
}

#[test]
fn only_the_authors_edits_count() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ana", text(&guild.general, "mine")).await;
        scene.send("ben", edit(&guild.general, &sent, "not yours")).await;
        assert_eq!(scene.says(&sent).await, "mine");
        // Nor does it come up once an edit of the author's is gone.
        scene.wait(Duration::from_millis(5)).await;
        let own = scene.send("ana", edit(&guild.general, &sent, "still mine")).await;
        scene.rooms.redact(&actor("ana"), redaction(&guild.general, &own)).await.unwrap();
        assert_eq!(scene.says(&sent).await, "mine");
    });
}

#[test]
fn an_edit_of_another_type_or_without_new_content_does_not_count() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "mine")).await;
        let relates = json!({ "rel_type": "m.replace", "event_id": sent.event_id });
        let sticker = json!({ "body": "s", "m.new_content": { "body": "s" }, "m.relates_to": relates });
        scene.send("ana", event(&guild.general, "m.sticker", sticker)).await;
        let empty = json!({ "body": "*", "m.relates_to": relates });
        scene.send("ana", event(&guild.general, "m.room.message", empty)).await;
        assert_eq!(scene.says(&sent).await, "mine");
    });
}

/// One may correct oneself where one may no longer write, but not write under that pretext.
#[test]
fn without_the_permission_to_write_only_real_edits_are_let_through() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let own = scene.send("ben", text(&guild.general, "first")).await;
        let other = scene.send("ana", text(&guild.general, "hers")).await;
        scene.deny_everyone(&guild, &guild.general, Permissions::SEND_MESSAGES).await;
        scene.send("ben", edit(&guild.general, &own, "corrected")).await;
        assert_eq!(scene.says(&own).await, "corrected");
        let refusal =
            scene.refused(scene.rooms.send(&actor("ben"), edit(&guild.general, &other, "spam"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
        scene.rooms.redact(&actor("ben"), redaction(&guild.general, &own)).await.unwrap();
        let refusal =
            scene.refused(scene.rooms.send(&actor("ben"), edit(&guild.general, &own, "back"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
    });
}

/// What a message said is in its edits too.
#[test]
fn a_redacted_message_takes_its_authors_edits_along() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ben", text(&guild.general, "first")).await;
        let mut edits = Vec::new();
        for body in ["second", "third"] {
            edits.push(scene.send("ben", edit(&guild.general, &sent, body)).await);
        }
        let before = scene.store().visible();
        // Whoever it is that takes the message away.
        scene.rooms.redact(&actor("ana"), redaction(&guild.general, &sent)).await.unwrap();
        assert_eq!(scene.store().visible(), before.next(), "in one commit");
        for event in edits.iter().chain([&sent]) {
            assert_eq!(scene.event(event).await.pdu.content().get(), "{}");
        }
        assert!(scene.message(&sent).await.is_none());
    });
}
