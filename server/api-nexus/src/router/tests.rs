//! The REST calls through the router: shapes, prefixes, refusals.

use axum::{body::Body, http::Request};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::test_server::{Server, User, text};

/// Compares an object in which the ids of `names` are replaced by what they stand for.
fn check(object: &Value, names: &[(&str, &str)], expected: &Expect) {
    let mut shown = serde_json::to_string_pretty(object).unwrap();
    for (id, name) in names {
        shown = shown.replace(id, name);
    }
    expected.assert_eq(&shown);
}

async fn scene(server: &Server) -> (User<'_>, String, String) {
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    (owner, guild, channel)
}

#[tokio::test]
async fn all_prefixes_serve_the_same() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    for prefix in ["/api", "/api/v1", "/api/v9", "/api/v10"] {
        let request = Request::get(format!("{prefix}/users/@me")).header("authorization", &olga.token);
        let reply = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.ok()["id"], olga.id);
    }
}

#[tokio::test]
async fn refusals_have_discords_shape() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let nobody = User { token: String::new(), ..olga.clone() };
    let cases = [
        (&nobody, "GET", "/users/@me", "401 0"),
        (&olga, "GET", "/no/such/path", "404 0"),
        (&olga, "DELETE", "/users/@me", "405 0"),
        (&olga, "PUT", "/guilds", "405 0"),
        (&nobody, "GET", "/auth/login", "405 0"),
        (&olga, "GET", "/channels/1", "404 10003"),
        (&olga, "GET", "/channels/general", "400 50035"),
        (&olga, "GET", "/channels/%FF", "400 50035"),
        (&olga, "GET", "/guilds/1", "404 10004"),
        (&olga, "GET", "/users/1", "404 10013"),
        (&olga, "GET", "/invites/nosuch", "404 10006"),
        (&olga, "GET", "/applications/@me", "403 20002"),
    ];
    for (who, method, path, expected) in cases {
        let reply = who.call(method, path, Value::Null).await;
        assert_eq!(reply.error(), expected, "{method} {path}");
        assert_eq!(reply.headers["content-type"], "application/json", "{method} {path}");
    }
    let reply = server.raw("POST", "/guilds", &olga.token, b"{\"name\":\"\xff\"}".to_vec()).await;
    assert_eq!(reply.error(), "400 50109");
}

#[tokio::test]
async fn success_without_content_has_no_body() {
    let server = Server::start().await;
    let (owner, _, channel) = scene(&server).await;
    let reply = owner.call("POST", &format!("/channels/{channel}/typing"), Value::Null).await;
    assert_eq!(
        (reply.status.as_u16(), reply.headers.get("content-type"), reply.body),
        (204, None, Value::Null)
    );
}

