//! Sessions over a real log: what a live session is sent, any later fold of the log gives again.

use expect_test::expect;
use serde_json::{Value, json};

use super::{
    handshake::{self, Refused},
    protocol::{Identify, Resume},
    session::{Session, Stop},
};
use crate::test_server::{Server, User, text};

mod views;

/// A dispatch as it was sent.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    s: u64,
    t: String,
    d: Value,
}

fn sent(frames: Vec<String>) -> Vec<Sent> {
    let read = |frame: String| {
        let frame: Value = serde_json::from_str(&frame).unwrap();
        Sent { s: frame["s"].as_u64().unwrap(), t: text(&frame["t"]), d: frame["d"].clone() }
    };
    frames.into_iter().map(read).collect()
}

async fn drain(session: &mut Session) -> Result<Vec<Sent>, Stop> {
    let mut all = Vec::new();
    loop {
        let batch = session.next_batch().await?;
        all.extend(sent(batch.frames));
        if batch.is_last {
            return Ok(all);
        }
    }
}

async fn identify(user: &User<'_>, intents: Option<u64>) -> (Session, Vec<Sent>) {
    let wish = Identify { token: user.token.clone(), intents, shard: None, large_threshold: 50 };
    let mut session = handshake::identify(&user.server.gateway, wish).await.unwrap();
    let mut all = sent(session.begin().await.unwrap());
    all.extend(drain(&mut session).await.unwrap());
    (session, all)
}

async fn resume(user: &User<'_>, session_id: &str, seq: u64) -> Result<(Session, Vec<Sent>), String> {
    let wish = Resume { token: user.token.clone(), session_id: session_id.to_owned(), seq };
    let mut session = match handshake::resume(&user.server.gateway, wish).await {
        Ok(session) => session,
        Err(Refused::InvalidSession) => return Err("invalid session".to_owned()),
        Err(other) => return Err(format!("{other:?}")),
    };
    let mut all = sent(session.begin().await.unwrap());
    match drain(&mut session).await {
        Ok(rest) => all.extend(rest),
        Err(stop) => return Err(format!("{stop:?}")),
    }
    Ok((session, all))
}

/// Number, name and what it is about.
fn gist(all: &[Sent]) -> String {
    let about = |d: &Value| {
        for field in ["content", "name", "emoji"] {
            match &d[field] {
                Value::String(text) => return text.clone(),
                Value::Object(emoji) => return text(&emoji["name"]),
                _ => {}
            }
        }
        String::new()
    };
    all.iter()
        .map(|sent| format!("{} {} {}\n", sent.s, sent.t, about(&sent.d)).replace(" \n", "\n"))
        .collect()
}

/// Everything that can happen in a guild without changing what anybody sees.
async fn busy_day(owner: &User<'_>, guild: &str, channel: &str) {
    let first = owner.say(channel, "first").await;
    let path = format!("/channels/{channel}/messages/{first}");
    owner.call("PATCH", &path, json!({ "content": "edited" })).await.ok();
    owner.call("PUT", &format!("{path}/reactions/%F0%9F%91%8D/@me"), Value::Null).await.ok();
    owner.call("DELETE", &format!("{path}/reactions/%F0%9F%91%8D/@me"), Value::Null).await.ok();
    let second = owner.say(channel, "second").await;
    owner
        .call(
            "PUT",
            &format!("/channels/{channel}/messages/{second}/reactions/%F0%9F%8E%89/@me"),
            Value::Null,
        )
        .await
        .ok();
    owner.call("DELETE", &format!("/channels/{channel}/messages/{second}"), Value::Null).await.ok();
    let made = owner.call("POST", &format!("/guilds/{guild}/channels"), json!({ "name": "news" })).await.ok();
    let news = text(&made["id"]);
    owner.say(&news, "in the news").await;
    owner.call("PATCH", &format!("/channels/{news}"), json!({ "name": "olds", "nsfw": true })).await.ok();
    owner.call("DELETE", &format!("/channels/{news}"), Value::Null).await.ok();
    owner.call("PATCH", &format!("/guilds/{guild}"), json!({ "name": "Renamed" })).await.ok();
    let guest = owner.server.register("guest").await;
    guest.join(owner, channel).await;
    guest.say(channel, "hello").await;
    guest.call("PATCH", "/users/@me", json!({ "global_name": "Guest" })).await.ok();
    guest.call("DELETE", &format!("/users/@me/guilds/{guild}"), Value::Null).await.ok();
}

