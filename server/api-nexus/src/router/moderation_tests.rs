//! Kick, ban, bulk ban, prune, slow mode and a new owner through the router, and what the gateway tells.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::test_server::{Reply, Server, User};

struct Scene<'a> {
    olga: User<'a>,
    max: User<'a>,
    guild: String,
    channel: String,
}

/// Olga's guild, with Max in it.
async fn scene(server: &Server) -> Scene<'_> {
    let olga = server.register("olga").await;
    let max = server.register("max").await;
    let (guild, channel) = olga.make_guild().await;
    max.join(&olga, &channel).await;
    Scene { olga, max, guild, channel }
}

impl Scene<'_> {
    fn at(&self, path: &str) -> String {
        format!("/guilds/{}{path}", self.guild)
    }

    fn ban_of(&self, user: &User<'_>) -> String {
        self.at(&format!("/bans/{}", user.id))
    }
}

async fn with_reason(user: &User<'_>, method: &str, path: &str, reason: &str) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v10{path}"))
        .header("Authorization", &user.token)
        .header("X-Audit-Log-Reason", reason);
    user.server.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_ban_is_told_listed_and_lifted() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let path = scene.ban_of(&scene.max);
    assert_eq!(scene.olga.call("GET", &path, Value::Null).await.error(), "404 10026");
    assert_eq!(scene.olga.call("DELETE", &path, Value::Null).await.error(), "404 10026");
    let eve = server.register("eve").await;
    assert_eq!(scene.max.call("PUT", &scene.ban_of(&eve), json!({})).await.error(), "403 50013");
    let banned = with_reason(&scene.olga, "PUT", &path, "spam%20%F0%9F%91%8E").await;
    assert_eq!((banned.status, &banned.body), (StatusCode::NO_CONTENT, &Value::Null));
    let ban = scene.olga.get(&path).await;
    assert_eq!((&ban["reason"], &ban["user"]["id"]), (&json!("spam 👎"), &json!(scene.max.id)));
    scene.olga.call("PUT", &scene.ban_of(&eve), json!({ "delete_message_seconds": 60 })).await.ok();
    let ids = |list: Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|ban| ban["user"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let (max, eve_id) = (scene.max.id.clone(), eve.id.clone());
    for (query, expected) in [
        ("", vec![max.clone(), eve_id.clone()]),
        ("?limit=1", vec![max.clone()]),
        (&format!("?after={max}"), vec![eve_id.clone()]),
        (&format!("?before={eve_id}"), vec![max.clone()]),
        (&format!("?before={eve_id}&limit=1"), vec![max]),
        (&format!("?after={eve_id}"), vec![]),
    ] {
        assert_eq!(ids(scene.olga.get(&scene.at(&format!("/bans{query}"))).await), expected, "{query}");
    }
    let lists = scene.at("/bans?limit=1001");
    assert_eq!(scene.olga.call("GET", &lists, Value::Null).await.error(), "400 50035");
    assert_eq!(scene.max.call("GET", &scene.at("/bans"), Value::Null).await.error(), "404 10004");
    scene.olga.call("DELETE", &path, Value::Null).await.ok();
    scene.max.join(&scene.olga, &scene.channel).await;
    assert_eq!(scene.max.call("GET", &scene.at("/bans"), Value::Null).await.error(), "403 50013");
}

/// Attack 35: nothing is read after a removal, by any call.
#[tokio::test]
async fn who_is_banned_or_kicked_reads_nothing_any_more() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let message = scene.max.say(&scene.channel, "mine").await;
    let reads = [
        (scene.at(""), "404 10004"),
        (scene.at("/channels"), "404 10004"),
        (scene.at("/members"), "404 10004"),
        (scene.at("/roles"), "404 10004"),
        (format!("/channels/{}", scene.channel), "403 50001"),
        (format!("/channels/{}/messages", scene.channel), "403 50001"),
        (format!("/channels/{}/messages/{message}", scene.channel), "403 50001"),
    ];
    for deed in ["ban", "kick"] {
        let (method, path) = match deed {
            "ban" => ("PUT", scene.ban_of(&scene.max)),
            _ => ("DELETE", scene.at(&format!("/members/{}", scene.max.id))),
        };
        scene.olga.call(method, &path, Value::Null).await.ok();
        for (path, error) in &reads {
            assert_eq!(scene.max.call("GET", path, Value::Null).await.error(), *error, "{deed} {path}");
        }
        assert_eq!(scene.max.get("/users/@me/guilds").await, json!([]));
        let invites = format!("/channels/{}/invites", scene.channel);
        let code =
            scene.olga.call("POST", &invites, json!({})).await.ok()["code"].as_str().unwrap().to_owned();
        let accepted = scene.max.call("POST", &format!("/invites/{code}"), json!({})).await;
        if deed == "ban" {
            assert_eq!(accepted.error(), "403 40007");
            scene.olga.call("DELETE", &scene.ban_of(&scene.max), Value::Null).await.ok();
            scene.max.join(&scene.olga, &scene.channel).await;
        } else {
            accepted.ok();
        }
    }
    let gone = scene.at(&format!("/members/{}", server.register("eve").await.id));
    assert_eq!(scene.olga.call("DELETE", &gone, Value::Null).await.error(), "404 10007");
    let owner = scene.at(&format!("/members/{}", scene.olga.id));
    assert_eq!(scene.olga.call("DELETE", &owner, Value::Null).await.error(), "403 50013");
}

