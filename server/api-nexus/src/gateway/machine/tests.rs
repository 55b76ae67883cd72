//! The fold on made-up commits: numbers, filters, and that a checkpoint anywhere continues the same.

use expect_test::{Expect, expect};
use nexus_event_store::{EventNo, rows::EventPlace};
use proptest::prelude::*;

use super::*;

const ME: UserNo = UserNo(1);
const OTHER: UserNo = UserNo(2);
const GUILD: RoomNo = RoomNo(10);
const CHANNEL: RoomNo = RoomNo(11);

fn machine(intents: Intents) -> SessionMachine {
    SessionMachine {
        user: ME,
        intents,
        shard: None,
        seq: 0,
        position: Position(5),
        guilds: [GUILD].into(),
        resumed_at: Vec::new(),
    }
}

fn commit(position: u64, facts: Vec<What>) -> Arc<CommitFacts> {
    let facts = facts.into_iter().map(|what| Fact::new(GUILD, Snowflake(GUILD.0), what)).collect();
    Arc::new(CommitFacts { position: Position(position), facts, rights: Vec::new() })
}

fn message(event: u64) -> What {
    let event = EventPlace { room: CHANNEL, event: EventNo(event) };
    What::MessageMade { channel: CHANNEL, event }
}

fn shown(dispatches: &[Dispatch]) -> String {
    let line = |dispatch: &Dispatch| match &dispatch.kind {
        Kind::Fact(commit, index) => format!("{} {:?}\n", dispatch.seq, commit.facts[*index].what),
        other => format!("{} {other:?}\n", dispatch.seq),
    };
    dispatches.iter().map(line).collect()
}

fn check(mut machine: SessionMachine, commits: &[Arc<CommitFacts>], expected: &Expect) {
    let visible = BTreeSet::from([CHANNEL]);
    let mut out = machine.begin();
    for commit in commits {
        out.extend(machine.step(commit, &visible));
    }
    expected.assert_eq(&shown(&out));
}