#[tokio::test]
async fn a_busy_day_as_a_bot_hears_it() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (mut session, mut all) = identify(&bot, Some(53_608_447)).await;
    busy_day(&owner, &guild, &channel).await;
    all.extend(drain(&mut session).await.unwrap());
    // The fold was late: what had been deleted by then is empty, and still has its number.
    expect![[r#"
        1 READY
        2 GUILD_CREATE Guild
        3 MESSAGE_CREATE first
        4 MESSAGE_UPDATE edited
        5 MESSAGE_REACTION_ADD 👍
        6 MESSAGE_REACTION_REMOVE 👍
        7 MESSAGE_CREATE
        8 MESSAGE_REACTION_ADD 🎉
        9 MESSAGE_DELETE
        10 CHANNEL_CREATE olds
        11 MESSAGE_CREATE in the news
        12 CHANNEL_UPDATE olds
        13 CHANNEL_DELETE olds
        14 GUILD_UPDATE Renamed
        15 GUILD_MEMBER_ADD
        16 MESSAGE_CREATE hello
        17 GUILD_MEMBER_UPDATE
        18 GUILD_MEMBER_REMOVE
    "#]]
    .assert_eq(&gist(&all));
}

/// What must be the same whenever a dispatch is given again; names and texts show the log as it stands.
fn identity(all: &[Sent]) -> Vec<String> {
    let ids = |d: &Value| {
        [&d["id"], &d["message_id"], &d["user"]["id"], &d["author"]["id"]].map(ToString::to_string)
    };
    all.iter().map(|sent| format!("{} {} {}", sent.s, sent.t, ids(&sent.d).join(" "))).collect()
}

#[tokio::test]
async fn a_session_resumes_from_any_number_on_a_new_server() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (mut session, mut live) = identify(&bot, Some(53_608_447)).await;
    let id = text(&live[0].d["session_id"]);
    // Heard while it happens, so that what is deleted later is still there.
    let mut day = std::pin::pin!(busy_day(&owner, &guild, &channel));
    loop {
        tokio::select! {
            biased;
            () = &mut day => break,
            () = tokio::task::yield_now() => live.extend(drain(&mut session).await.unwrap()),
        }
    }
    live.extend(drain(&mut session).await.unwrap());
    assert!(gist(&live).contains("MESSAGE_CREATE second\n"), "{}", gist(&live));
    drop(session);
    for seen in 0..=live.len() as u64 {
        let restarted = server.restarted();
        let (_, again) = resume(&bot.on(&restarted), &id, seen).await.unwrap();
        assert_eq!(again.last().unwrap().t, "RESUMED");
        let missed: Vec<_> = again.iter().filter(|sent| sent.t != "RESUMED").cloned().collect();
        let expected: Vec<_> = live.iter().filter(|sent| sent.s > seen).cloned().collect();
        assert_eq!(identity(&missed), identity(&expected), "seen {seen}");
    }
}

#[tokio::test]
async fn every_resumed_has_a_number_that_stays() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (session, live) = identify(&bot, Some(53_608_447)).await;
    let id = text(&live[0].d["session_id"]);
    drop(session);
    let mut seen = 2;
    for round in 0..3 {
        owner.say(&channel, &format!("round {round}")).await;
        let restarted = server.restarted();
        let (_, again) = resume(&bot.on(&restarted), &id, seen).await.unwrap();
        assert_eq!(
            gist(&again),
            format!("{} MESSAGE_CREATE round {round}\n{} RESUMED\n", seen + 1, seen + 2)
        );
        seen += 2;
    }
    // A client that lost all of it gets all of it, under the same numbers, and then its own RESUMED.
    let restarted = server.restarted();
    let (_, again) = resume(&bot.on(&restarted), &id, seen - 2).await.unwrap();
    let numbers: Vec<u64> = again.iter().map(|sent| sent.s).collect();
    assert_eq!(numbers, (seen - 1..=seen + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_resumed_says_so() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (session, live) = identify(&bot, Some(53_608_447)).await;
    let id = text(&live[0].d["session_id"]);
    drop(session);
    async fn refused(user: &User<'_>, id: &str, seq: u64) -> String {
        resume(user, id, seq).await.err().unwrap_or_else(|| "resumed".to_owned())
    }
    assert_eq!(refused(&bot, "nosuch", 1).await, "invalid session");
    assert_eq!(refused(&owner, &id, 1).await, "invalid session", "another's");
    assert_eq!(refused(&bot, &id, 99).await, "InvalidSeq");
    let forged = User { token: "Bot forged".to_owned(), ..bot.clone() };
    assert_eq!(refused(&forged, &id, 1).await, "Close(BadToken)");
    // What its user may see has changed meanwhile: what was missed cannot be told any more.
    owner.say(&channel, "before").await;
    bot.call("DELETE", &format!("/users/@me/guilds/{guild}"), Value::Null).await.ok();
    assert_eq!(refused(&bot, &id, 2).await, "CannotReplay");
}

#[tokio::test]
async fn a_checkpoint_moves_up_behind_the_acknowledged() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (mut session, mut live) = identify(&bot, Some(53_608_447)).await;
    let id = text(&live[0].d["session_id"]);
    for number in 0..200 {
        owner.say(&channel, &format!("n{number}")).await;
    }
    live.extend(drain(&mut session).await.unwrap());
    session.acknowledge(150);
    let record = session.checkpoint(true, std::time::Duration::ZERO).unwrap();
    assert!((66..=150).contains(&record.seq), "{}", record.seq);
    assert!(session.checkpoint(true, std::time::Duration::ZERO).is_none(), "nothing new since");
    session.hold.save(&server.gateway.inner.objects.accounts, record.clone()).await.unwrap();
    drop(session);
    let restarted = server.restarted();
    assert_eq!(
        resume(&bot.on(&restarted), &id, record.seq - 1).await.err().as_deref(),
        Some("invalid session")
    );
    let (_, again) = resume(&bot.on(&restarted), &id, 150).await.unwrap();
    let expected: Vec<_> = live.iter().filter(|sent| sent.s > 150).cloned().collect();
    assert_eq!(gist(&again[..again.len() - 1]), gist(&expected));
}

