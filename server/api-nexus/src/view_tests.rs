//! Pins, threads, read states, the audit log and lists of members, through the router.

use serde_json::{Value, json};

use crate::test_server::{Server, User, text};

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}

#[tokio::test]
async fn pins_are_listed_newest_first_and_leave_a_notice() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    let mut said = Vec::new();
    for word in ["one", "two", "three"] {
        said.push(olga.say(&channel, word).await);
    }
    for id in &said[..2] {
        let path = format!("/channels/{channel}/pins/{id}");
        assert_eq!(olga.call("PUT", &path, Value::Null).await.status, 204);
    }
    let old = olga.get(&format!("/channels/{channel}/pins")).await;
    assert_eq!(ids(&old), [said[1].clone(), said[0].clone()]);
    assert_eq!(old[0]["pinned"], true);
    let page = olga.get(&format!("/channels/{channel}/messages/pins?limit=1")).await;
    assert_eq!((&page["has_more"], &page["items"][0]["message"]["id"]), (&json!(true), &json!(said[1])));
    let before = text(&page["items"][0]["pinned_at"]).replace('+', "%2B");
    let rest = olga.get(&format!("/channels/{channel}/messages/pins?before={before}")).await;
    assert_eq!((&rest["has_more"], &rest["items"][0]["message"]["id"]), (&json!(false), &json!(said[0])));
    assert!(olga.get(&format!("/channels/{channel}")).await["last_pin_timestamp"].is_string());

    let history = olga.get(&format!("/channels/{channel}/messages")).await;
    let kinds: Vec<u64> =
        history.as_array().unwrap().iter().map(|message| message["type"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [6, 6, 0, 0, 0]);
    assert_eq!(history[0]["message_reference"]["message_id"], said[1]);
    assert_eq!(history[0]["author"]["id"], olga.id, "by whom the steward was asked");

    // Pinning again and unpinning what is not pinned change nothing; a deleted message is in no list.
    let path = |id: &str| format!("/channels/{channel}/messages/pins/{id}");
    assert_eq!(olga.call("PUT", &path(&said[0]), Value::Null).await.status, 204);
    assert_eq!(olga.call("DELETE", &path(&said[2]), Value::Null).await.status, 204);
    assert_eq!(olga.call("DELETE", &path(&said[0]), Value::Null).await.status, 204);
    olga.call("DELETE", &format!("/channels/{channel}/messages/{}", said[1]), Value::Null).await.ok();
    assert_eq!(olga.get(&format!("/channels/{channel}/pins")).await, json!([]));

    let ben = server.register("ben").await;
    ben.join(&olga, &channel).await;
    assert_eq!(ben.call("PUT", &path(&said[2]), Value::Null).await.error(), "403 50013");
    let log = olga.get(&format!("/guilds/{guild}/audit-logs?action_type=74")).await;
    assert_eq!(log["audit_log_entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_thread_is_a_channel_on_its_message() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    let ben = server.register("ben").await;
    ben.join(&olga, &channel).await;
    let root = olga.say(&channel, "the question").await;
    let path = format!("/channels/{channel}/messages/{root}/threads");
    let made = ben.call("POST", &path, json!({ "name": "answers", "auto_archive_duration": 60 })).await.ok();
    assert_eq!((&made["id"], &made["parent_id"], &made["type"]), (&json!(root), &json!(channel), &json!(11)));
    assert_eq!((&made["owner_id"], &made["member"]["user_id"]), (&json!(ben.id), &json!(ben.id)));
    assert_eq!(ben.call("POST", &path, json!({ "name": "again" })).await.error(), "400 160004");

    let first = ben.say(&root, "first answer").await;
    let second = olga.say(&root, "second answer").await;
    let main = olga.get(&format!("/channels/{channel}/messages")).await;
    assert_eq!(ids(&main), std::slice::from_ref(&root), "what is in a thread is not in the channel");
    assert_eq!((&main[0]["flags"], &main[0]["thread"]["message_count"]), (&json!(32), &json!(2)));
    let inside = olga.get(&format!("/channels/{root}/messages")).await;
    assert_eq!(ids(&inside), [second.clone(), first.clone(), root.clone()]);
    assert_eq!((&inside[0]["channel_id"], &inside[2]["type"]), (&json!(root), &json!(21)));
    assert_eq!(inside[2]["referenced_message"]["content"], "the question");
    let page = olga.get(&format!("/channels/{root}/messages?before={second}&limit=1")).await;
    assert_eq!(ids(&page), std::slice::from_ref(&first));
    let elsewhere = format!("/channels/{channel}/messages/{first}");
    assert_eq!(olga.call("GET", &elsewhere, Value::Null).await.error(), "404 10008");

    let emoji = "%F0%9F%91%8D";
    let path = format!("/channels/{root}/messages/{first}/reactions/{emoji}/@me");
    assert_eq!(olga.call("PUT", &path, Value::Null).await.status, 204);
    let path = format!("/channels/{root}/messages/{first}");
    let edited = ben.call("PATCH", &path, json!({ "content": "better" })).await.ok();
    assert_eq!((&edited["content"], &edited["reactions"][0]["count"]), (&json!("better"), &json!(1)));
    assert_eq!(olga.call("POST", &format!("/channels/{root}/typing"), Value::Null).await.status, 204);
    ben.call("DELETE", &path, Value::Null).await.ok();
    let thread = olga.get(&format!("/channels/{root}")).await;
    assert_eq!(
        (&thread["message_count"], &thread["member_count"], &thread["last_message_id"]),
        (&json!(1), &json!(2), &json!(second))
    );

    let active = olga.get(&format!("/guilds/{guild}/threads/active")).await;
    assert_eq!(
        (ids(&active["threads"]), active["members"][0]["user_id"].clone()),
        (vec![root.clone()], json!(olga.id))
    );
    let members = olga.get(&format!("/channels/{root}/thread-members")).await;
    assert_eq!(members.as_array().unwrap().len(), 2);
    let own = format!("/channels/{root}/thread-members/@me");
    assert_eq!(olga.call("DELETE", &own, Value::Null).await.status, 204);
    assert_eq!(olga.call("GET", &own, Value::Null).await.error(), "404 10007");

    // Put away, it is in the other list; writing takes it out again, unless it is locked.
    let patch = |who: &User<'_>, body: Value| {
        let (who, path) = (User { server: &server, ..who.clone() }, format!("/channels/{root}"));
        async move { who.call("PATCH", &path, body).await }
    };
    assert_eq!(patch(&ben, json!({ "archived": true })).await.ok()["thread_metadata"]["archived"], true);
    let archived = olga.get(&format!("/channels/{channel}/threads/archived/public")).await;
    assert_eq!(ids(&archived["threads"]), std::slice::from_ref(&root));
    assert_eq!(olga.get(&format!("/guilds/{guild}/threads/active")).await["threads"], json!([]));
    ben.say(&root, "one more").await;
    assert_eq!(olga.get(&format!("/channels/{root}")).await["thread_metadata"]["archived"], false);
    assert_eq!(patch(&ben, json!({ "locked": true })).await.error(), "403 50013");
    patch(&olga, json!({ "locked": true, "name": "closed" })).await.ok();
    let body = json!({ "content": "too late" });
    assert_eq!(ben.call("POST", &format!("/channels/{root}/messages"), body).await.error(), "403 50013");
    assert_eq!(ben.call("DELETE", &format!("/channels/{root}"), Value::Null).await.error(), "403 50013");
    olga.call("DELETE", &format!("/channels/{root}"), Value::Null).await.ok();
    assert_eq!(olga.call("GET", &format!("/channels/{root}"), Value::Null).await.error(), "404 10003");
    let log = olga.get(&format!("/guilds/{guild}/audit-logs")).await;
    let actions: Vec<u64> = log["audit_log_entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action_type"].as_u64().unwrap())
        .filter(|action| *action >= 110)
        .collect();
    assert_eq!(actions, [112, 111, 111, 111, 110]);
}

