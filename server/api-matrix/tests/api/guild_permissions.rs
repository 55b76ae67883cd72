//! Matrix clients in the channels of a guild: roles and overwrites bind them as they bind Discord's.

use nexus_event_store::RoomNo;
use nexus_rooms::{Actor, CreateGuild, NewInvite, NewOverwrite, RoleFields};
use nexus_views::{ChannelKind, OverwriteTarget, Permissions};
use ruma::UserId;
use serde_json::{Value, json};

use crate::world::{Reply, Server, User, message, segment};

struct Scene<'a> {
    server: &'a Server,
    owner: User<'a>,
    bob: User<'a>,
    guild: RoomNo,
    general: RoomNo,
    room: String,
}

fn actor(user: &User<'_>) -> Actor {
    Actor { user: UserId::parse(&user.id).unwrap(), device: "D".to_owned(), reason: None }
}

/// A guild of olga with bob in it, who uses a Matrix client.
async fn scene(server: &Server) -> Scene<'_> {
    let (owner, bob) = (server.register("olga").await, server.register("bob").await);
    let rooms = &server.rooms;
    let guild = rooms.create_guild(&actor(&owner), CreateGuild { name: "Guild".to_owned() }).await.unwrap();
    let channels = rooms.views().channels(guild).await.unwrap();
    let general = channels.iter().find(|channel| channel.info.kind == ChannelKind::Text).unwrap();
    let invite = rooms.create_invite(&actor(&owner), general.room, NewInvite::default()).await.unwrap();
    rooms.accept_invite(&actor(&bob), &invite.code).await.unwrap();
    bob.join(general.room_id.as_str()).await;
    let (room, general) = (general.room_id.to_string(), general.room);
    Scene { server, owner, bob, guild, general, room }
}

impl Scene<'_> {
    async fn overwrite(&self, allow: Permissions, deny: Permissions) {
        let overwrite = NewOverwrite { target: OverwriteTarget::Role(0), allow, deny };
        self.server.rooms.set_overwrite(&actor(&self.owner), self.general, overwrite).await.unwrap();
    }

    async fn put(&self, who: &User<'_>, kind: &str, txn: &str, content: Value) -> Reply {
        who.call("PUT", &format!("/rooms/{}/send/{kind}/{txn}", segment(&self.room)), content).await
    }
}

#[tokio::test]
async fn what_roles_deny_is_forbidden() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let asked = scene.owner.say(&scene.room, "well?").await;
    let relates = json!({ "rel_type": "m.annotation", "event_id": asked, "key": "🎉" });
    let reply = json!({ "m.in_reply_to": { "event_id": asked } });
    let cases = [
        (Permissions::SEND_MESSAGES, "m.room.message", message("hi")),
        (
            Permissions::ATTACH_FILES,
            "m.room.message",
            json!({ "msgtype": "m.image", "body": "x", "url": "mxc://a/b" }),
        ),
        (
            Permissions::READ_MESSAGE_HISTORY,
            "m.room.message",
            json!({ "msgtype": "m.text", "body": "x", "m.relates_to": reply }),
        ),
        (Permissions::ADD_REACTIONS, "m.reaction", json!({ "m.relates_to": relates })),
        (
            Permissions::USE_EXTERNAL_STICKERS,
            "m.sticker",
            json!({ "body": "x", "url": "mxc://a/b", "info": {} }),
        ),
        (Permissions::SEND_MESSAGES, "m.room.encrypted", json!({ "algorithm": "m.megolm.v1.aes-sha2" })),
    ];
    for (number, (denied, kind, content)) in cases.into_iter().enumerate() {
        scene.overwrite(Permissions::NONE, denied).await;
        let refused = scene.put(&scene.bob, kind, &format!("no{number}"), content.clone()).await;
        assert_eq!(refused.error(), "403 M_FORBIDDEN", "{kind} {denied}");
        scene.overwrite(Permissions::NONE, Permissions::NONE).await;
        scene.put(&scene.bob, kind, &format!("yes{number}"), content).await.ok();
    }
    let loud = json!({ "msgtype": "m.text", "body": "@room", "m.mentions": { "room": true } });
    assert_eq!(scene.put(&scene.bob, "m.room.message", "l1", loud.clone()).await.error(), "403 M_FORBIDDEN");
    scene.overwrite(Permissions::MENTION_EVERYONE, Permissions::NONE).await;
    scene.put(&scene.bob, "m.room.message", "l2", loud).await.ok();
    let redact = format!("/rooms/{}/redact/{}/r1", segment(&scene.room), segment(&asked));
    assert_eq!(scene.bob.call("PUT", &redact, json!({})).await.error(), "403 M_FORBIDDEN");
    scene.overwrite(Permissions::MANAGE_MESSAGES, Permissions::NONE).await;
    scene.bob.call("PUT", &redact.replace("r1", "r2"), json!({})).await.ok();
    let name = format!("/rooms/{}/state/m.room.name/", segment(&scene.room));
    assert_eq!(scene.bob.call("PUT", &name, json!({ "name": "mine" })).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn a_channel_out_of_view_is_neither_written_nor_read() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let said = scene.owner.say(&scene.room, "before").await;
    let messages = format!("/rooms/{}/messages?dir=b&limit=5", segment(&scene.room));
    let event = format!("/rooms/{}/event/{}", segment(&scene.room), segment(&said));
    assert_eq!(scene.bob.get(&event).await.ok()["content"]["body"], "before");

    scene.overwrite(Permissions::NONE, Permissions::READ_MESSAGE_HISTORY).await;
    let chunk = scene.bob.get(&messages).await.ok()["chunk"].clone();
    let texts = chunk.as_array().unwrap().iter().filter(|event| event["type"] == "m.room.message").count();
    assert_eq!(texts, 0, "{chunk:#}");
    assert_eq!(scene.bob.get(&event).await.error(), "404 M_NOT_FOUND");

    scene.overwrite(Permissions::NONE, Permissions::VIEW_CHANNEL).await;
    assert_eq!(scene.bob.get(&messages).await.error(), "403 M_FORBIDDEN");
    assert_eq!(scene.put(&scene.bob, "m.room.message", "v", message("hi")).await.error(), "403 M_FORBIDDEN");
    let stranger = server.register("eve").await;
    let join = format!("/join/{}", segment(&scene.room));
    assert_eq!(stranger.call("POST", &join, json!({})).await.error(), "403 M_FORBIDDEN");

    // A role that sees everything opens it again.
    let fields = RoleFields { permissions: Some(Permissions::ADMINISTRATOR), ..RoleFields::default() };
    let owner = actor(&scene.owner);
    let role = server.rooms.create_role(&owner, scene.guild, fields).await.unwrap();
    let changes =
        nexus_rooms::MemberChanges { more_roles: vec![role], ..nexus_rooms::MemberChanges::default() };
    server.rooms.update_member(&owner, scene.guild, &actor(&scene.bob).user, changes).await.unwrap();
    scene.bob.say(&scene.room, "back").await;
    assert_eq!(scene.bob.get(&event).await.ok()["content"]["body"], "before");
}