#[tokio::test]
async fn a_new_guild_and_a_deleted_one_come_and_go() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (mut session, _) = identify(&owner, None).await;
    let (guild, channel) = owner.make_guild().await;
    owner.say(&channel, "hello").await;
    owner.call("DELETE", &format!("/guilds/{guild}"), Value::Null).await.ok();
    let all = drain(&mut session).await.unwrap();
    let names: Vec<&str> = all.iter().map(|sent| sent.t.as_str()).collect();
    assert_eq!(names.first(), Some(&"GUILD_DELETE"), "it was gone before anyone looked: {names:?}");
    let (_, channel) = owner.make_guild().await;
    let first = drain(&mut session).await.unwrap();
    assert_eq!(first[0].t, "GUILD_CREATE");
    let channels: Vec<&Value> =
        first[0].d["channels"].as_array().unwrap().iter().map(|channel| &channel["name"]).collect();
    assert_eq!(channels, ["general", "General"]);
    owner.say(&channel, "hello").await;
    assert_eq!(
        gist(&drain(&mut session).await.unwrap()).split_once(' ').unwrap().1,
        "MESSAGE_CREATE hello\n"
    );
}

#[tokio::test]
async fn typing_is_told_without_a_number_of_its_own() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let bot = owner.make_bot(&guild).await;
    let (mut session, live) = identify(&bot, Some(53_608_447)).await;
    owner.call("POST", &format!("/channels/{channel}/typing"), Value::Null).await.ok();
    let told = drain(&mut session).await.unwrap();
    assert_eq!((told.len(), told[0].t.as_str(), told[0].s), (1, "TYPING_START", live.len() as u64));
    assert_eq!((&told[0].d["user_id"], &told[0].d["guild_id"]), (&json!(owner.id), &json!(guild)));
    assert!(drain(&mut session).await.unwrap().is_empty(), "once");
    owner.say(&channel, "next").await;
    assert_eq!(drain(&mut session).await.unwrap()[0].s, live.len() as u64 + 1);
}

#[tokio::test]
async fn a_session_ends_with_the_login_that_opened_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.register("ada").await, server.register("bob").await);
    let (mut session, _) = identify(&ada, None).await;
    let (mut kept, _) = identify(&bob, None).await;
    assert!(session.is_live().await.unwrap());
    ada.call("POST", "/auth/logout", Value::Null).await;
    session.news().await;
    assert!(!session.is_live().await.unwrap());
    assert!(kept.is_live().await.unwrap());
}

