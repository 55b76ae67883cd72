//! Profiles, account data, filters and gateway sessions.

use std::time::Duration;

use nexus_accounts::{AccountError, GatewaySession, Profile};
use nexus_event_store::{Position, feed::Topic};
use ruma::{room_id, user_id};

use crate::world::Fixture;

#[tokio::test]
async fn a_profile_starts_empty_and_is_changed_part_by_part() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await;
    assert_eq!(server.accounts.profile(&alice.user_id).await.unwrap(), Profile::default());
    server.accounts.set_display_name(alice.user, Some("Alice".to_owned())).await.unwrap();
    server.accounts.set_avatar_url(alice.user, Some("mxc://example.org/a".to_owned())).await.unwrap();
    server.accounts.set_display_name(alice.user, None).await.unwrap();
    let expected = Profile { display_name: None, avatar_url: Some("mxc://example.org/a".to_owned()) };
    assert_eq!(server.accounts.profile_of(alice.user).await.unwrap(), expected);
    let error = server.accounts.set_display_name(alice.user, Some("x".repeat(256))).await.unwrap_err();
    assert!(matches!(error, AccountError::FieldTooLong { field: "displayname", bytes_max: 255 }));
    let error = server.accounts.profile(user_id!("@nobody:example.org")).await.unwrap_err();
    assert!(matches!(error, AccountError::UnknownUser));
}

#[tokio::test]
async fn account_data_is_kept_per_room_and_found_by_position() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let room = Some(room_id!("!room:example.org"));
    let put = async |room, content: &str| {
        server.accounts.put_account_data(alice, room, "m.test", content.to_owned()).await.unwrap();
    };
    put(None, r#"{"a":1}"#).await;
    let between = server.store.visible();
    let mut subscriber = server.store.feed().subscribe();
    subscriber.follow(Topic::User(alice));
    put(room, r#"{"a":2}"#).await;
    tokio::time::timeout(Duration::from_secs(10), subscriber.changed()).await.expect("a sync is woken");
    let at = server.store.visible();
    put(room, r#"{"a":2}"#).await;
    assert_eq!(server.store.visible(), at, "nothing new, nothing written");

    let get = async |room| server.accounts.account_data(alice, room, "m.test").await.unwrap();
    assert_eq!(get(None).await.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(get(room).await.as_deref(), Some(r#"{"a":2}"#));
    assert_eq!(server.accounts.account_data(alice, None, "m.other").await.unwrap(), None);
    let newer = server.accounts.account_data_since(alice, between).await.unwrap();
    assert_eq!(newer.len(), 1);
    assert_eq!((newer[0].room.as_deref(), newer[0].content.as_str()), (room, r#"{"a":2}"#));
    assert_eq!(newer[0].position, at);
    assert_eq!(server.accounts.account_data_since(alice, Position::START).await.unwrap().len(), 2);
    let big = server.accounts.put_account_data(alice, None, "m.test", "x".repeat(65_537)).await.unwrap_err();
    assert!(matches!(big, AccountError::FieldTooLong { field: "content", .. }));
}

#[tokio::test]
async fn equal_filters_have_equal_ids_and_belong_to_their_user() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let bob = server.join("bob").await.user;
    let id = server.accounts.put_filter(alice, "{}".to_owned()).await.unwrap();
    assert!(!id.starts_with('{'));
    assert_eq!(server.accounts.put_filter(alice, "{}".to_owned()).await.unwrap(), id);
    assert_ne!(server.accounts.put_filter(alice, "{ }".to_owned()).await.unwrap(), id);
    assert_eq!(server.accounts.filter(alice, &id).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(server.accounts.filter(bob, &id).await.unwrap(), None);
}

#[tokio::test]
async fn gateway_sessions_survive_a_restart_and_are_pruned_by_age() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let session = |id: String, seq| GatewaySession {
        id,
        user: alice,
        device: "D".to_owned(),
        seq,
        position: Position(7),
        state: vec![1, 2, 3],
    };
    for number in 0..600 {
        server.accounts.save_gateway_session(session(format!("old{number}"), 1)).await.unwrap();
    }
    server.advance(Duration::from_secs(60));
    server.accounts.save_gateway_session(session("old5".to_owned(), 2)).await.unwrap();
    server.accounts.save_gateway_session(session("new".to_owned(), 1)).await.unwrap();
    let server = server.restarted().await;
    assert_eq!(server.accounts.prune_gateway_sessions(server.now_ms()).await.unwrap(), 599);
    let kept = server.accounts.gateway_session("old5").await.unwrap();
    assert_eq!(kept, Some(session("old5".to_owned(), 2)));
    assert_eq!(server.accounts.gateway_session("old6").await.unwrap(), None);
    server.accounts.delete_gateway_session("new").await.unwrap();
    assert_eq!(server.accounts.gateway_session("new").await.unwrap(), None);
    server.accounts.delete_gateway_session("new").await.unwrap();
}
