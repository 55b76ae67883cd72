//! What sessions hear of pins, threads, bulk deletion, polls, the audit log and read states.

use serde_json::{Value, json};

use super::{drain, identify, resume};
use crate::test_server::{Server, text};

/// Names of what was sent, in order.
fn names(sent: &[super::Sent]) -> Vec<&str> {
    sent.iter().map(|sent| sent.t.as_str()).collect()
}

#[tokio::test]
async fn threads_pins_and_bulk_deletion_are_told_and_resumed() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (mut session, live) = identify(&bot, Some(53_608_447)).await;
    let (id, seq) = (text(&live[0].d["session_id"]), live.last().unwrap().s);

    let root = owner.say(&channel, "root").await;
    let path = format!("/channels/{channel}/messages/{root}/threads");
    owner.call("POST", &path, json!({ "name": "thread" })).await.ok();
    let inside = owner.say(&root, "inside").await;
    owner.call("PUT", &format!("/channels/{channel}/pins/{root}"), Value::Null).await.ok();
    owner.call("PATCH", &format!("/channels/{root}"), json!({ "name": "renamed" })).await.ok();
    let more = owner.say(&root, "more").await;
    let body = json!({ "messages": [inside, more] });
    owner.call("POST", &format!("/channels/{root}/messages/bulk-delete"), body).await.ok();

    let mut heard = drain(&mut session).await.unwrap();
    owner.call("DELETE", &format!("/channels/{root}"), Value::Null).await.ok();
    heard.extend(drain(&mut session).await.unwrap());
    assert_eq!(
        names(&heard),
        [
            "MESSAGE_CREATE",
            "THREAD_CREATE",
            "MESSAGE_CREATE",
            "CHANNEL_PINS_UPDATE",
            "MESSAGE_CREATE",
            "THREAD_UPDATE",
            "MESSAGE_CREATE",
            "MESSAGE_DELETE_BULK",
            "THREAD_DELETE",
        ],
        "a bot without VIEW_AUDIT_LOG hears nothing of the audit log"
    );
    assert_eq!((&heard[1].d["id"], &heard[1].d["newly_created"]), (&json!(root), &json!(true)));
    assert_eq!((&heard[2].d["channel_id"], &heard[2].d["channel_type"]), (&json!(root), &json!(11)));
    assert_eq!((&heard[4].d["type"], &heard[4].d["author"]["id"]), (&json!(6), &json!(owner.id)));
    assert_eq!(heard[7].d, json!({ "ids": [inside, more], "channel_id": root, "guild_id": guild }));

    drop(session);
    let (_, again) = resume(&bot, &id, seq).await.unwrap();
    let numbers = |sent: &[super::Sent]| -> Vec<(u64, String)> {
        sent.iter().filter(|sent| sent.t != "RESUMED").map(|sent| (sent.s, sent.t.clone())).collect()
    };
    // What is gone since is told as gone, under the same number.
    let replayed: Vec<u64> = numbers(&again).iter().map(|(number, _)| *number).collect();
    let live: Vec<u64> = numbers(&heard).iter().map(|(number, _)| *number).collect();
    assert_eq!(replayed, live);
}

#[tokio::test]
async fn the_audit_log_is_for_those_who_may_read_it() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let (mut session, _) = identify(&owner, None).await;
    owner.call("PATCH", &format!("/channels/{channel}"), json!({ "name": "new", "topic": "t" })).await.ok();
    let heard = drain(&mut session).await.unwrap();
    assert_eq!(
        names(&heard),
        ["CHANNEL_UPDATE", "GUILD_AUDIT_LOG_ENTRY_CREATE"],
        "one notice for one command"
    );
    assert_eq!(
        (&heard[1].d["action_type"], &heard[1].d["guild_id"], &heard[1].d["user_id"]),
        (&json!(11), &json!(guild), &json!(owner.id))
    );
    assert_eq!(heard[1].s, heard[0].s, "it takes no number");
}