/// A channel that a member may view no more is gone from the client's sight, and comes back.
#[tokio::test]
async fn channels_come_into_view_and_go_out_of_it() {
    let server = Server::start().await;
    let olga = server.register("olga").await;
    let max = server.register("max").await;
    let (guild, channel) = olga.make_guild().await;
    max.join(&olga, &channel).await;
    let (mut session, _) = identify(&max, None).await;
    let (mut owners, _) = identify(&olga, None).await;
    let told = async |session: &mut Session| -> Vec<String> {
        let heard = drain(session).await.unwrap().into_iter().filter(|sent| !sent.t.contains("AUDIT_LOG"));
        heard.map(|sent| format!("{} {}", sent.t, sent.d["id"])).collect()
    };
    let shown = |what: &str| format!("{what} \"{channel}\"");
    let overwrite = |id: &str| format!("/channels/{channel}/permissions/{id}");
    let hide = json!({ "type": 0, "deny": "1024" });
    olga.call("PUT", &overwrite(&guild), hide).await.ok();
    assert_eq!(told(&mut session).await, [shown("CHANNEL_DELETE")]);
    assert_eq!(told(&mut owners).await, [shown("CHANNEL_UPDATE")]);

    // What is said meanwhile is not heard.
    olga.say(&channel, "quiet").await;
    assert_eq!(told(&mut session).await, Vec::<String>::new());
    let made = json!({ "name": "in", "permissions": "0" });
    let role = text(&olga.call("POST", &format!("/guilds/{guild}/roles"), made).await.ok()["id"]);
    olga.call("PUT", &overwrite(&role), json!({ "type": 0, "allow": "1024" })).await.ok();
    assert_eq!(told(&mut session).await, ["GUILD_ROLE_CREATE null"], "max does not have the role");
    let member = format!("/guilds/{guild}/members/{}/roles/{role}", max.id);
    olga.call("PUT", &member, Value::Null).await.ok();
    assert_eq!(told(&mut session).await, [shown("CHANNEL_CREATE"), "GUILD_MEMBER_UPDATE null".to_owned()]);
    olga.say(&channel, "welcome").await;
    assert!(told(&mut session).await[0].starts_with("MESSAGE_CREATE"));

    // A name concerns nobody's sight; deleting the role does, in one event.
    let path = format!("/guilds/{guild}/roles/{role}");
    olga.call("PATCH", &path, json!({ "name": "inside" })).await.ok();
    assert_eq!(told(&mut session).await, ["GUILD_ROLE_UPDATE null"]);
    olga.call("DELETE", &path, Value::Null).await.ok();
    assert_eq!(told(&mut session).await, [shown("CHANNEL_DELETE"), "GUILD_ROLE_DELETE null".to_owned()]);

    // An administrator sees all.
    let made = json!({ "name": "admin", "permissions": "8" });
    let admin = text(&olga.call("POST", &format!("/guilds/{guild}/roles"), made).await.ok()["id"]);
    told(&mut session).await;
    olga.call("PUT", &format!("/guilds/{guild}/members/{}/roles/{admin}", max.id), Value::Null).await.ok();
    let all = told(&mut session).await;
    assert_eq!(all, [shown("CHANNEL_CREATE"), "GUILD_MEMBER_UPDATE null".to_owned()]);
}

fn names(all: &[Sent]) -> Vec<&str> {
    all.iter().map(|sent| sent.t.as_str()).collect()
}

/// Attack 35: a session hears nothing of a guild from the ban on, and only moderators hear of bans.
#[tokio::test]
async fn a_ban_ends_what_the_banned_hears_and_is_told_to_moderators_only() {
    let server = Server::start().await;
    let owner = server.register("olga").await;
    let (guild, channel) = owner.make_guild().await;
    let (max, eve) = (server.register("max").await, server.register("eve").await);
    for user in [&max, &eve] {
        user.join(&owner, &channel).await;
    }
    let (mut of_max, _) = identify(&max, Some(53_608_447)).await;
    let (mut of_eve, _) = identify(&eve, Some(53_608_447)).await;
    let (mut of_owner, _) = identify(&owner, Some(53_608_447)).await;
    let ban = format!("/guilds/{guild}/bans/{}", max.id);
    owner.call("PUT", &ban, json!({})).await.ok();
    owner.say(&channel, "secret").await;
    let heard = drain(&mut of_max).await.unwrap();
    assert_eq!(names(&heard), ["GUILD_DELETE"]);
    assert_eq!(heard[0].d, json!({ "id": guild }));
    assert_eq!(names(&drain(&mut of_eve).await.unwrap()), ["GUILD_MEMBER_REMOVE", "MESSAGE_CREATE"]);
    let mut told = drain(&mut of_owner).await.unwrap();
    told.retain(|sent| sent.t != "GUILD_AUDIT_LOG_ENTRY_CREATE");
    assert_eq!(names(&told), ["GUILD_BAN_ADD", "GUILD_MEMBER_REMOVE", "MESSAGE_CREATE"]);
    assert_eq!((&told[0].d["guild_id"], &told[0].d["user"]["id"]), (&json!(guild), &json!(max.id)));
    owner.call("DELETE", &ban, Value::Null).await.ok();
    let mut told = drain(&mut of_owner).await.unwrap();
    told.retain(|sent| sent.t != "GUILD_AUDIT_LOG_ENTRY_CREATE");
    assert_eq!(names(&told), ["GUILD_BAN_REMOVE"]);
    assert!(drain(&mut of_eve).await.unwrap().is_empty());
    assert!(drain(&mut of_max).await.unwrap().is_empty());
    let timeout = json!({ "communication_disabled_until": "2026-11-23T00:00:00+00:00" });
    owner.call("PATCH", &format!("/guilds/{guild}/members/{}", eve.id), timeout).await.ok();
    let told = drain(&mut of_eve).await.unwrap();
    assert_eq!(names(&told), ["GUILD_MEMBER_UPDATE"]);
    assert!(told[0].d["communication_disabled_until"].is_string());
}
