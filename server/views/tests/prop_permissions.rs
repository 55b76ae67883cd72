//! The permission function against Discord's prose, read bit by bit instead of as sets.

use std::collections::BTreeSet;

use nexus_event_store::UserNo;
use nexus_views::{
    ChannelKind, OverwriteTarget, Permissions,
    permissions::{HeldRole, Member, Place, in_channel, in_guild},
    rows::OverwriteRow,
};
use proptest::{collection::vec, prelude::*};

const ME: UserNo = UserNo(7);

/// A member and a channel, as the prose speaks of them.
#[derive(Clone, Debug)]
struct Case {
    owner: bool,
    timed_out: bool,
    everyone: u64,
    /// Id, bits, and whether it was emptied.
    roles: Vec<(u64, u64, bool)>,
    kind: ChannelKind,
    in_thread: bool,
    overwrites: Vec<OverwriteRow>,
}

fn with_member<T>(case: &Case, ask: impl FnOnce(&Member<'_>) -> T) -> T {
    let held = |id: u64, bits: u64, unreadable: bool| HeldRole { id, bits: Permissions(bits), unreadable };
    let roles: Vec<HeldRole> =
        case.roles.iter().map(|(id, bits, unreadable)| held(*id, *bits, *unreadable)).collect();
    ask(&Member {
        user: ME,
        is_owner: case.owner,
        timed_out: case.timed_out,
        everyone: held(0, case.everyone, false),
        roles: &roles,
    })
}

fn ask(case: &Case) -> Permissions {
    let place = Place { kind: case.kind, in_thread: case.in_thread, overwrites: &case.overwrites };
    with_member(case, |member| in_channel(member, &place))
}

/// Mostly without ADMINISTRATOR, which would decide everything.
fn bits() -> impl Strategy<Value = u64> {
    let known = Permissions::ALL.0;
    prop_oneof![
        3 => Just(0),
        3 => Just(Permissions::VIEW_CHANNEL.0),
        12 => any::<u64>().prop_map(move |bits| bits & known & !Permissions::ADMINISTRATOR.0),
        1 => any::<u64>().prop_map(move |bits| bits & known),
    ]
}

fn target() -> impl Strategy<Value = OverwriteTarget> {
    prop_oneof![
        12 => (0..4u64).prop_map(OverwriteTarget::Role),
        1 => Just(OverwriteTarget::Unreadable),
        9 => (6..9u64).prop_map(|user| OverwriteTarget::Member(UserNo(user))),
    ]
}

prop_compose! {
    fn any_case()(
        owner in prop::bool::weighted(0.1),
        timed_out in prop::bool::weighted(0.2),
        everyone in bits(),
        roles in vec((1..4u64, bits(), prop::bool::weighted(0.1)), 0..4),
        kind in prop::sample::select(ChannelKind::NAMES.map(|(kind, _)| kind).to_vec()),
        in_thread in prop::bool::weighted(0.2),
        overwrites in vec((target(), bits(), bits()), 0..8),
    ) -> Case {
        // One overwrite per target and one set of bits per role, as the state has them.
        let mut targets = BTreeSet::new();
        let overwrites = overwrites
            .into_iter()
            .filter(|(target, ..)| targets.insert(*target))
            .map(|(target, allow, deny)| OverwriteRow { target, allow, deny })
            .collect();
        let mut ids = BTreeSet::new();
        let roles = roles.into_iter().filter(|(id, ..)| ids.insert(*id)).collect();
        Case { owner, timed_out, everyone, roles, kind, in_thread, overwrites }
    }
}

fn has(bits: u64, one: Permissions) -> bool {
    bits & one.0 != 0
}

fn by_role(case: &Case, one: Permissions) -> bool {
    has(case.everyone, one) || case.roles.iter().any(|(_, bits, emptied)| !emptied && has(*bits, one))
}

fn may_everything(case: &Case) -> bool {
    case.owner || by_role(case, Permissions::ADMINISTRATOR)
}

/// What one level of overwrites says of one bit: any of its allows wins over its denials.
fn level(case: &Case, one: Permissions, concerns: impl Fn(OverwriteTarget) -> bool) -> Option<bool> {
    let emptied = |target: OverwriteTarget| {
        case.roles.iter().any(|(id, _, emptied)| *emptied && target == OverwriteTarget::Role(*id))
    };
    let mut said = None;
    for overwrite in case.overwrites.iter().filter(|overwrite| concerns(overwrite.target)) {
        if has(overwrite.allow, one) && !emptied(overwrite.target) {
            return Some(true);
        }
        if has(overwrite.deny, one) {
            said = Some(false);
        }
    }
    said
}

/// What concerns the guild as a whole, which no overwrite changes.
const OF_THE_GUILD: [Permissions; 12] = [
    Permissions::KICK_MEMBERS,
    Permissions::BAN_MEMBERS,
    Permissions::ADMINISTRATOR,
    Permissions::MANAGE_GUILD,
    Permissions::VIEW_AUDIT_LOG,
    Permissions::VIEW_GUILD_INSIGHTS,
    Permissions::CHANGE_NICKNAME,
    Permissions::MANAGE_NICKNAMES,
    Permissions::MANAGE_GUILD_EXPRESSIONS,
    Permissions::MODERATE_MEMBERS,
    Permissions::VIEW_CREATOR_MONETIZATION_ANALYTICS,
    Permissions::CREATE_GUILD_EXPRESSIONS,
];

/// One bit by roles and overwrites alone: the most particular level that says anything decides.
fn granted(case: &Case, one: Permissions) -> bool {
    if OF_THE_GUILD.contains(&one) {
        return by_role(case, one);
    }
    let held = |id: u64| case.roles.iter().any(|(role, ..)| *role == id);
    level(case, one, |target| target == OverwriteTarget::Member(ME))
        .or_else(|| level(case, one, |target| matches!(target, OverwriteTarget::Role(id) if held(id))))
        .or_else(|| level(case, one, |target| target == OverwriteTarget::Role(0)))
        .unwrap_or_else(|| by_role(case, one))
}

/// What stays in a timeout.
const READING: [Permissions; 2] = [Permissions::VIEW_CHANNEL, Permissions::READ_MESSAGE_HISTORY];

/// What goes with being unable to send.
const SENDING: [Permissions; 4] = [
    Permissions::MENTION_EVERYONE,
    Permissions::SEND_TTS_MESSAGES,
    Permissions::ATTACH_FILES,
    Permissions::EMBED_LINKS,
];

fn may_in_channel(case: &Case, one: Permissions) -> bool {
    if may_everything(case) {
        return true;
    }
    let sends =
        if case.in_thread { Permissions::SEND_MESSAGES_IN_THREADS } else { Permissions::SEND_MESSAGES };
    let can_send = granted(case, sends);
    let is_spoken = matches!(case.kind, ChannelKind::Voice | ChannelKind::Stage);
    let is_outside = is_spoken && !granted(case, Permissions::CONNECT);
    (if one == Permissions::SEND_MESSAGES { can_send } else { granted(case, one) })
        && granted(case, Permissions::VIEW_CHANNEL)
        && !case.overwrites.iter().any(|overwrite| overwrite.target == OverwriteTarget::Unreadable)
        && (one == Permissions::VIEW_CHANNEL || !is_outside)
        && (READING.contains(&one) || !case.timed_out)
        && (can_send || !SENDING.contains(&one))
}

fn may_in_guild(case: &Case, one: Permissions) -> bool {
    may_everything(case) || (by_role(case, one) && (READING.contains(&one) || !case.timed_out))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn each_bit_in_a_channel_is_what_the_prose_says(case in any_case()) {
        let held = ask(&case);
        for (name, one) in Permissions::NAMES {
            prop_assert_eq!(held.contains(*one), may_in_channel(&case, *one), "{}", name);
        }
    }

    #[test]
    fn each_bit_in_a_guild_is_what_the_prose_says(case in any_case()) {
        let held = with_member(&case, in_guild);
        for (name, one) in Permissions::NAMES {
            prop_assert_eq!(held.contains(*one), may_in_guild(&case, *one), "{}", name);
        }
    }

    /// State is a set: neither roles nor overwrites have an order.
    #[test]
    fn the_order_of_roles_and_overwrites_means_nothing(case in any_case()) {
        let mut turned = case.clone();
        turned.roles.reverse();
        turned.overwrites.reverse();
        prop_assert_eq!(ask(&case), ask(&turned));
    }
}
