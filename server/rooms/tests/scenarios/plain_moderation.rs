//! Who may be in a room that is no guild's: knocks, bans, forgetting, aliases and replacement, as commands.

use nexus_rooms::{CreateRoom, Preset, Rejection, RoomRefusal};
use nexus_state_resolution::RoomVersion;
use nexus_views::Membership;
use ruma::RoomAliasId;
use serde_json::json;

use crate::scene::{Room, Scene, actor, play, state};

async fn public_room(scene: &Scene) -> Room {
    let new = CreateRoom { preset: Preset::PublicChat, ..CreateRoom::default() };
    let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
    scene.room(made.room).await
}

#[test]
fn a_refused_deed_leaves_nothing() {
    play(async |scene| {
        let room = public_room(scene).await;
        let (ana, ben, eve) = (actor("ana"), actor("ben"), actor("eve"));
        scene.rooms.join(&ben, &room.id, None).await.unwrap();
        let refusals = [
            scene.refused(scene.rooms.kick(&ben, &room.id, &ana.user, None)).await,
            scene.refused(scene.rooms.ban(&ben, &room.id, &eve.user, None)).await,
            scene.refused(scene.rooms.kick(&ana, &room.id, &eve.user, None)).await,
            scene.refused(scene.rooms.unban(&ana, &room.id, &ben.user, None)).await,
            scene.refused(scene.rooms.knock(&ben, &room.id, None)).await,
            scene.refused(scene.rooms.knock(&eve, &room.id, None)).await,
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        }
        let refusal = scene.refused(scene.rooms.ban(&eve, &room.id, &ben.user, None)).await;
        assert_eq!(refusal, Rejection::NotMember);
        let refusal = scene.refused(scene.rooms.forget(&ben, &room.id)).await;
        assert_eq!(refusal, RoomRefusal::StillMember.into());
        let refusal = scene.refused(scene.rooms.forget(&eve, &room.id)).await;
        assert_eq!(refusal, Rejection::UnknownRoom);
    });
}

#[test]
fn who_was_never_there_can_be_banned() {
    play(async |scene| {
        let room = public_room(scene).await;
        let (ana, eve) = (actor("ana"), actor("eve"));
        scene.rooms.ban(&ana, &room.id, &eve.user, Some("known".to_owned())).await.unwrap();
        assert_eq!(scene.membership(&room, "eve").await, Some(Membership::Ban));
        assert_eq!(scene.refused(scene.rooms.join(&eve, &room.id, None)).await, Rejection::Banned);
        assert_eq!(scene.refused(scene.rooms.knock(&eve, &room.id, None)).await, Rejection::Banned);
        scene.rooms.unban(&ana, &room.id, &eve.user, None).await.unwrap();
        scene.rooms.join(&eve, &room.id, None).await.unwrap();
    });
}

#[test]
fn a_guild_is_left_to_its_roles() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let (ana, ben) = (actor("ana"), actor("ben"));
        for room in [&guild.room, &guild.general] {
            let upgrade = scene.rooms.upgrade(&ana, &room.id, RoomVersion::V12, Vec::new());
            let refusal = scene.refused(upgrade).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            let refusal = scene.refused(scene.rooms.publish(&ana, &room.id, true)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            let tombstone = state(room, "m.room.tombstone", "", json!({ "replacement_room": "!x" }));
            let refusal = scene.refused(scene.rooms.send(&ana, tombstone)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            let alias = RoomAliasId::parse("#guild:sim.example").unwrap();
            let refusal = scene.refused(scene.rooms.set_alias(&ben, &alias, &room.id)).await;
            assert!(matches!(refusal, Rejection::MissingPermission(_)), "{refusal:?}");
            scene.rooms.set_alias(&ana, &alias, &room.id).await.unwrap();
            scene.rooms.delete_alias(&ana, &alias).await.unwrap();
        }
        let refusal = scene.refused(scene.rooms.knock(&actor("eve"), &guild.room.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
    });
}

#[test]
fn an_alias_is_one_rooms_at_a_time() {
    play(async |scene| {
        let (one, two) = (public_room(scene).await, public_room(scene).await);
        let alias = RoomAliasId::parse("#home:sim.example").unwrap();
        let outcomes = {
            let attempts = [one.id.clone(), two.id.clone()].map(|room| {
                let (rooms, alias) = (scene.rooms.clone(), alias.clone());
                async move { rooms.set_alias(&actor("ana"), &alias, &room).await.is_ok() }
            });
            scene.together(attempts).await
        };
        assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1, "{outcomes:?}");
        let winner = if outcomes[0] { &one } else { &two };
        assert_eq!(scene.views().alias(&alias).await.unwrap().unwrap().room, winner.no);
        let made =
            scene.rooms.upgrade(&actor("ana"), &winner.id, RoomVersion::V11, Vec::new()).await.unwrap();
        assert_eq!(scene.views().alias(&alias).await.unwrap().unwrap().room, made.room);
        assert_eq!(scene.views().aliases_of(winner.no).await.unwrap(), Vec::<ruma::OwnedRoomAliasId>::new());
        scene.rooms.delete_alias(&actor("ana"), &alias).await.unwrap();
        assert!(scene.views().aliases_of(made.room).await.unwrap().is_empty());
    });
}

#[test]
fn a_room_with_too_much_to_carry_is_not_replaced() {
    play(async |scene| {
        let room = public_room(scene).await;
        for number in 0..201 {
            let target = actor(&format!("bad{number}")).user;
            scene.rooms.ban(&actor("ana"), &room.id, &target, None).await.unwrap();
        }
        let ana = actor("ana");
        let upgrade = scene.rooms.upgrade(&ana, &room.id, RoomVersion::V12, Vec::new());
        let refusal = scene.refused(upgrade).await;
        assert!(matches!(refusal, Rejection::TooMany { limit: 200, .. }), "{refusal:?}");
        scene.rooms.unban(&ana, &room.id, &actor("bad0").user, None).await.unwrap();
        let made = scene.rooms.upgrade(&ana, &room.id, RoomVersion::V12, Vec::new()).await.unwrap();
        let new = scene.room(made.room).await;
        assert_eq!(scene.membership(&new, "bad200").await, Some(Membership::Ban));
    });
}
