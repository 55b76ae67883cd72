//! Jobs: what is too much for one commit is carried out to its end, whenever the server is killed.

use std::time::Duration;

use nexus_event_store::{RoomNo, kv::memory::MemoryEngine};
use nexus_rooms::{NewChannel, NewInvite, Rooms};
use nexus_sim::{
    disk::{SimulatedDisk, SyncTime},
    executor::Simulation,
    server::Server,
};
use nexus_views::{ChannelKind, Membership, TimelineSlice};
use ruma::{OwnedRoomId, ServerName};

use crate::scene::{actor, edit, play, reaction, text};

/// More channels than are left in one commit.
const CHANNELS: usize = 70;

/// A guild of ana's with many channels; ben has written in each.
async fn wide(rooms: &Rooms) -> (RoomNo, Vec<(RoomNo, OwnedRoomId)>) {
    let ana = actor("ana");
    let guild = rooms.create_guild(&ana, nexus_rooms::CreateGuild { name: "Wide".to_owned() }).await.unwrap();
    let mut channels = Vec::new();
    for number in 0..CHANNELS {
        let channel = NewChannel { name: format!("c{number}"), ..NewChannel::default() };
        let room = rooms.create_channel(&ana, guild, channel).await.unwrap();
        channels.push((room, rooms.views().room_id(room).await.unwrap()));
    }
    let invite = rooms.create_invite(&ana, channels[0].0, NewInvite::default()).await.unwrap();
    rooms.accept_invite(&actor("ben"), &invite.code).await.unwrap();
    for (no, id) in &channels {
        let room = crate::scene::Room { no: *no, id: id.clone() };
        rooms.send(&actor("ben"), text(&room, "hello")).await.unwrap();
    }
    (guild, channels)
}

async fn membership(rooms: &Rooms, room: RoomNo, name: &str) -> Option<Membership> {
    let user = rooms.views().user_no(&actor(name).user).await.unwrap().unwrap();
    rooms.views().membership(room, user).await.unwrap().map(|row| row.membership)
}

/// How many events of `kind` a room has, as `field` of their content says.
async fn count(rooms: &Rooms, room: RoomNo, kind: &str, membership: &str) -> usize {
    let all = TimelineSlice { after: None, before: None, newest_first: false, limit: usize::MAX };
    let items = rooms.views().timeline(room, all).await.unwrap();
    let is_one = |item: &&nexus_views::TimelineItem| {
        let content: serde_json::Value = item.event.pdu.content_as().unwrap();
        item.event.pdu.event_type() == kind && content["membership"].as_str().unwrap_or("") == membership
    };
    items.iter().filter(is_one).count()
}

#[test]
fn a_ban_in_many_channels_is_one_small_commit_and_a_job() {
    play(async |scene| {
        let (guild, channels) = wide(&scene.rooms).await;
        let before = scene.store().visible();
        scene.rooms.ban_member(&actor("ana"), guild, &actor("ben").user, 0, None).await.unwrap();
        let commits = scene.store().commits_after(before, 1).await.unwrap();
        assert_eq!(commits[0].events.len(), 1, "the ban and nothing else");
        let jobs = scene.rooms.jobs().await.unwrap();
        assert_eq!((jobs.len(), jobs[0].kind, jobs[0].room), (1, "settle member", guild));
        assert_eq!(membership(&scene.rooms, channels[0].0, "ben").await, Some(Membership::Join), "not yet");
        scene.jobs_done().await;
        for (room, _) in &channels {
            assert_eq!(membership(&scene.rooms, *room, "ben").await, Some(Membership::Leave));
        }
        let statistics = scene.rooms.job_statistics();
        let read = |number: &std::sync::atomic::AtomicU64| number.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(read(&statistics.finished), 1);
        assert!(read(&statistics.steps) >= 3, "in bounded steps");
    });
}

