//! Coming into a guild by an invite.

use std::time::Duration;

use nexus_rooms::{NewInvite, Rejection, RoomsError};
use nexus_views::{Membership, Permissions};

use crate::scene::{actor, missing, play, play_from};

#[test]
fn who_has_the_code_comes_in() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let invite =
            scene.rooms.create_invite(&actor("ana"), guild.general.no, NewInvite::default()).await.unwrap();
        let joined = scene.rooms.accept_invite(&actor("ben"), &invite.code).await.unwrap();
        assert_eq!(joined, guild.room.no);
        assert_eq!(scene.membership(&guild.room, "ben").await, Some(Membership::Join));
        assert_eq!(scene.membership(&guild.general, "ben").await, None, "channels are joined when used");
        assert_eq!(scene.rooms.invite_of(&invite.code).await.unwrap().unwrap().uses, 1);
        assert_eq!(scene.last(&guild.room, 1).await, ["ben m.room.member join"]);
    });
}

#[test]
fn who_is_in_already_uses_nothing_up() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let once = NewInvite { max_uses: 1, ..NewInvite::default() };
        let invite = scene.rooms.create_invite(&actor("ana"), guild.general.no, once).await.unwrap();
        let visible = scene.store().visible();
        scene.rooms.accept_invite(&actor("ana"), &invite.code).await.unwrap();
        assert_eq!(scene.store().visible(), visible);
        assert_eq!(scene.rooms.invite_of(&invite.code).await.unwrap().unwrap().uses, 0);
    });
}

#[test]
fn an_invite_ends_with_its_time() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let minute = NewInvite { max_age_s: 60, ..NewInvite::default() };
        let invite = scene.rooms.create_invite(&actor("ana"), guild.general.no, minute).await.unwrap();
        let end = Duration::from_millis(invite.expires_ms().unwrap() - scene.store().world().now().0);
        scene.wait(end - Duration::from_millis(1)).await;
        scene.rooms.accept_invite(&actor("ben"), &invite.code).await.unwrap();
        scene.wait(Duration::from_millis(1)).await;
        let late = scene.refused(scene.rooms.accept_invite(&actor("cem"), &invite.code)).await;
        assert_eq!(late, Rejection::UnknownInvite);
        assert_eq!(scene.rooms.invite_of(&invite.code).await.unwrap(), None);
        assert_eq!(scene.rooms.invites_of_guild(guild.room.no).await.unwrap(), []);
    });
}

#[test]
fn exactly_as_many_get_in_as_the_invite_allows() {
    for seed in 0..20 {
        play_from(seed, async |scene| {
            let guild = scene.guild("ana").await;
            let three = NewInvite { max_uses: 3, ..NewInvite::default() };
            let invite = scene.rooms.create_invite(&actor("ana"), guild.general.no, three).await.unwrap();
            let crowd: Vec<String> = (0..12).map(|number| format!("guest{number}")).collect();
            let outcomes = scene
                .together(crowd.clone().into_iter().map(|name| {
                    let (rooms, code) = (scene.rooms.clone(), invite.code.clone());
                    async move { rooms.accept_invite(&actor(&name), &code).await }
                }))
                .await;
            let mut inside = 0;
            for (name, outcome) in crowd.iter().zip(outcomes) {
                let joined = scene.membership(&guild.room, name).await == Some(Membership::Join);
                match outcome {
                    Ok(_) => assert!(joined, "{name} was told to be in"),
                    Err(RoomsError::Rejected(Rejection::UnknownInvite)) => assert!(!joined),
                    Err(other) => panic!("{other}"),
                }
                inside += usize::from(joined);
            }
            assert_eq!(inside, 3, "seed {seed}");
            assert_eq!(scene.rooms.invite_of(&invite.code).await.unwrap(), None);
        });
    }
}

