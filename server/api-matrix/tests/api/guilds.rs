//! A guild's rooms through this API: roles decide who moderates, and who reads, before memberships follow.

use nexus_event_store::RoomNo;
use nexus_rooms::{Actor, CreateGuild, NewChannel, NewInvite, Rooms, SendEvent};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};

use crate::world::{Server, User, next_batch, segment};

struct Guild {
    no: RoomNo,
    room: String,
    channels: Vec<String>,
}

fn actor(user: &User<'_>) -> Actor {
    let user = OwnedUserId::try_from(user.id.as_str()).unwrap();
    Actor { user, device: "DEVICE".to_owned(), reason: None }
}

fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

async fn say(rooms: &Rooms, user: &User<'_>, room: &str, body: &str) {
    let event = SendEvent {
        room: OwnedRoomId::try_from(room).unwrap(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: object(json!({ "msgtype": "m.text", "body": body })),
        txn: None,
    };
    rooms.send(&actor(user), event).await.unwrap();
}

/// A guild with more channels than are left at once, all of which `others` have joined.
async fn guild(server: &Server, owner: &User<'_>, others: &[&User<'_>]) -> Guild {
    let rooms = &server.rooms;
    let no = rooms.create_guild(&actor(owner), CreateGuild { name: "Guild".to_owned() }).await.unwrap();
    let mut channels = Vec::new();
    let mut first = None;
    for number in 0..40 {
        let new = NewChannel { name: format!("c{number}"), ..NewChannel::default() };
        let channel = rooms.create_channel(&actor(owner), no, new).await.unwrap();
        first.get_or_insert(channel);
        channels.push(rooms.views().room_id(channel).await.unwrap().to_string());
    }
    let invite = rooms.create_invite(&actor(owner), first.unwrap(), NewInvite::default()).await.unwrap();
    for user in others {
        rooms.accept_invite(&actor(user), &invite.code).await.unwrap();
        for channel in &channels {
            say(rooms, user, channel, "hello").await;
        }
    }
    Guild { no, room: rooms.views().room_id(no).await.unwrap().to_string(), channels }
}