#[tokio::test]
async fn the_objects_of_a_guild() {
    let server = Server::start().await;
    let (owner, guild, channel) = scene(&server).await;
    let room = text(&owner.get(&format!("/guilds/{guild}")).await["room_id"]);
    let general = text(&owner.get(&format!("/channels/{channel}")).await["room_id"]);
    let names: &[(&str, &str)] = &[
        (&owner.id, "OLGA"),
        (&guild, "GUILD"),
        (&channel, "GENERAL"),
        (&room, "!GUILD"),
        (&general, "!GENERAL"),
    ];
    check(
        &owner.get("/users/@me").await,
        names,
        &expect![[r#"
        {
          "accent_color": null,
          "avatar": null,
          "avatar_decoration_data": null,
          "banner": null,
          "bio": "",
          "bot": false,
          "discriminator": "0",
          "email": null,
          "flags": 0,
          "global_name": null,
          "id": "OLGA",
          "locale": "en-US",
          "mfa_enabled": false,
          "mxid": "@olga:a.example",
          "premium_type": 0,
          "public_flags": 0,
          "system": false,
          "username": "olga",
          "verified": true
        }"#]],
    );
    check(
        &owner.get(&format!("/guilds/{guild}/roles")).await[0],
        names,
        &expect![[r#"
        {
          "color": 0,
          "colors": {
            "primary_color": 0,
            "secondary_color": null,
            "tertiary_color": null
          },
          "description": null,
          "flags": 0,
          "hoist": false,
          "icon": null,
          "id": "GUILD",
          "managed": false,
          "mentionable": false,
          "name": "@everyone",
          "permissions": "673972814728769",
          "position": 0,
          "unicode_emoji": null
        }"#]],
    );
    check(
        &owner.get(&format!("/channels/{channel}")).await,
        names,
        &expect![[r#"
        {
          "flags": 0,
          "guild_id": "GUILD",
          "id": "GENERAL",
          "last_message_id": null,
          "last_pin_timestamp": null,
          "name": "general",
          "nsfw": false,
          "parent_id": null,
          "permission_overwrites": [],
          "permissions": "8866461766385663",
          "position": 0,
          "rate_limit_per_user": 0,
          "room_id": "!GENERAL",
          "topic": null,
          "type": 0
        }"#]],
    );
    check(
        &owner.get(&format!("/guilds/{guild}/members/@me")).await,
        names,
        &expect![[r#"
        {
          "avatar": null,
          "banner": null,
          "communication_disabled_until": null,
          "deaf": false,
          "flags": 0,
          "joined_at": "2026-11-22T00:00:00.002000+00:00",
          "mute": false,
          "nick": null,
          "pending": false,
          "premium_since": null,
          "roles": [],
          "user": {
            "accent_color": null,
            "avatar": null,
            "avatar_decoration_data": null,
            "banner": null,
            "bot": false,
            "discriminator": "0",
            "global_name": null,
            "id": "OLGA",
            "mxid": "@olga:a.example",
            "public_flags": 0,
            "system": false,
            "username": "olga"
          }
        }"#]],
    );
    let mut whole = owner.get(&format!("/guilds/{guild}")).await;
    whole["roles"] = json!("as above");
    check(
        &whole,
        names,
        &expect![[r#"
        {
          "afk_channel_id": null,
          "afk_timeout": 300,
          "application_id": null,
          "banner": null,
          "default_message_notifications": 0,
          "description": null,
          "discovery_splash": null,
          "emojis": [],
          "explicit_content_filter": 0,
          "features": [],
          "icon": null,
          "icon_hash": null,
          "id": "GUILD",
          "incidents_data": null,
          "max_members": 500000,
          "max_presences": null,
          "max_stage_video_channel_users": 50,
          "max_video_channel_users": 25,
          "mfa_level": 0,
          "name": "Guild",
          "nsfw": false,
          "nsfw_level": 0,
          "owner_id": "OLGA",
          "preferred_locale": "en-US",
          "premium_progress_bar_enabled": false,
          "premium_subscription_count": 0,
          "premium_tier": 0,
          "public_updates_channel_id": null,
          "region": "local",
          "roles": "as above",
          "room_id": "!GUILD",
          "rules_channel_id": null,
          "safety_alerts_channel_id": null,
          "splash": null,
          "stickers": [],
          "system_channel_flags": 0,
          "system_channel_id": null,
          "vanity_url_code": null,
          "verification_level": 0,
          "widget_channel_id": null,
          "widget_enabled": false
        }"#]],
    );
}

#[tokio::test]
async fn a_message_with_everything() {
    let server = Server::start().await;
    let (owner, guild, channel) = scene(&server).await;
    let bot = owner.make_bot(&guild).await;
    let path = format!("/channels/{channel}/messages");
    let first = bot.say(&channel, "question").await;
    let body = json!({
        "content": format!("hey <@{}>, see <#{channel}>", bot.id),
        "message_reference": { "message_id": first.parse::<u64>().unwrap() },
        "embeds": [{ "title": "T", "color": 255 }],
        "nonce": 17,
    });
    let answer = owner.call("POST", &path, body).await.ok();
    let general = text(&owner.get(&format!("/channels/{channel}")).await["room_id"]);
    let (answer_id, answer_event) = (text(&answer["id"]), text(&answer["event_id"]));
    let first_event = text(&answer["referenced_message"]["event_id"]);
    let bot_name = text(&bot.get("/users/@me").await["username"]);
    let names: &[(&str, &str)] = &[
        (&owner.id, "OLGA"),
        (&bot.id, "BOT"),
        (&bot_name, "helper-bot"),
        (&guild, "GUILD"),
        (&channel, "GENERAL"),
        (&general, "!GENERAL"),
        (&first, "FIRST"),
        (&first_event, "$FIRST"),
        (&answer_id, "ANSWER"),
        (&answer_event, "$ANSWER"),
    ];
    check(
        &answer,
        names,
        &expect![[r#"
        {
          "attachments": [],
          "author": {
            "accent_color": null,
            "avatar": null,
            "avatar_decoration_data": null,
            "banner": null,
            "bot": false,
            "discriminator": "0",
            "global_name": null,
            "id": "OLGA",
            "mxid": "@olga:a.example",
            "public_flags": 0,
            "system": false,
            "username": "olga"
          },
          "channel_id": "GENERAL",
          "components": [],
          "content": "hey <@BOT>, see <#GENERAL>",
          "edited_timestamp": null,
          "embeds": [
            {
              "color": 255,
              "title": "T",
              "type": "rich"
            }
          ],
          "event_id": "$ANSWER",
          "flags": 0,
          "id": "ANSWER",
          "mention_channels": [],
          "mention_everyone": false,
          "mention_roles": [],
          "mentions": [
            {
              "accent_color": null,
              "avatar": null,
              "avatar_decoration_data": null,
              "banner": null,
              "bot": true,
              "discriminator": "0",
              "global_name": "helper",
              "id": "BOT",
              "member": {
                "avatar": null,
                "banner": null,
                "communication_disabled_until": null,
                "deaf": false,
                "flags": 0,
                "joined_at": "2026-11-22T00:00:00.006000+00:00",
                "mute": false,
                "nick": null,
                "pending": false,
                "premium_since": null,
                "roles": []
              },
              "mxid": "@helper-bot:a.example",
              "public_flags": 0,
              "system": false,
              "username": "helper-bot"
            }
          ],
          "message_reference": {
            "channel_id": "GENERAL",
            "guild_id": "GUILD",
            "message_id": "FIRST",
            "type": 0
          },
          "nonce": 17,
          "pinned": false,
          "reactions": [],
          "referenced_message": {
            "attachments": [],
            "author": {
              "accent_color": null,
              "avatar": null,
              "avatar_decoration_data": null,
              "banner": null,
              "bot": true,
              "discriminator": "0",
              "global_name": "helper",
              "id": "BOT",
              "mxid": "@helper-bot:a.example",
              "public_flags": 0,
              "system": false,
              "username": "helper-bot"
            },
            "channel_id": "GENERAL",
            "components": [],
            "content": "question",
            "edited_timestamp": null,
            "embeds": [],
            "event_id": "$FIRST",
            "flags": 0,
            "id": "FIRST",
            "mention_channels": [],
            "mention_everyone": false,
            "mention_roles": [],
            "mentions": [],
            "pinned": false,
            "reactions": [],
            "timestamp": "2026-11-22T00:00:00.007000+00:00",
            "tts": false,
            "type": 0
          },
          "timestamp": "2026-11-22T00:00:00.008000+00:00",
          "tts": false,
          "type": 19
        }"#]],
    );
    let read = owner.get(&format!("{path}/{}", text(&answer["id"]))).await;
    let mut without_nonce = answer.clone();
    without_nonce.as_object_mut().unwrap().remove("nonce");
    assert_eq!(read, without_nonce);
    // What Matrix clients see of it.
    let event =
        server.views.event_by_id(text(&answer["event_id"]).as_str().try_into().unwrap()).await.unwrap();
    check(
        &event.unwrap().pdu.content_as().unwrap(),
        names,
        &expect![[r#"
        {
          "body": "hey @helper, see #general",
          "format": "org.matrix.custom.html",
          "formatted_body": "hey <a href=\"https://matrix.to/#/@helper-bot:a.example\">@helper</a>, see <a href=\"https://matrix.to/#/!GENERAL\">#general</a>",
          "m.mentions": {
            "user_ids": [
              "@helper-bot:a.example"
            ]
          },
          "m.relates_to": {
            "m.in_reply_to": {
              "event_id": "$FIRST"
            }
          },
          "msgtype": "m.text",
          "nexus.embeds": [
            {
              "color": 255,
              "title": "T",
              "type": "rich"
            }
          ],
          "nexus.source": "hey <@helper-bot:a.example>, see <#!GENERAL>"
        }"#]],
    );
}

#[tokio::test]
async fn an_edit_keeps_what_it_does_not_name() {
    let server = Server::start().await;
    let (owner, _, channel) = scene(&server).await;
    let path = format!("/channels/{channel}/messages");
    let body = json!({ "content": format!("for <@{}>", owner.id), "embeds": [{ "title": "T" }] });
    let made = owner.call("POST", &path, body).await.ok();
    let path = format!("{path}/{}", text(&made["id"]));
    let edited = owner.call("PATCH", &path, json!({ "embeds": [] })).await.ok();
    assert_eq!((&edited["content"], &edited["embeds"]), (&made["content"], &json!([])));
    assert_eq!(edited["mentions"], made["mentions"]);
    assert!(edited["edited_timestamp"].is_string());
    assert_eq!(owner.call("PATCH", &path, json!({ "content": " " })).await.error(), "400 50006");
}

#[tokio::test]
async fn an_enforced_nonce_sends_once() {
    let server = Server::start().await;
    let (owner, _, channel) = scene(&server).await;
    let path = format!("/channels/{channel}/messages");
    let send = |content: &'static str, enforce: bool| {
        let body = json!({ "content": content, "nonce": "n", "enforce_nonce": enforce });
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.call("POST", &path, body).await.ok() }
    };
    let first = send("once", true).await;
    let again = send("other words", true).await;
    assert_eq!(
        (&again["id"], &again["content"], &again["nonce"]),
        (&first["id"], &json!("once"), &json!("n"))
    );
    assert_ne!(send("once", false).await["id"], first["id"]);
}

#[tokio::test]
async fn gateway_addresses() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    assert_eq!(olga.get("/gateway").await["url"], "ws://a.example/gateway");
    check(
        &olga.get("/gateway/bot").await,
        &[],
        &expect![[r#"
        {
          "session_start_limit": {
            "max_concurrency": 16,
            "remaining": 1000,
            "reset_after": 0,
            "total": 1000
          },
          "shards": 1,
          "url": "ws://a.example/gateway"
        }"#]],
    );
    let plain = server.send(Request::get("/gateway").body(Body::empty()).unwrap()).await;
    assert_eq!(plain.error(), "426 0");
}