#[test]
fn an_invite_needs_the_permission_and_honest_limits() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let make = |who: &str, new| {
            let (rooms, who, channel) = (scene.rooms.clone(), actor(who), guild.general.no);
            async move { rooms.create_invite(&who, channel, new).await }
        };
        let stranger = scene.refused(make("eve", NewInvite::default())).await;
        assert_eq!(stranger, missing(Permissions::VIEW_CHANNEL));
        let long = NewInvite { max_age_s: 8 * 24 * 3600, ..NewInvite::default() };
        assert!(matches!(
            scene.refused(make("ben", long)).await,
            Rejection::BadField { field: "max_age", .. }
        ));
        let many = NewInvite { max_uses: 101, ..NewInvite::default() };
        assert!(matches!(
            scene.refused(make("ben", many)).await,
            Rejection::BadField { field: "max_uses", .. }
        ));
        scene.deny_everyone(&guild, &guild.general, Permissions::CREATE_INSTANT_INVITE).await;
        let denied = scene.refused(make("ben", NewInvite::default())).await;
        assert_eq!(denied, missing(Permissions::CREATE_INSTANT_INVITE));
    });
}

#[test]
fn the_same_wish_gives_the_same_invite_unless_it_is_to_be_new() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let ana = actor("ana");
        let make = async |new| scene.rooms.create_invite(&ana, guild.general.no, new).await.unwrap().code;
        let first = make(NewInvite::default()).await;
        assert_eq!(make(NewInvite::default()).await, first);
        assert_ne!(make(NewInvite { unique: true, ..NewInvite::default() }).await, first);
        assert_ne!(make(NewInvite { max_uses: 5, ..NewInvite::default() }).await, first);
    });
}

#[test]
fn an_invite_that_was_deleted_lets_nobody_in() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for name in ["ben", "cem"] {
            scene.comes_in(&guild, "ana", name).await;
        }
        let invite =
            scene.rooms.create_invite(&actor("ben"), guild.general.no, NewInvite::default()).await.unwrap();
        let refusal = scene.refused(scene.rooms.delete_invite(&actor("cem"), &invite.code)).await;
        assert_eq!(
            refusal,
            missing(Permissions::MANAGE_CHANNELS),
            "it is neither the maker's nor a manager's wish"
        );
        scene.rooms.delete_invite(&actor("ben"), &invite.code).await.unwrap();
        let refusal = scene.refused(scene.rooms.accept_invite(&actor("dot"), &invite.code)).await;
        assert_eq!(refusal, Rejection::UnknownInvite);
    });
}

#[test]
fn who_is_banned_does_not_come_in() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let ben = actor("ben").user;
        scene.rooms.ban_member(&actor("ana"), guild.room.no, &ben, 0, None).await.unwrap();
        let invite =
            scene.rooms.create_invite(&actor("ana"), guild.general.no, NewInvite::default()).await.unwrap();
        let refusal = scene.refused(scene.rooms.accept_invite(&actor("ben"), &invite.code)).await;
        assert_eq!(refusal, Rejection::Banned);
        let refusal = scene.refused(scene.rooms.join(&actor("ben"), &guild.room.id, None)).await;
        assert_eq!(refusal, Rejection::Banned);
    });
}

#[test]
fn a_guild_that_is_not_open_to_all_needs_an_invite() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let refusal = scene.refused(scene.rooms.join_guild(&actor("ben"), &guild.room.id)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }));
        let open = nexus_rooms::GuildChanges {
            features: Some(vec!["DISCOVERABLE".to_owned()]),
            ..nexus_rooms::GuildChanges::default()
        };
        scene.rooms.update_guild(&actor("ana"), guild.room.no, open).await.unwrap();
        assert_eq!(scene.rooms.join_guild(&actor("ben"), &guild.room.id).await.unwrap(), guild.room.no);
        let refusal = scene.refused(scene.rooms.join_guild(&actor("ben"), &guild.general.id)).await;
        assert_eq!(refusal, Rejection::UnknownGuild);
    });
}