/// The server is killed again and again while its jobs run; each deed still happens, and once.
#[test]
fn jobs_are_finished_once_whenever_the_server_is_killed() {
    let mut kills = 0;
    for seed in 0..12 {
        let simulation = Simulation::new(seed);
        simulation.run(async {
            let time = SyncTime { least: Duration::from_micros(200), most: Duration::from_millis(3) };
            let disk = || SimulatedDisk::new(simulation.clone(), time);
            let name = ServerName::parse("sim.example").unwrap();
            let engine = MemoryEngine::new(disk());
            let mut server = Server::start(&simulation, &name, engine).await.unwrap();
            let (guild, channels) = wide(&server.rooms).await;
            let ana = actor("ana");
            match seed % 3 {
                0 => server.rooms.ban_member(&ana, guild, &actor("ben").user, 3600, None).await.unwrap(),
                1 => server.rooms.leave_guild(&actor("ben"), guild).await.unwrap(),
                _ => server.rooms.delete_guild(&ana, guild).await.unwrap(),
            }
            while !server.rooms.jobs().await.unwrap().is_empty() {
                let pause = Duration::from_micros(simulation.below(12_000));
                nexus_event_store::world::Clock::sleep(&simulation, pause).await;
                let remains = server.remains(disk());
                simulation.kill_tasks();
                kills += 1;
                server = Server::start(&simulation, &name, remains).await.unwrap();
            }
            for (room, _) in &channels {
                let rooms = &server.rooms;
                assert_eq!(membership(rooms, *room, "ben").await, Some(Membership::Leave), "seed {seed}");
                let left = count(rooms, *room, "m.room.member", "leave").await;
                assert_eq!(left, 1, "seed {seed}");
                let redactions = count(rooms, *room, "m.room.redaction", "").await;
                assert_eq!(redactions, usize::from(seed % 3 == 0), "seed {seed}");
            }
        });
    }
    assert!(kills > 40, "the server was killed {kills} times only");
}

#[test]
fn jobs_take_turns() {
    play(async |scene| {
        let (guild, _) = wide(&scene.rooms).await;
        scene.rooms.ban_member(&actor("ana"), guild, &actor("ben").user, 0, None).await.unwrap();
        let other = scene.guild("cem").await;
        scene.rooms.delete_guild(&actor("cem"), other.room.no).await.unwrap();
        scene.jobs_done().await;
        assert_eq!(scene.membership(&other.general, "cem").await, Some(Membership::Leave));
    });
}

#[test]
fn a_category_goes_however_many_channels_it_has() {
    play(async |scene| {
        let (ana, guild) = (actor("ana"), scene.guild("ana").await);
        let category =
            NewChannel { name: "c".to_owned(), kind: ChannelKind::Category, ..NewChannel::default() };
        let category = scene.rooms.create_channel(&ana, guild.room.no, category).await.unwrap();
        let mut children = Vec::new();
        for number in 0..40 {
            let child =
                NewChannel { name: format!("n{number}"), parent: Some(category), ..NewChannel::default() };
            children.push(scene.rooms.create_channel(&ana, guild.room.no, child).await.unwrap());
        }
        scene.rooms.delete_channel(&ana, category).await.unwrap();
        for child in &children {
            let shown = scene.views().channel(*child).await.unwrap().unwrap();
            assert_eq!(shown.parent_id, None, "at once");
        }
        scene.jobs_done().await;
        for child in &children {
            assert_eq!(scene.views().info(*child).await.unwrap().parent, None, "in the log");
        }
    });
}

#[test]
fn all_reactions_of_a_message_go_however_many_there_are() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let sent = scene.send("ana", text(&guild.general, "vote")).await;
        for number in 0..150 {
            let name = format!("u{number}");
            scene.comes_in(&guild, "ana", &name).await;
            scene
                .send(&name, reaction(&guild.general, &sent, if number % 2 == 0 { "👍" } else { "👎" }))
                .await;
        }
        scene.send("ana", edit(&guild.general, &sent, "vote!")).await;
        let clear = |emoji: Option<&str>| {
            scene.rooms.clear_reactions(actor("ana"), sent.place, emoji.map(str::to_owned))
        };
        let before = scene.store().visible();
        clear(Some("👍")).await.unwrap();
        let first = scene.store().commits_after(before, 1).await.unwrap();
        assert_eq!(first[0].events.len(), 75, "as many as fit go at once");
        assert_eq!(scene.message(&sent).await.unwrap().reactions.len(), 1);
        clear(None).await.unwrap();
        scene.jobs_done().await;
        assert!(scene.message(&sent).await.unwrap().reactions.is_empty());
        assert_eq!(scene.says(&sent).await, "vote!", "edits stay");
    });
}
