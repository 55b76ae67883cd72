//! Roles and the hierarchy; what the guild says of its members.

use std::time::Duration;

use nexus_rooms::{GuildRefusal, MemberChanges, Rejection, RoleFields, RoomsError};
use nexus_views::{Permissions, rows::RoleRow};

use crate::scene::{Guild, Scene, actor, missing, play};

const MANAGE: Permissions = Permissions::MANAGE_ROLES;

fn named(name: &str, permissions: Permissions) -> RoleFields {
    RoleFields { name: Some(name.to_owned()), permissions: Some(permissions), ..RoleFields::default() }
}

impl Scene {
    async fn role(&self, guild: &Guild, name: &str, permissions: Permissions) -> u64 {
        self.rooms.create_role(&actor("ana"), guild.room.no, named(name, permissions)).await.unwrap()
    }

    async fn gives(&self, who: &str, guild: &Guild, member: &str, role: u64) -> Result<(), RoomsError> {
        let changes = MemberChanges { more_roles: vec![role], ..MemberChanges::default() };
        self.change(who, guild, member, changes).await
    }

    async fn change(
        &self,
        who: &str,
        guild: &Guild,
        member: &str,
        changes: MemberChanges,
    ) -> Result<(), RoomsError> {
        self.rooms.update_member(&actor(who), guild.room.no, &actor(member).user, changes).await
    }

    async fn row(&self, guild: &Guild, role: u64) -> Option<RoleRow> {
        let roles = self.views().roles(guild.room.no).await.unwrap();
        roles.into_iter().map(|known| known.row).find(|known| known.id == role)
    }

    /// The names of the roles, lowest first.
    async fn order(&self, guild: &Guild) -> Vec<String> {
        let roles = self.views().roles(guild.room.no).await.unwrap();
        roles.into_iter().map(|role| role.row.name).collect()
    }

    async fn held_by(&self, guild: &Guild, name: &str) -> Vec<u64> {
        let user = self.views().user_no(&actor(name).user).await.unwrap().unwrap();
        let member = self.views().guild_member(guild.room.no, user).await.unwrap().unwrap();
        member.roles.into_iter().map(|role| role.0).collect()
    }
}

fn no(refusal: GuildRefusal) -> Rejection {
    Rejection::Guild(refusal)
}

/// A guild of ana with three roles, lowest first; ben has the middle one, which manages roles, cem the low one.
async fn three_ranks(scene: &Scene) -> (Guild, [u64; 3]) {
    let guild = scene.guild("ana").await;
    for name in ["ben", "cem", "dot"] {
        scene.comes_in(&guild, "ana", name).await;
    }
    // What is made later is lower.
    let high = scene.role(&guild, "high", Permissions::ADMINISTRATOR).await;
    scene.wait(Duration::from_millis(5)).await;
    let middle = scene.role(&guild, "middle", MANAGE.with(Permissions::MANAGE_NICKNAMES)).await;
    scene.wait(Duration::from_millis(5)).await;
    let low = scene.role(&guild, "low", Permissions::NONE).await;
    scene.gives("ana", &guild, "ben", middle).await.unwrap();
    scene.gives("ana", &guild, "cem", low).await.unwrap();
    (guild, [low, middle, high])
}

#[test]
fn a_new_role_is_the_lowest_and_one_event() {
    play(async |scene| {
        let (guild, _) = three_ranks(scene).await;
        assert_eq!(scene.order(&guild).await, ["@everyone", "low", "middle", "high"]);
        let before = scene.timeline(&guild.room).await.len();
        scene.role(&guild, "another", Permissions::ALL).await;
        assert_eq!(scene.timeline(&guild.room).await.len(), before + 1);
        let position = scene.store().visible();
        // What changes nothing makes no event.
        let same = RoleFields { color: Some(0), ..RoleFields::default() };
        scene.rooms.update_role(&actor("ana"), guild.room.no, 0, same).await.unwrap();
        assert_eq!(scene.store().visible(), position);
    });
}

