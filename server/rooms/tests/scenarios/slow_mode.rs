//! Slow mode: one message in so many seconds.

use std::time::Duration;

use nexus_rooms::{ChannelChanges, ModerationRefusal, Rejection};

use crate::scene::{actor, edit, key, play, reaction, text};

#[test]
fn a_member_waits_between_two_messages_and_who_manages_does_not() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for name in ["ben", "cem"] {
            scene.comes_in(&guild, "ana", name).await;
        }
        let slow = |seconds| ChannelChanges { slowmode_s: Some(seconds), ..ChannelChanges::default() };
        scene.rooms.update_channel(&actor("ana"), guild.general.no, slow(5)).await.unwrap();
        let mut first = text(&guild.general, "one");
        first.txn = key("1");
        let sent = scene.send("ben", first.clone()).await;
        assert!(scene.send("ben", first).await.replayed, "a retry is no second message");
        scene.wait(Duration::from_secs(2)).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "two"))).await;
        let Rejection::Moderation(ModerationRefusal::SlowMode { retry_after_ms }) = refusal else {
            panic!("{refusal:?}");
        };
        assert!((2_900..=3_000).contains(&retry_after_ms), "{retry_after_ms}");
        scene.send("ben", edit(&guild.general, &sent, "uno")).await;
        scene.send("ben", reaction(&guild.general, &sent, "👍")).await;
        scene.send("ben", text(&guild.voice, "elsewhere")).await;
        scene.send("cem", text(&guild.general, "each on their own")).await;
        for _ in 0..2 {
            scene.send("ana", text(&guild.general, "an owner does not wait")).await;
        }
        scene.wait(Duration::from_millis(retry_after_ms)).await;
        scene.send("ben", text(&guild.general, "two")).await;
        scene.rooms.update_channel(&actor("ana"), guild.general.no, slow(0)).await.unwrap();
        scene.send("ben", text(&guild.general, "three")).await;
    });
}

#[test]
fn of_two_messages_at_once_one_passes() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let slow = ChannelChanges { slowmode_s: Some(60), ..ChannelChanges::default() };
        scene.rooms.update_channel(&actor("ana"), guild.general.no, slow).await.unwrap();
        let sends = (0..5).map(|number| {
            let (rooms, event) = (scene.rooms.clone(), text(&guild.general, &number.to_string()));
            async move { rooms.send(&actor("ben"), event).await.is_ok() }
        });
        let passed = scene.together(sends).await.into_iter().filter(|passed| *passed).count();
        assert_eq!(passed, 1);
    });
}
