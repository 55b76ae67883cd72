//! The permission function against Discord's prose, read bit by bit instead of as sets.

use std::collections::BTreeSet;

use nexus_event_store::UserNo;
use nexus_views::{
    OverwriteTarget, Permissions,
    permissions::{Member, in_channel, in_guild},
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
    roles: Vec<(u64, u64)>,
    overwrites: Vec<OverwriteRow>,
}

fn with_member<T>(case: &Case, ask: impl FnOnce(&Member<'_>) -> T) -> T {
    let roles: Vec<(u64, Permissions)> =
        case.roles.iter().map(|(id, bits)| (*id, Permissions(*bits))).collect();
    ask(&Member {
        user: ME,
        is_owner: case.owner,
        timed_out: case.timed_out,
        everyone: Permissions(case.everyone),
        roles: &roles,
    })
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
        (0..4u64).prop_map(OverwriteTarget::Role),
        (6..9u64).prop_map(|user| OverwriteTarget::Member(UserNo(user))),
    ]
}

prop_compose! {
    fn any_case()(
        owner in prop::bool::weighted(0.1),
        timed_out in prop::bool::weighted(0.2),
        everyone in bits(),
        roles in vec((1..4u64, bits()), 0..4),
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
        let roles = roles.into_iter().filter(|(id, _)| ids.insert(*id)).collect();
        Case { owner, timed_out, everyone, roles, overwrites }
    }
}

fn has(bits: u64, one: Permissions) -> bool {
    bits & one.0 != 0
}

fn by_role(case: &Case, one: Permissions) -> bool {
    has(case.everyone, one) || case.roles.iter().any(|(_, bits)| has(*bits, one))
}

fn may_everything(case: &Case) -> bool {
    case.owner || by_role(case, Permissions::ADMINISTRATOR)
}

/// What one level of overwrites says of one bit: any of its allows wins over its denials.
fn level(case: &Case, one: Permissions, concerns: impl Fn(OverwriteTarget) -> bool) -> Option<bool> {
    let mut said = None;
    for overwrite in case.overwrites.iter().filter(|overwrite| concerns(overwrite.target)) {
        if has(overwrite.allow, one) {
            return Some(true);
        }
        if has(overwrite.deny, one) {
            said = Some(false);
        }
    }
    said
}

/// One bit by roles and overwrites alone: the most particular level that says anything decides.
fn granted(case: &Case, one: Permissions) -> bool {
    let held = |id: u64| case.roles.iter().any(|(role, _)| *role == id);
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
    let can_send = granted(case, Permissions::SEND_MESSAGES) && !case.timed_out;
    granted(case, one)
        && granted(case, Permissions::VIEW_CHANNEL)
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
        let held = with_member(&case, |member| in_channel(member, &case.overwrites));
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
        let ask = |case: &Case| with_member(case, |member| in_channel(member, &case.overwrites));
        prop_assert_eq!(ask(&case), ask(&turned));
    }
}