#[tokio::test]
async fn a_bulk_ban_says_who_and_who_not() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let path = scene.at("/bulk-ban");
    let body = json!({ "user_ids": [scene.max.id, scene.olga.id, "1"] });
    let outcome = scene.olga.call("POST", &path, body.clone()).await;
    assert_eq!(outcome.status, StatusCode::OK);
    assert_eq!(outcome.body["banned_users"], json!([scene.max.id]));
    assert_eq!(outcome.body["failed_users"], json!(["1", scene.olga.id]));
    assert_eq!(scene.olga.call("POST", &path, body).await.error(), "400 500000", "all failed");
    for bad in [json!({}), json!({ "user_ids": [] }), json!({ "user_ids": vec!["1"; 201] })] {
        assert_eq!(scene.olga.call("POST", &path, bad).await.error(), "400 50035");
    }
}

#[tokio::test]
async fn a_prune_counts_and_takes_out() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let path = scene.at("/prune");
    assert_eq!(scene.olga.get(&path).await, json!({ "pruned": 0 }), "nobody is here for so long");
    for bad in ["?days=0", "?days=31", "?days=x"] {
        assert_eq!(scene.olga.call("GET", &format!("{path}{bad}"), Value::Null).await.error(), "400 50035");
    }
    assert_eq!(scene.max.call("POST", &path, json!({})).await.error(), "403 50013");
    let done = scene.olga.call("POST", &path, json!({ "days": 1, "compute_prune_count": false })).await;
    assert_eq!(done.ok(), json!({ "pruned": null }));
}

#[tokio::test]
async fn slow_mode_is_a_shared_limit_with_its_own_code() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let channel = format!("/channels/{}", scene.channel);
    scene.olga.call("PATCH", &channel, json!({ "rate_limit_per_user": 10 })).await.ok();
    scene.max.say(&scene.channel, "one").await;
    let body = json!({ "content": "two" });
    let refused = scene.max.call("POST", &format!("{channel}/messages"), body).await;
    assert_eq!(refused.error(), "429 20016");
    let wait_s = refused.body["retry_after"].as_f64().unwrap();
    assert!((9.0..=10.0).contains(&wait_s), "{wait_s}");
    assert_eq!(refused.body["global"], json!(false));
    assert_eq!(refused.headers["retry-after"], "10");
    assert_eq!(refused.headers["x-ratelimit-scope"], "shared");
    assert!(refused.headers.contains_key("via"), "discord.py needs it");
    for number in 0..3 {
        scene.olga.say(&scene.channel, &number.to_string()).await;
    }
}

#[tokio::test]
async fn the_owner_hands_the_guild_over() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let eve = server.register("eve").await;
    let to = |user: &User<'_>| json!({ "owner_id": user.id });
    assert_eq!(scene.max.call("PATCH", &scene.at(""), to(&scene.max)).await.error(), "403 50013");
    assert_eq!(scene.olga.call("PATCH", &scene.at(""), to(&eve)).await.error(), "404 10007");
    let guild = scene.olga.call("PATCH", &scene.at(""), to(&scene.max)).await.ok();
    assert_eq!(guild["owner_id"], json!(scene.max.id));
    assert_eq!(scene.olga.call("DELETE", &scene.at(""), Value::Null).await.error(), "403 50013");
    scene.max.call("DELETE", &scene.at(""), Value::Null).await.ok();
}