#[test]
fn nobody_touches_what_is_not_below_them() {
    play(async |scene| {
        let (guild, [low, middle, high]) = three_ranks(scene).await;
        let (ben, room) = (actor("ben"), guild.room.no);
        let paint = RoleFields { color: Some(7), ..RoleFields::default() };
        for role in [middle, high] {
            let rooms = &scene.rooms;
            let refusal = scene.refused(rooms.update_role(&ben, room, role, paint.clone())).await;
            assert_eq!(refusal, no(GuildRefusal::RoleTooHigh));
            let refusal = scene.refused(rooms.delete_role(&ben, room, role)).await;
            assert_eq!(refusal, no(GuildRefusal::RoleTooHigh));
            let refusal = scene.refused(scene.gives("ben", &guild, "cem", role)).await;
            assert_eq!(refusal, no(GuildRefusal::RoleTooHigh));
            // Not even oneself: one's own highest role cannot be taken off by oneself either.
            let changes = MemberChanges { fewer_roles: vec![middle], ..MemberChanges::default() };
            let refusal = scene.refused(scene.change("ben", &guild, "ben", changes)).await;
            assert_eq!(refusal, no(GuildRefusal::RoleTooHigh));
        }
        scene.rooms.update_role(&ben, room, low, paint).await.unwrap();
        assert_eq!(scene.row(&guild, low).await.unwrap().color, 7);
        scene.gives("ben", &guild, "dot", low).await.unwrap();
        assert_eq!(scene.held_by(&guild, "dot").await, [low]);
        // The owner is above all, whatever roles the owner has.
        scene.rooms.delete_role(&actor("ana"), room, high).await.unwrap();
        // Without the permission rank means nothing.
        let refusal = scene.refused(scene.gives("cem", &guild, "dot", low)).await;
        assert_eq!(refusal, missing(MANAGE));
    });
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    play(async |scene| {
        let (guild, [low, ..]) = three_ranks(scene).await;
        let (ben, room) = (actor("ben"), guild.room.no);
        let wanted = named("lifted", Permissions::ADMINISTRATOR);
        let refusal = scene.refused(scene.rooms.create_role(&ben, room, wanted.clone())).await;
        assert_eq!(refusal, missing(Permissions::ADMINISTRATOR));
        let refusal = scene.refused(scene.rooms.update_role(&ben, room, low, wanted)).await;
        assert_eq!(refusal, missing(Permissions::ADMINISTRATOR));
        // Everyone's is below ben, and no way round it.
        let wanted = RoleFields { permissions: Some(Permissions::BAN_MEMBERS), ..RoleFields::default() };
        let refusal = scene.refused(scene.rooms.update_role(&ben, room, 0, wanted)).await;
        assert_eq!(refusal, missing(Permissions::BAN_MEMBERS));
        scene.rooms.create_role(&ben, room, named("fine", MANAGE)).await.unwrap();
        // A bit that was there before need not be one's own.
        let kick = RoleFields { permissions: Some(Permissions::KICK_MEMBERS), ..RoleFields::default() };
        scene.rooms.update_role(&actor("ana"), room, low, kick).await.unwrap();
        let painted = RoleFields { color: Some(9), ..named("low", Permissions::KICK_MEMBERS) };
        scene.rooms.update_role(&ben, room, low, painted).await.unwrap();
    });
}

#[test]
fn everyone_stays_what_it_is() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let (ana, room) = (actor("ana"), guild.room.no);
        let rooms = &scene.rooms;
        let invalid = no(GuildRefusal::InvalidRole);
        assert_eq!(scene.refused(rooms.delete_role(&ana, room, 0)).await, invalid);
        assert_eq!(scene.refused(rooms.move_roles(&ana, room, vec![(0, 1)])).await, invalid);
        let renamed = named("somebody", Permissions::NONE);
        assert_eq!(scene.refused(rooms.update_role(&ana, room, 0, renamed)).await, invalid);
        assert_eq!(scene.refused(scene.gives("ana", &guild, "ana", 0)).await, invalid);
        let fewer = RoleFields { permissions: Some(Permissions::VIEW_CHANNEL), ..RoleFields::default() };
        rooms.update_role(&ana, room, 0, fewer).await.unwrap();
        scene.comes_in(&guild, "ana", "ben").await;
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::VIEW_CHANNEL);
        let unknown = no(GuildRefusal::UnknownRole);
        assert_eq!(scene.refused(rooms.delete_role(&ana, room, 7)).await, unknown);
        assert_eq!(scene.refused(scene.gives("ana", &guild, "ben", 7)).await, unknown);
    });
}