#[test]
fn the_guilds_come_after_ready_and_numbers_go_up_by_one() {
    check(
        machine(Intents::VALID),
        &[commit(6, vec![message(1), What::GuildChanged]), commit(7, vec![message(2)])],
        &expect![[r#"
            1 Ready
            2 GuildCreate(RoomNo(10))
            3 MessageMade { channel: RoomNo(11), event: EventPlace { room: RoomNo(11), event: EventNo(1) } }
            4 GuildChanged
            5 MessageMade { channel: RoomNo(11), event: EventPlace { room: RoomNo(11), event: EventNo(2) } }
        "#]],
    );
}

#[test]
fn intents_and_sight_filter() {
    let hidden = What::MessageDeleted { channel: RoomNo(99), message: Snowflake(1), thread: None };
    check(
        machine(Intents(Intents::GUILDS.0 | Intents::GUILD_MESSAGES.0)),
        &[commit(
            6,
            vec![
                hidden,
                What::MemberJoined(OTHER),
                What::MemberChanged(OTHER),
                What::MemberChanged(ME),
                What::ChannelChanged(CHANNEL),
            ],
        )],
        &expect![[r#"
            1 Ready
            2 GuildCreate(RoomNo(10))
            3 MemberChanged(UserNo(1))
            4 ChannelChanged(RoomNo(11))
        "#]],
    );
}

#[test]
fn a_guild_is_entered_as_a_whole_and_left_at_once() {
    let stranger = SessionMachine { guilds: BTreeSet::new(), ..machine(Intents::VALID) };
    check(
        stranger,
        &[
            commit(6, vec![message(1)]),
            commit(7, vec![What::MemberJoined(ME), What::ChannelMade(CHANNEL), What::MemberChanged(ME)]),
            commit(8, vec![message(2), What::MemberLeft(ME), message(3)]),
            commit(9, vec![message(4)]),
        ],
        &expect![[r#"
            1 Ready
            2 GuildCreate(RoomNo(10))
            3 MessageMade { channel: RoomNo(11), event: EventPlace { room: RoomNo(11), event: EventNo(2) } }
            4 GuildDelete(Snowflake(10))
        "#]],
    );
}

#[test]
fn a_shard_hears_only_its_guilds() {
    let shard = Some((1, 2));
    let mut machine = SessionMachine { guilds: BTreeSet::new(), shard, ..machine(Intents::VALID) };
    // Guild 10 >> 22 is 0, which belongs to shard 0.
    assert!(machine.step(&commit(6, vec![What::MemberJoined(ME)]), &BTreeSet::new()).is_empty());
    assert!(machine.guilds.is_empty());
    assert!(in_shard(Snowflake(1 << 22), shard));
}

#[test]
fn changed_rights_and_leaving_cannot_be_replayed() {
    let machine = machine(Intents::VALID);
    let with = |rights| CommitFacts { rights: vec![rights], ..CommitFacts::default() };
    assert!(machine.cannot_replay(&with(Rights::Guild(GUILD))));
    assert!(machine.cannot_replay(&with(Rights::Member(GUILD, ME))));
    assert!(!machine.cannot_replay(&with(Rights::Member(GUILD, OTHER))));
    assert!(!machine.cannot_replay(&with(Rights::Guild(RoomNo(99)))));
    assert!(machine.cannot_replay(&commit(6, vec![What::MemberLeft(ME)])));
    assert!(!machine.cannot_replay(&commit(6, vec![What::MemberLeft(OTHER), message(1)])));
}

#[test]
fn a_resumed_keeps_its_number_in_every_later_fold() {
    let visible = BTreeSet::from([CHANNEL]);
    let mut original = machine(Intents::VALID);
    let mut checkpoint = original.clone();
    let mut out = original.begin();
    let commits = [commit(6, vec![message(1)]), commit(7, vec![message(2)])];
    out.extend(original.step(&commits[0], &visible));
    for _ in 0..2 {
        let (at, resumed) = original.resume_here();
        checkpoint.resumed_at.push(at);
        out.push(resumed);
    }
    out.extend(original.step(&commits[1], &visible));
    let mut again = checkpoint.begin();
    commits.iter().for_each(|commit| again.extend(checkpoint.step(commit, &visible)));
    assert_eq!(shown(&again), shown(&out));
    expect![[r#"
        1 Ready
        2 GuildCreate(RoomNo(10))
        3 MessageMade { channel: RoomNo(11), event: EventPlace { room: RoomNo(11), event: EventNo(1) } }
        4 Resumed
        5 Resumed
        6 MessageMade { channel: RoomNo(11), event: EventPlace { room: RoomNo(11), event: EventNo(2) } }
    "#]]
    .assert_eq(&shown(&again));
}

proptest! {
    /// Wherever a checkpoint is taken, the rest of the log gives the same dispatches with the same numbers.
    #[test]
    fn a_checkpoint_anywhere_continues_the_same(
        log in proptest::collection::vec(proptest::collection::vec(fact(), 0..5), 0..20),
        at in 0_usize..20,
        intents in prop::sample::select(vec![Intents::VALID.0, 1, 1 | 1 << 9, 1 << 9 | 1 << 10, 0]),
        sees in any::<bool>(),
    ) {
        let commits: Vec<_> = log.into_iter().zip(6..).map(|(facts, position)| commit(position, facts)).collect();
        let visible = if sees { BTreeSet::from([CHANNEL]) } else { BTreeSet::new() };
        let mut original = machine(Intents(intents));
        let mut out = original.begin();
        let mut checkpoint = (original.clone(), out.len());
        for (index, commit) in commits.iter().enumerate() {
            if index == at {
                checkpoint = (original.clone(), out.len());
            }
            out.extend(original.step(commit, &visible));
        }
        let (mut restored, sent) = checkpoint;
        let mut again = restored.begin();
        let since = restored.position;
        for commit in commits.iter().filter(|commit| commit.position > since) {
            again.extend(restored.step(commit, &visible));
        }
        prop_assert_eq!(shown(&again), shown(&out[sent..]));
        prop_assert_eq!(&restored, &original);
        let numbers: Vec<u64> = out.iter().map(|dispatch| dispatch.seq).collect();
        prop_assert_eq!(numbers, (1..=out.len() as u64).collect::<Vec<_>>());
    }
}

fn fact() -> impl Strategy<Value = What> {
    prop_oneof![
        (1_u64..50).prop_map(message),
        Just(What::MemberJoined(ME)),
        Just(What::MemberLeft(ME)),
        Just(What::MemberJoined(OTHER)),
        Just(What::MemberChanged(ME)),
        Just(What::GuildChanged),
        Just(What::GuildDeleted),
        Just(What::ChannelMade(CHANNEL)),
        Just(What::MessageDeleted { channel: CHANNEL, message: Snowflake(3), thread: None }),
    ]
}