async fn jobs_done(rooms: &Rooms) {
    while !rooms.jobs().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Attack 35: sync goes on after removal. Here the removal itself is a job, and nothing may be read before it.
#[tokio::test]
async fn who_is_banned_reads_nothing_from_the_moment_it_is_acknowledged() {
    let server = Server::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let guild = guild(&server, &ana, &[&ben]).await;
    let channel = &guild.channels[3];
    let said = format!("/rooms/{}/send/m.room.message/t0", segment(channel));
    let own = ben.call("PUT", &said, json!({ "msgtype": "m.text", "body": "mine" })).await.ok();
    let mine = own["event_id"].as_str().unwrap().to_owned();
    let before = ben.sync("").await;
    assert!(before["rooms"]["join"][channel].is_object());
    let body = json!({ "user_id": ben.id, "reason": "because" });
    ana.call("POST", &format!("/rooms/{}/ban", segment(&guild.room)), body).await.ok();
    say(&server.rooms, &ana, channel, "secret").await;

    // The job has not begun: the channel's room still has ben as a member.
    let own = format!("/rooms/{}/state/m.room.member/{}", segment(channel), segment(&ben.id));
    assert_eq!(ana.get(&own).await.ok()["membership"], "join");
    for path in
        ["messages?dir=b", "state", "state/m.room.name", "members", "joined_members", "state/m.room.create"]
    {
        for room in [channel, &guild.room] {
            let reply = ben.get(&format!("/rooms/{}/{path}", segment(room))).await;
            assert_eq!(reply.error(), "403 M_FORBIDDEN", "{path}");
        }
    }
    let send = format!("/rooms/{}/send/m.room.message/t1", segment(channel));
    assert_eq!(ben.call("PUT", &send, json!({ "body": "x" })).await.error(), "403 M_FORBIDDEN");
    for room in [channel, &guild.room] {
        let join = ben.call("POST", &format!("/join/{}", segment(room)), json!({})).await;
        assert_eq!(join.error(), "403 M_FORBIDDEN");
    }
    let redact = format!("/rooms/{}/redact/{}/t2", segment(channel), segment(&mine));
    assert_eq!(ben.call("PUT", &redact, json!({})).await.error(), "403 M_FORBIDDEN");
    for path in [format!("event/{}", segment(&mine)), format!("context/{}", segment(&mine))] {
        let reply = ben.get(&format!("/rooms/{}/{path}", segment(channel))).await;
        assert!(reply.error().starts_with("40"), "{path}: {}", reply.error());
        assert!(!reply.body.to_string().contains("mine"));
    }
    let typing = format!("/rooms/{}/typing/{}", segment(channel), segment(&ben.id));
    assert_eq!(ben.call("PUT", &typing, json!({ "typing": true })).await.error(), "403 M_FORBIDDEN");
    assert_eq!(ben.get("/joined_rooms").await.ok()["joined_rooms"], json!([]));
    let told = ben.sync_since(&before).await;
    assert!(!told.to_string().contains("secret"));
    assert_eq!(told["rooms"]["join"], json!({}));
    let ending = told["rooms"]["leave"][&guild.room]["timeline"]["events"].as_array().unwrap();
    assert_eq!((ending.len(), &ending[0]["content"]["membership"]), (1, &json!("ban")));

    server.rooms.start_jobs();
    jobs_done(&server.rooms).await;
    let left = ben.sync_since(&told).await;
    assert!(!left.to_string().contains("secret"));
    assert_eq!(left["rooms"]["leave"].as_object().unwrap().len(), guild.channels.len());
    assert!(!ben.sync("").await.to_string().contains("secret"));
    assert_eq!(ana.get(&own).await.ok()["membership"], "leave");
    assert!(next_batch(&left) != next_batch(&told));
}

#[tokio::test]
async fn roles_decide_who_kicks_and_bans_in_a_guild_and_its_channels() {
    let server = Server::start().await;
    server.rooms.start_jobs();
    let (ana, ben, cem) =
        (server.register("ana").await, server.register("ben").await, server.register("cem").await);
    let guild = guild(&server, &ana, &[&ben, &cem]).await;
    let act = async |who: &User<'_>, deed: &str, room: &str| {
        let body = json!({ "user_id": cem.id });
        who.call("POST", &format!("/rooms/{}/{deed}", segment(room)), body).await
    };
    for room in [&guild.room, &guild.channels[0]] {
        for deed in ["kick", "ban", "unban"] {
            assert_eq!(act(&ben, deed, room).await.error(), "403 M_FORBIDDEN", "{deed}");
        }
    }
    let is_in = async || {
        let user = OwnedUserId::try_from(cem.id.as_str()).unwrap();
        let user = server.rooms.views().user_no(&user).await.unwrap().unwrap();
        server.rooms.views().guild_member(guild.no, user).await.unwrap().is_some()
    };
    act(&ana, "kick", &guild.channels[0]).await.ok();
    assert!(!is_in().await, "to be kicked from a channel is to be kicked from the guild");
    act(&ana, "ban", &guild.channels[0]).await.ok();
    let path = format!("/rooms/{}/state/m.room.member/{}", segment(&guild.room), segment(&cem.id));
    assert_eq!(ana.get(&path).await.ok()["membership"], "ban");
    act(&ana, "unban", &guild.room).await.ok();
    assert_eq!(act(&ana, "unban", &guild.room).await.error(), "403 M_FORBIDDEN");
    jobs_done(&server.rooms).await;
}

#[tokio::test]
async fn slow_mode_says_when_to_come_back() {
    let server = Server::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let guild = guild(&server, &ana, &[]).await;
    let channel = OwnedRoomId::try_from(guild.channels[0].as_str()).unwrap();
    let no = server.rooms.views().room_no(&channel).await.unwrap().unwrap();
    let invite = server.rooms.create_invite(&actor(&ana), no, NewInvite::default()).await.unwrap();
    server.rooms.accept_invite(&actor(&ben), &invite.code).await.unwrap();
    let slow = nexus_rooms::ChannelChanges { slowmode_s: Some(10), ..Default::default() };
    server.rooms.update_channel(&actor(&ana), no, slow).await.unwrap();
    let send = async |id: u8| {
        let path = format!("/rooms/{}/send/m.room.message/{id}", segment(&guild.channels[0]));
        ben.call("PUT", &path, json!({ "msgtype": "m.text", "body": "x" })).await
    };
    send(1).await.ok();
    let refused = send(2).await;
    assert_eq!(refused.error(), "429 M_LIMIT_EXCEEDED");
    let wait_ms = refused.body["retry_after_ms"].as_u64().unwrap();
    assert!((9_000..=10_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!(refused.headers["retry-after"], "10");
    server.clock.advance(std::time::Duration::from_millis(wait_ms));
    send(2).await.ok();
}