#[test]
fn a_bots_role_belongs_to_the_bot() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let (ana, room) = (actor("ana"), guild.room.no);
        let bot = actor("helper");
        let add = nexus_rooms::AddBot {
            guild: room,
            bot: bot.user.clone(),
            name: "Helper".to_owned(),
            permissions: MANAGE,
        };
        scene.rooms.add_bot(&ana, add).await.unwrap();
        let role = scene.held_by(&guild, "helper").await[0];
        assert!(scene.row(&guild, role).await.unwrap().bot.is_some());
        let invalid = no(GuildRefusal::InvalidRole);
        assert_eq!(scene.refused(scene.rooms.delete_role(&ana, room, role)).await, invalid);
        assert_eq!(scene.refused(scene.gives("ana", &guild, "ana", role)).await, invalid);
        let bare = MemberChanges { roles: Some(Vec::new()), ..MemberChanges::default() };
        assert_eq!(scene.refused(scene.change("ana", &guild, "helper", bare)).await, invalid);
        // When the bot has gone nothing holds the role.
        scene.rooms.leave_guild(&bot, room).await.unwrap();
        scene.rooms.delete_role(&ana, room, role).await.unwrap();
    });
}

#[test]
fn a_deleted_role_gives_nothing_and_costs_one_event() {
    play(async |scene| {
        let (guild, [low, middle, _]) = three_ranks(scene).await;
        assert!(scene.permissions(&guild, "ben").await.contains(MANAGE));
        let before = scene.timeline(&guild.room).await.len();
        scene.rooms.delete_role(&actor("ana"), guild.room.no, middle).await.unwrap();
        assert_eq!(scene.timeline(&guild.room).await.len(), before + 1);
        assert!(!scene.permissions(&guild, "ben").await.contains(MANAGE));
        assert_eq!(scene.held_by(&guild, "ben").await, Vec::<u64>::new());
        // The next change of the member leaves the dead id out.
        scene.gives("ana", &guild, "ben", low).await.unwrap();
        assert_eq!(scene.held_by(&guild, "ben").await, [low]);
    });
}

