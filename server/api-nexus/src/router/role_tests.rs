//! Roles, members and overwrites through the router.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::test_server::{Reply, Server, User, text};

const MANAGE_ROLES: u64 = 1 << 28;
const SEND_MESSAGES: u64 = 1 << 11;
const VIEW_CHANNEL: u64 = 1 << 10;

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
    async fn role(&self, body: Value) -> Value {
        self.olga.call("POST", &format!("/guilds/{}/roles", self.guild), body).await.ok()
    }

    fn at(&self, path: &str) -> String {
        format!("/guilds/{}{path}", self.guild)
    }

    async fn max_says(&self) -> Reply {
        self.max
            .call("POST", &format!("/channels/{}/messages", self.channel), json!({ "content": "x" }))
            .await
    }

    async fn give(&self, role: &str) {
        let path = self.at(&format!("/members/{}/roles/{role}", self.max.id));
        assert_eq!(self.olga.call("PUT", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_role_is_made_changed_moved_given_and_deleted() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let everyone = scene.olga.get(&scene.at("/roles")).await[0]["permissions"].clone();
    let plain = scene.role(json!({})).await;
    assert_eq!((&plain["name"], &plain["permissions"]), (&json!("new role"), &everyone));
    let role = scene.role(json!({
        "name": "mods",
        "permissions": (MANAGE_ROLES | 1 << 62).to_string(),
        "colors": { "primary_color": 255, "secondary_color": null },
        "hoist": true,
    }));
    let role = role.await;
    let id = text(&role["id"]);
    assert_eq!(role["permissions"], MANAGE_ROLES.to_string(), "only bits that mean something");
    assert_eq!((&role["color"], &role["colors"]["primary_color"]), (&json!(255), &json!(255)));
    let path = scene.at(&format!("/roles/{id}"));
    let changed = scene.olga.call("PATCH", &path, json!({ "name": "moderators", "color": 1 })).await.ok();
    assert_eq!((&changed["name"], &changed["color"]), (&json!("moderators"), &json!(1)));
    assert_eq!(scene.olga.get(&path).await, changed);
    let moved = json!([{ "id": id, "position": 2 }]);
    let roles = scene.olga.call("PATCH", &scene.at("/roles"), moved).await.ok();
    let places: Vec<(&Value, &Value)> =
        roles.as_array().unwrap().iter().map(|role| (&role["name"], &role["position"])).collect();
    assert_eq!(
        places,
        [
            (&json!("@everyone"), &json!(0)),
            (&json!("new role"), &json!(1)),
            (&json!("moderators"), &json!(2))
        ]
    );
    scene.give(&id).await;
    let member = scene.olga.get(&scene.at(&format!("/members/{}", scene.max.id))).await;
    assert_eq!(member["roles"], json!([id]));
    let counts = scene.olga.get(&scene.at("/roles/member-counts")).await;
    assert_eq!(counts, json!({ id.as_str(): 1, text(&plain["id"]).as_str(): 0 }));
    let guilds = scene.max.get("/users/@me/guilds").await;
    let held: u64 = text(&guilds[0]["permissions"]).parse().unwrap();
    assert_ne!(held & MANAGE_ROLES, 0);
    assert_eq!(scene.olga.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    let member = scene.olga.get(&scene.at(&format!("/members/{}", scene.max.id))).await;
    assert_eq!(member["roles"], json!([]));
    assert_eq!(scene.olga.call("DELETE", &path, Value::Null).await.error(), "404 10011");
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let role = text(&scene.role(json!({ "name": "a", "permissions": "0" })).await["id"]);
    let (olga, max) = (&scene.olga, &scene.max);
    let everyone = scene.at(&format!("/roles/{}", scene.guild));
    let own_role = scene.at(&format!("/members/@me/roles/{role}"));
    let cases = [
        (max, "POST", scene.at("/roles"), json!({}), "403 50013"),
        (max, "PUT", own_role, Value::Null, "403 50013"),
        (olga, "DELETE", everyone.clone(), Value::Null, "400 50028"),
        (olga, "PATCH", everyone, json!({ "name": "x" }), "400 50028"),
        (olga, "PATCH", scene.at("/roles"), json!([{ "id": scene.guild, "position": 1 }]), "400 50028"),
        (olga, "PATCH", scene.at("/roles"), json!({ "id": role }), "400 50035"),
        (olga, "PATCH", scene.at("/roles"), json!([{ "position": 1 }]), "400 50035"),
        (olga, "POST", scene.at("/roles"), json!({ "name": "x".repeat(101) }), "400 50035"),
        (olga, "POST", scene.at("/roles"), json!({ "color": 0x1_00_00_00 }), "400 50035"),
        (olga, "POST", scene.at("/roles"), json!({ "permissions": "-1" }), "400 50035"),
        (olga, "POST", scene.at("/roles"), json!({ "unicode_emoji": "👍" }), "400 50035"),
        (olga, "POST", scene.at("/roles"), json!({ "colors": { "secondary_color": 1 } }), "400 50035"),
        (olga, "PUT", scene.at(&format!("/members/{}/roles/7", max.id)), Value::Null, "404 10011"),
        (olga, "PUT", scene.at(&format!("/members/7/roles/{role}")), Value::Null, "404 10007"),
        (olga, "PATCH", scene.at(&format!("/members/{}", max.id)), json!({ "mute": true }), "400 40032"),
        (
            olga,
            "PATCH",
            scene.at(&format!("/members/{}", max.id)),
            json!({ "nick": "x".repeat(33) }),
            "400 50035",
        ),
        (
            olga,
            "PATCH",
            scene.at(&format!("/members/{}", max.id)),
            json!({ "communication_disabled_until": "soon" }),
            "400 50035",
        ),
        (max, "PATCH", scene.at(&format!("/members/{}", olga.id)), json!({ "nick": "x" }), "403 50013"),
    ];
    for (who, method, path, body, expected) in cases {
        let reply = who.call(method, &path, body.clone()).await;
        assert_eq!(reply.error(), expected, "{method} {path} {body}");
    }
    let reply = olga.call("PATCH", &scene.at("/roles"), json!([{ "id": role }, { "position": 1 }])).await;
    assert_eq!(reply.body["errors"]["1"]["id"]["_errors"][0]["code"], "BASE_TYPE_REQUIRED");
}

#[tokio::test]
async fn a_member_has_a_name_and_a_timeout() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let role = text(&scene.role(json!({ "permissions": "0" })).await["id"]);
    let path = scene.at(&format!("/members/{}", scene.max.id));
    let until = "2026-11-22T01:00:00.000000+00:00";
    let body = json!({ "nick": "Maxi", "roles": [role], "communication_disabled_until": until });
    let member = scene.olga.call("PATCH", &path, body).await.ok();
    assert_eq!(member["nick"], "Maxi");
    assert_eq!(member["roles"], json!([role]));
    assert_eq!(member["communication_disabled_until"], until);
    assert_eq!(scene.max_says().await.error(), "403 50013");
    let body = json!({ "nick": null, "roles": null, "communication_disabled_until": null });
    let member = scene.olga.call("PATCH", &path, body).await.ok();
    assert_eq!((&member["nick"], &member["roles"]), (&Value::Null, &json!([])));
    scene.max.say(&scene.channel, "again").await;
    let own = scene.max.call("PATCH", &scene.at("/members/@me"), json!({ "nick": "me" })).await.ok();
    assert_eq!(own["nick"], "me");
    let own = scene.max.call("PATCH", &scene.at("/members/@me/nick"), json!({ "nick": "" })).await.ok();
    assert_eq!(own, json!({ "nick": null }));
}

#[tokio::test]
async fn overwrites_open_and_close_a_channel() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let path = |id: &str| format!("/channels/{}/permissions/{id}", scene.channel);
    let deny = json!({ "type": 0, "deny": VIEW_CHANNEL.to_string() });
    let put = scene.olga.call("PUT", &path(&scene.guild), deny).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    let seen = scene.max.call("GET", &format!("/channels/{}", scene.channel), Value::Null).await;
    assert_eq!(seen.error(), "403 50001");
    let channels = scene.max.get(&scene.at("/channels")).await;
    assert_eq!(channels.as_array().unwrap().len(), 1, "the voice channel");
    let allow = json!({ "type": 1, "allow": VIEW_CHANNEL, "deny": SEND_MESSAGES });
    scene.olga.call("PUT", &path(&scene.max.id), allow).await.ok();
    let channel = scene.max.get(&format!("/channels/{}", scene.channel)).await;
    let overwrites = channel["permission_overwrites"].as_array().unwrap();
    assert!(overwrites.contains(&json!({
        "id": scene.max.id,
        "type": 1,
        "allow": VIEW_CHANNEL.to_string(),
        "deny": SEND_MESSAGES.to_string(),
    })));
    let held: u64 = text(&channel["permissions"]).parse().unwrap();
    assert_eq!((held & VIEW_CHANNEL, held & SEND_MESSAGES), (VIEW_CHANNEL, 0));
    assert_eq!(scene.max_says().await.error(), "403 50013");
    assert_eq!(scene.max.call("PUT", &path(&scene.max.id), json!({})).await.error(), "403 50013");
    assert_eq!(
        scene.olga.call("DELETE", &path(&scene.guild), Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(scene.olga.call("DELETE", &path(&scene.guild), Value::Null).await.error(), "404 10009");
    assert_eq!(scene.olga.call("PUT", &path("7"), json!({ "type": 0 })).await.error(), "404 10011");
}

#[tokio::test]
async fn channels_take_overwrites_and_move() {
    let server = Server::start().await;
    let scene = scene(&server).await;
    let make = |body: Value| {
        let path = scene.at("/channels");
        let olga = scene.olga.clone();
        async move { olga.call("POST", &path, body).await.ok() }
    };
    let overwrite = json!([{ "id": scene.guild, "type": 0, "deny": VIEW_CHANNEL.to_string() }]);
    let category = make(json!({ "name": "c", "type": 4, "permission_overwrites": overwrite })).await;
    let synced = make(json!({ "name": "s", "parent_id": category["id"] })).await;
    assert_eq!(synced["permission_overwrites"], category["permission_overwrites"]);
    let open = make(json!({ "name": "o", "parent_id": category["id"], "permission_overwrites": [] })).await;
    assert_eq!(open["permission_overwrites"], json!([]));
    let moves = json!([
        { "id": scene.channel, "position": 9, "parent_id": category["id"], "lock_permissions": true },
        { "id": open["id"], "position": 1, "parent_id": null },
    ]);
    let moved = scene.olga.call("PATCH", &scene.at("/channels"), moves).await;
    assert_eq!(moved.status, StatusCode::NO_CONTENT);
    let general = scene.olga.get(&format!("/channels/{}", scene.channel)).await;
    assert_eq!((&general["position"], &general["parent_id"]), (&json!(9), &category["id"]));
    assert_eq!(general["permission_overwrites"], category["permission_overwrites"]);
    let open = scene.olga.get(&format!("/channels/{}", text(&open["id"]))).await;
    assert_eq!((&open["position"], &open["parent_id"]), (&json!(1), &Value::Null));
    let replaced = json!({ "permission_overwrites": [{ "id": scene.max.id, "type": 1, "allow": "1024" }] });
    let general = scene.olga.call("PATCH", &format!("/channels/{}", scene.channel), replaced).await.ok();
    assert_eq!(general["permission_overwrites"][0]["id"], scene.max.id);
    assert_eq!(general["permission_overwrites"].as_array().unwrap().len(), 1);
    let stranger = scene.max.call("PATCH", &scene.at("/channels"), json!([])).await;
    assert_eq!(stranger.error(), "403 50013");
    let unknown = scene.olga.call("PATCH", &scene.at("/channels"), json!([{ "id": "7" }])).await;
    assert_eq!(unknown.error(), "404 10003");
}