#[tokio::test]
async fn a_poll_is_asked_voted_on_and_ended() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (_, channel) = owner.make_guild().await;
    let ben = server.register("ben").await;
    ben.join(&owner, &channel).await;
    let (mut session, _) = identify(&owner, None).await;
    let poll = json!({
        "question": { "text": "Tea?" }, "duration": 2,
        "answers": [{ "poll_media": { "text": "Yes", "emoji": { "name": "🍵" } } }, { "poll_media": { "text": "No" } }],
    });
    let path = format!("/channels/{channel}/messages");
    let asked = owner.call("POST", &path, json!({ "poll": poll })).await.ok();
    assert_eq!(asked["poll"]["question"]["text"], "Tea?");
    assert_eq!(asked["poll"]["answers"][0]["poll_media"]["emoji"]["name"], "🍵");
    let id = text(&asked["id"]);
    let votes = format!("/channels/{channel}/polls/{id}/answers");
    let vote = |answers: Value| {
        let (ben, path) = (ben.clone(), format!("{votes}/@me"));
        async move { ben.call("PUT", &path, json!({ "answer_ids": answers })).await }
    };
    assert_eq!(vote(json!([1])).await.status, 204);
    assert_eq!(vote(json!([2])).await.status, 204);
    assert_eq!(vote(json!([3])).await.error(), "400 50035");
    let heard: Vec<(String, Value)> = drain(&mut session)
        .await
        .unwrap()
        .into_iter()
        .filter(|sent| sent.t.contains("POLL"))
        .map(|sent| (sent.t, sent.d["answer_id"].clone()))
        .collect();
    assert_eq!(
        heard,
        [("MESSAGE_POLL_VOTE_ADD".to_owned(), json!(1)), ("MESSAGE_POLL_VOTE_ADD".to_owned(), json!(2))]
    );
    let shown = ben.get(&format!("{path}/{id}")).await;
    assert_eq!(
        shown["poll"]["results"],
        json!({ "is_finalized": false, "answer_counts": [
            { "id": 1, "count": 0, "me_voted": false }, { "id": 2, "count": 1, "me_voted": true },
        ] })
    );
    assert_eq!(ben.get(&format!("{votes}/2")).await["users"][0]["id"], ben.id);
    let expire = format!("/channels/{channel}/polls/{id}/expire");
    assert_eq!(ben.call("POST", &expire, Value::Null).await.error(), "403 50005");
    let ended = owner.call("POST", &expire, Value::Null).await.ok();
    assert_eq!(ended["poll"]["results"]["is_finalized"], true);
    assert_eq!(vote(json!([1])).await.status, 400, "it is over");
    let after = owner.get(&format!("{path}/{id}")).await;
    assert_eq!(after["poll"]["results"]["answer_counts"][1]["count"], 1);
}

#[tokio::test]
async fn what_was_read_is_told_to_ones_own_sessions_and_in_ready() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (_, channel) = owner.make_guild().await;
    let ben = server.register("ben").await;
    ben.join(&owner, &channel).await;
    let (mut of_ben, _) = identify(&ben, None).await;
    let (mut of_owner, _) = identify(&owner, None).await;
    let first = owner.say(&channel, &format!("<@{}>", ben.id)).await;
    owner.say(&channel, "and more").await;
    let (_, ready) = identify(&ben, None).await;
    let state = &ready[0].d["read_state"][0];
    assert_eq!((&state["id"], &state["mention_count"]), (&json!(channel), &json!(1)));

    let path = format!("/channels/{channel}/messages/{first}/ack");
    assert_eq!(ben.call("POST", &path, json!({ "token": null })).await.ok(), json!({ "token": null }));
    let acks = |sent: Vec<super::Sent>| -> Vec<Value> {
        sent.into_iter()
            .filter(|sent| sent.t == "MESSAGE_ACK")
            .map(|sent| sent.d["message_id"].clone())
            .collect()
    };
    assert_eq!(acks(drain(&mut of_ben).await.unwrap()), [json!(first)]);
    assert_eq!(acks(drain(&mut of_owner).await.unwrap()), [] as [Value; 0]);
    let (_, ready) = identify(&ben, None).await;
    let state = &ready[0].d["read_state"][0];
    assert_eq!((&state["last_message_id"], &state["mention_count"]), (&json!(first), &json!(0)));
    let body = json!({ "read_states": [{ "channel_id": channel, "message_id": first }, { "channel_id": "1", "message_id": "1" }] });
    assert_eq!(ben.call("POST", "/read-states/ack-bulk", body).await.status, 204);
    assert_eq!(ben.call("POST", "/read-states/ack-bulk", json!({})).await.error(), "400 50035");
}
