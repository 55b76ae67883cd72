//! Which permission what is sent into a channel needs; the same for what Matrix clients send.

use nexus_rooms::{NewOverwrite, Rejection, SendEvent};
use nexus_views::{OverwriteTarget, Permissions};
use serde_json::{Value, json};

use crate::scene::{Guild, Scene, actor, edit, event, missing, play, reaction, text};

impl Scene {
    async fn deny(&self, guild: &Guild, deny: Permissions) {
        let allow = Permissions::NONE;
        let overwrite = NewOverwrite { target: OverwriteTarget::Role(0), allow, deny };
        self.rooms.set_overwrite(&actor("ana"), guild.general.no, overwrite).await.unwrap();
    }

    /// What ben may not do without `denied`, and may with it.
    async fn needs(&self, guild: &Guild, denied: Permissions, event: SendEvent) {
        self.deny(guild, denied).await;
        let refusal = self.refused(self.rooms.send(&actor("ben"), event.clone())).await;
        assert_eq!(refusal, missing(denied), "{event:?}");
        self.deny(guild, Permissions::NONE).await;
        self.send("ben", event).await;
    }
}

fn message(guild: &Guild, more: Value) -> SendEvent {
    let mut content = json!({ "msgtype": "m.text", "body": "hi" });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event(&guild.general, "m.room.message", content)
}

#[test]
fn each_thing_in_a_message_has_its_permission() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let asked = scene.send("ana", text(&guild.general, "well?")).await;
        let general = &guild.general;
        let reply = json!({ "m.relates_to": { "m.in_reply_to": { "event_id": asked.event_id } } });
        let file = json!({ "msgtype": "m.file", "url": "mxc://sim.example/x" });
        for (denied, event) in [
            (Permissions::SEND_MESSAGES, message(&guild, json!({}))),
            (Permissions::ATTACH_FILES, message(&guild, file)),
            (Permissions::EMBED_LINKS, message(&guild, json!({ "nexus.embeds": [{ "title": "t" }] }))),
            (Permissions::READ_MESSAGE_HISTORY, message(&guild, reply)),
            (Permissions::USE_EXTERNAL_STICKERS, event(general, "m.sticker", json!({ "body": "s" }))),
            (Permissions::READ_MESSAGE_HISTORY, reaction(general, &asked, "👍")),
            (Permissions::ADD_REACTIONS, reaction(general, &asked, "🎉")),
            (Permissions::USE_EXTERNAL_EMOJIS, reaction(general, &asked, "mxc://sim.example/e")),
        ] {
            scene.needs(&guild, denied, event).await;
        }
        // Pinging everyone is for those who were given it.
        let loud = message(&guild, json!({ "m.mentions": { "room": true } }));
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), loud.clone())).await;
        assert_eq!(refusal, missing(Permissions::MENTION_EVERYONE));
        scene.send("ana", loud).await;
        let aloud = message(&guild, json!({ "nexus.tts": true }));
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), aloud)).await;
        assert_eq!(refusal, missing(Permissions::SEND_TTS_MESSAGES));
    });
}

#[test]
fn everyone_may_join_in_a_reaction() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let asked = scene.send("ana", text(&guild.general, "well?")).await;
        scene.deny(&guild, Permissions::ADD_REACTIONS).await;
        let refusal =
            scene.refused(scene.rooms.send(&actor("ben"), reaction(&guild.general, &asked, "👍"))).await;
        assert_eq!(refusal, missing(Permissions::ADD_REACTIONS));
        scene.send("ana", reaction(&guild.general, &asked, "👍")).await;
        scene.send("ben", reaction(&guild.general, &asked, "👍")).await;
    });
}

#[test]
fn threads_have_a_permission_of_their_own() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let root = scene.send("ana", text(&guild.general, "a thread")).await;
        let thread = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": root.event_id } });
        let inside = message(&guild, thread);
        scene.deny(&guild, Permissions::SEND_MESSAGES).await;
        scene.send("ben", inside.clone()).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "x"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
        scene.deny(&guild, Permissions::SEND_MESSAGES_IN_THREADS).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), inside)).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES_IN_THREADS));
        scene.send("ben", text(&guild.general, "x")).await;
    });
}

#[test]
fn an_edit_brings_in_nothing_that_could_not_be_sent() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let sent = scene.send("ben", text(&guild.general, "hi")).await;
        scene.deny(&guild, Permissions::EMBED_LINKS.with(Permissions::SEND_MESSAGES)).await;
        scene.send("ben", edit(&guild.general, &sent, "hello")).await;
        let mut with_embed = edit(&guild.general, &sent, "look");
        let new = json!({ "msgtype": "m.text", "body": "look", "nexus.embeds": [{ "title": "t" }] });
        with_embed.content.insert("m.new_content".to_owned(), new.try_into().unwrap());
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), with_embed)).await;
        assert_eq!(refusal, missing(Permissions::EMBED_LINKS));
    });
}

#[test]
fn a_voice_channel_without_connect_takes_no_messages() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let overwrite = NewOverwrite {
            target: OverwriteTarget::Role(0),
            allow: Permissions::NONE,
            deny: Permissions::CONNECT,
        };
        scene.rooms.set_overwrite(&actor("ana"), guild.voice.no, overwrite).await.unwrap();
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.voice, "hi"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
    });
}

/// What was said of a channel is gone: it stays the guild's, and closed, until it is said anew.
#[test]
fn an_emptied_channel_is_closed() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        scene.send("ben", text(&guild.general, "in it")).await;
        scene.decree(&guild, "nexus.channel", guild.general.id.as_str(), json!({})).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "hi"))).await;
        assert_eq!(refusal, missing(Permissions::VIEW_CHANNEL));
        let refusal = scene.refused(scene.rooms.join(&actor("cem"), &guild.general.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        let said = json!({ "kind": "text", "position": 0 });
        scene.decree(&guild, "nexus.channel", guild.general.id.as_str(), said).await;
        scene.send("ben", text(&guild.general, "open again")).await;
    });
}