#[tokio::test]
async fn a_forum_holds_posts_and_a_bare_thread_begins_with_its_name() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    let path = format!("/guilds/{guild}/channels");
    let body = json!({ "name": "forum", "type": 15 });
    let forum = text(&olga.call("POST", &path, body).await.ok()["id"]);
    let path = format!("/channels/{forum}/messages");
    assert_eq!(olga.call("POST", &path, json!({ "content": "x" })).await.error(), "400 50008");
    let body = json!({ "name": "a post", "message": { "content": "its text" } });
    let post = olga.call("POST", &format!("/channels/{forum}/threads"), body).await.ok();
    let post_id = text(&post["id"]);
    assert_eq!(
        (&post["message"]["content"], &post["message"]["channel_id"]),
        (&json!("its text"), &json!(post_id))
    );
    let inside = olga.get(&format!("/channels/{post_id}/messages")).await;
    assert_eq!((&inside[0]["content"], &inside[0]["type"]), (&json!("its text"), &json!(0)));
    let missing =
        olga.call("POST", &format!("/channels/{forum}/threads"), json!({ "name": "no text" })).await;
    assert_eq!(missing.error(), "400 50035");

    let path = format!("/channels/{channel}/threads");
    let body = json!({ "name": "bare", "type": 11 });
    let bare = text(&olga.call("POST", &path, body).await.ok()["id"]);
    let notice = &olga.get(&format!("/channels/{channel}/messages")).await[0];
    assert_eq!(
        (&notice["type"], &notice["content"], &notice["thread"]["id"]),
        (&json!(18), &json!("bare"), &json!(bare))
    );
    let private = json!({ "name": "secret", "type": 12 });
    assert_eq!(
        olga.call("POST", &format!("/channels/{channel}/threads"), private).await.error(),
        "400 50035"
    );
}