#[test]
fn roles_move_below_ones_own() {
    play(async |scene| {
        let (guild, [low, middle, high]) = three_ranks(scene).await;
        let ground = scene.role(&guild, "ground", Permissions::NONE).await;
        assert_eq!(scene.order(&guild).await, ["@everyone", "ground", "low", "middle", "high"]);
        let (ben, room) = (actor("ben"), guild.room.no);
        scene.rooms.move_roles(&ben, room, vec![(ground, 2)]).await.unwrap();
        assert_eq!(scene.order(&guild).await, ["@everyone", "low", "ground", "middle", "high"]);
        for moves in [vec![(ground, 3)], vec![(ground, 4)], vec![(middle, 1)], vec![(high, 1)]] {
            let refusal = scene.refused(scene.rooms.move_roles(&ben, room, moves)).await;
            assert_eq!(refusal, no(GuildRefusal::RoleTooHigh));
        }
        // The whole list as clients send it, @everyone at 0.
        let all = vec![(0, 0), (ground, 1), (high, 2), (middle, 3), (low, 4)];
        scene.rooms.move_roles(&actor("ana"), room, all).await.unwrap();
        assert_eq!(scene.order(&guild).await, ["@everyone", "ground", "high", "middle", "low"]);
        let positions = scene.views().roles(room).await.unwrap();
        let positions: Vec<i64> = positions.into_iter().map(|role| role.row.position).collect();
        assert_eq!(positions, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn nicknames_follow_the_hierarchy() {
    play(async |scene| {
        let (guild, _) = three_ranks(scene).await;
        let nick =
            |name: &str| MemberChanges { nick: Some(Some(name.to_owned())), ..MemberChanges::default() };
        scene.change("ben", &guild, "cem", nick(" Cemo ")).await.unwrap();
        scene.change("ben", &guild, "ben", nick("Big Ben")).await.unwrap();
        let refusal = scene.refused(scene.change("ben", &guild, "ana", nick("Anna"))).await;
        assert_eq!(refusal, no(GuildRefusal::MemberTooHigh));
        let refusal = scene.refused(scene.change("cem", &guild, "ben", nick("x"))).await;
        assert_eq!(refusal, missing(Permissions::MANAGE_NICKNAMES));
        let refusal = scene.refused(scene.change("ana", &guild, "eve", nick("x"))).await;
        assert_eq!(refusal, no(GuildRefusal::UnknownMember));
        let refusal = scene.refused(scene.change("eve", &guild, "eve", nick("x"))).await;
        assert_eq!(refusal, Rejection::UnknownGuild);
        let everyone = RoleFields {
            permissions: Some(Permissions::EVERYONE_DEFAULT.without(Permissions::CHANGE_NICKNAME)),
            ..RoleFields::default()
        };
        scene.rooms.update_role(&actor("ana"), guild.room.no, 0, everyone).await.unwrap();
        let refusal = scene.refused(scene.change("cem", &guild, "cem", nick("mine"))).await;
        assert_eq!(refusal, missing(Permissions::CHANGE_NICKNAME));
        let user = scene.views().user_no(&actor("cem").user).await.unwrap().unwrap();
        let member = scene.views().guild_member(guild.room.no, user).await.unwrap().unwrap();
        assert_eq!(member.nick.as_deref(), Some("Cemo"));
    });
}

#[test]
fn a_member_is_timed_out_by_those_above() {
    play(async |scene| {
        let (guild, [_, middle, high]) = three_ranks(scene).await;
        let now = scene.store().world().now().0;
        let until = |until| MemberChanges { timeout_until_ms: Some(until), ..MemberChanges::default() };
        let refusal = scene.refused(scene.change("ben", &guild, "cem", until(Some(now + 60_000)))).await;
        assert_eq!(refusal, missing(Permissions::MODERATE_MEMBERS));
        let bits = RoleFields {
            permissions: Some(MANAGE.with(Permissions::MODERATE_MEMBERS)),
            ..RoleFields::default()
        };
        scene.rooms.update_role(&actor("ana"), guild.room.no, middle, bits).await.unwrap();
        scene.change("ben", &guild, "cem", until(Some(now + 60_000))).await.unwrap();
        let quiet = Permissions::VIEW_CHANNEL.with(Permissions::READ_MESSAGE_HISTORY);
        assert_eq!(scene.permissions(&guild, "cem").await, quiet);
        scene.change("ben", &guild, "cem", until(None)).await.unwrap();
        assert_ne!(scene.permissions(&guild, "cem").await, quiet);
        let too_long = Some(now + 29 * 24 * 3_600_000);
        assert!(matches!(
            scene.refused(scene.change("ana", &guild, "cem", until(too_long))).await,
            Rejection::BadField { field: "communication_disabled_until", .. }
        ));
        // Administrators are not timed out, by anybody.
        scene.gives("ana", &guild, "dot", high).await.unwrap();
        let refusal = scene.refused(scene.change("ana", &guild, "dot", until(Some(now + 60_000)))).await;
        assert_eq!(refusal, no(GuildRefusal::MemberTooHigh));
    });
}

#[test]
fn a_guild_has_an_end_of_roles() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for _ in 1..250 {
            scene.role(&guild, "one of many", Permissions::NONE).await;
        }
        let fields = RoleFields::default();
        let refusal = scene.refused(scene.rooms.create_role(&actor("ana"), guild.room.no, fields)).await;
        assert_eq!(refusal, Rejection::TooMany { what: "roles", limit: 250 });
    });
}