#[tokio::test]
async fn several_messages_go_at_once() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    let mut said = Vec::new();
    for number in 0..4 {
        said.push(olga.say(&channel, &format!("{number}")).await);
    }
    let path = format!("/channels/{channel}/messages/bulk-delete");
    let position = server.views.store().visible();
    olga.call("POST", &path, json!({ "messages": &said[..3] })).await.ok();
    assert_eq!(server.views.store().visible(), position.next(), "one commit");
    assert_eq!(ids(&olga.get(&format!("/channels/{channel}/messages")).await), [said[3].clone()]);
    assert_eq!(olga.call("POST", &path, json!({ "messages": &said[..1] })).await.error(), "400 50035");
    assert_eq!(olga.call("POST", &path, json!({ "messages": ["1", "2"] })).await.error(), "400 50034");
    let log = olga.get(&format!("/guilds/{guild}/audit-logs?action_type=73")).await;
    assert_eq!(log["audit_log_entries"][0]["options"]["count"], "3");
    let ben = server.register("ben").await;
    ben.join(&olga, &channel).await;
    let body = json!({ "messages": [&said[3], &said[2]] });
    assert_eq!(ben.call("POST", &path, body).await.error(), "403 50013");
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_why() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    let ben = server.register("ben").await;
    ben.join(&olga, &channel).await;
    let request = axum::http::Request::patch(format!("/api/v10/channels/{channel}"))
        .header("Authorization", &olga.token)
        .header("X-Audit-Log-Reason", "zu%20laut");
    let body = json!({ "name": "quiet", "topic": "hush" }).to_string();
    server.send(request.body(body.into()).unwrap()).await.ok();
    let said = ben.say(&channel, "rude").await;
    olga.call("DELETE", &format!("/channels/{channel}/messages/{said}"), Value::Null).await.ok();
    olga.call("PATCH", &format!("/guilds/{guild}"), json!({ "name": "Better" })).await.ok();

    let log = olga.get(&format!("/guilds/{guild}/audit-logs")).await;
    let entries = log["audit_log_entries"].as_array().unwrap();
    let kinds: Vec<&Value> = entries.iter().map(|entry| &entry["action_type"]).collect();
    assert_eq!(kinds[..3], [&json!(1), &json!(72), &json!(11)]);
    assert_eq!(
        entries[0]["changes"],
        json!([{ "key": "name", "old_value": "Guild", "new_value": "Better" }])
    );
    assert_eq!(
        (&entries[1]["target_id"], &entries[1]["options"]["channel_id"]),
        (&json!(ben.id), &json!(channel))
    );
    assert_eq!((&entries[2]["reason"], &entries[2]["target_id"]), (&json!("zu laut"), &json!(channel)));
    let keys: Vec<&Value> =
        entries[2]["changes"].as_array().unwrap().iter().map(|change| &change["key"]).collect();
    assert_eq!(keys, [&json!("name"), &json!("topic")], "one entry for one command");
    assert!(log["users"].as_array().unwrap().iter().any(|user| user["id"] == ben.id));

    let oldest = text(&entries[2]["id"]);
    let newer = olga.get(&format!("/guilds/{guild}/audit-logs?after={oldest}&limit=1")).await;
    assert_eq!(newer["audit_log_entries"][0]["action_type"], 72);
    let of_ben = olga.get(&format!("/guilds/{guild}/audit-logs?user_id={}", ben.id)).await;
    assert_eq!(of_ben["audit_log_entries"], json!([]));
    assert_eq!(
        ben.call("GET", &format!("/guilds/{guild}/audit-logs"), Value::Null).await.error(),
        "403 50013"
    );
}

#[tokio::test]
async fn members_are_listed_by_id_and_found_by_name() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let (guild, channel) = olga.make_guild().await;
    for name in ["zoe", "zack", "anna"] {
        server.register(name).await.join(&olga, &channel).await;
    }
    let all = olga.get(&format!("/guilds/{guild}/members?limit=1000")).await;
    let all: Vec<String> = all.as_array().unwrap().iter().map(|member| text(&member["user"]["id"])).collect();
    assert_eq!(all.len(), 4, "the steward is no member");
    let page = olga.get(&format!("/guilds/{guild}/members?limit=2&after={}", all[0])).await;
    assert_eq!(
        (text(&page[0]["user"]["id"]), text(&page[1]["user"]["id"])),
        (all[1].clone(), all[2].clone())
    );
    let found = olga.get(&format!("/guilds/{guild}/members/search?query=Z&limit=10")).await;
    let mut names: Vec<String> =
        found.as_array().unwrap().iter().map(|member| text(&member["user"]["username"])).collect();
    names.sort();
    assert_eq!(names, ["zack", "zoe"]);

    let stranger = server.register("stranger").await;
    let preview = format!("/guilds/{guild}/preview");
    assert_eq!(olga.get(&preview).await["approximate_member_count"], 4);
    assert_eq!(stranger.call("GET", &preview, Value::Null).await.error(), "404 10004");
    olga.call("PATCH", &format!("/guilds/{guild}"), json!({ "features": ["DISCOVERABLE"] })).await.ok();
    assert_eq!(stranger.get(&preview).await["name"], "Guild");
    assert_eq!(ids(&stranger.get("/directory?q=gui").await), std::slice::from_ref(&guild));
    olga.call("PATCH", &format!("/guilds/{guild}"), json!({ "name": "Other" })).await.ok();
    assert_eq!(stranger.get("/directory?q=gui").await, json!([]));
}
