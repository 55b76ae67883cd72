//! The permission function, case by case.

use super::*;

const VIEW: u64 = Permissions::VIEW_CHANNEL.0;
const SEND: u64 = Permissions::SEND_MESSAGES.0;
const ATTACH: u64 = Permissions::ATTACH_FILES.0;
const THREADS: u64 = Permissions::SEND_MESSAGES_IN_THREADS.0;

fn role(id: u64, bits: u64) -> HeldRole {
    HeldRole { id, bits: Permissions(bits), unreadable: false }
}

fn member(roles: &[HeldRole]) -> Member<'_> {
    let everyone = role(0, VIEW | SEND | ATTACH);
    Member { user: UserNo(7), is_owner: false, timed_out: false, everyone, roles }
}

fn overwrite(target: OverwriteTarget, allow: u64, deny: u64) -> OverwriteRow {
    OverwriteRow { target, allow, deny }
}

fn text(overwrites: &[OverwriteRow]) -> Place<'_> {
    Place { kind: ChannelKind::Text, in_thread: false, overwrites }
}

#[test]
fn an_allow_on_any_role_beats_a_deny_on_another() {
    let roles = [role(1, 0), role(2, 0)];
    let overwrites =
        [overwrite(OverwriteTarget::Role(2), SEND, 0), overwrite(OverwriteTarget::Role(1), 0, SEND)];
    assert!(in_channel(&member(&roles), &text(&overwrites)).contains(Permissions::SEND_MESSAGES));
}

#[test]
fn the_member_overwrite_comes_last() {
    let roles = [role(1, 0)];
    let overwrites = [
        overwrite(OverwriteTarget::Member(UserNo(7)), 0, SEND),
        overwrite(OverwriteTarget::Role(1), SEND, 0),
        overwrite(OverwriteTarget::Role(0), 0, SEND),
    ];
    assert_eq!(in_channel(&member(&roles), &text(&overwrites)), Permissions(VIEW));
}

#[test]
fn without_view_there_is_nothing() {
    let overwrites = [overwrite(OverwriteTarget::Role(0), 0, VIEW)];
    assert_eq!(in_channel(&member(&[]), &text(&overwrites)), Permissions::NONE);
}

#[test]
fn owner_and_administrator_pass_overwrites_and_timeout() {
    let denied = [overwrite(OverwriteTarget::Role(0), 0, VIEW), overwrite(OverwriteTarget::Unreadable, 0, 0)];
    let owner = Member { is_owner: true, timed_out: true, ..member(&[]) };
    assert_eq!(in_channel(&owner, &text(&denied)), Permissions::ALL);
    let roles = [role(1, Permissions::ADMINISTRATOR.0)];
    let administrator = Member { timed_out: true, ..member(&roles) };
    assert_eq!(in_channel(&administrator, &text(&denied)), Permissions::ALL);
}

#[test]
fn a_timeout_leaves_reading() {
    let quiet = Member { timed_out: true, ..member(&[]) };
    assert_eq!(in_channel(&quiet, &text(&[])), Permissions(VIEW));
}

#[test]
fn no_overwrite_makes_an_administrator() {
    let overwrites = [overwrite(OverwriteTarget::Role(0), Permissions::ALL.0, 0)];
    let held = in_channel(&member(&[]), &text(&overwrites));
    assert_eq!(held, Permissions::OF_CHANNELS);
    assert!(!held.contains(Permissions::ADMINISTRATOR));
}

#[test]
fn a_voice_channel_without_connect_is_only_seen() {
    let everyone = role(0, Permissions::ALL.without(Permissions::ADMINISTRATOR).0);
    let overwrites = [overwrite(OverwriteTarget::Role(0), 0, Permissions::CONNECT.0)];
    let somebody = Member { everyone, ..member(&[]) };
    for (kind, is_spoken) in
        [(ChannelKind::Voice, true), (ChannelKind::Stage, true), (ChannelKind::Text, false)]
    {
        let held = in_channel(&somebody, &Place { kind, in_thread: false, overwrites: &overwrites });
        assert_eq!(held == Permissions::VIEW_CHANNEL, is_spoken, "{kind:?}");
    }
}

#[test]
fn a_thread_has_a_permission_to_send_of_its_own() {
    let in_thread = |bits: u64| {
        let somebody = Member { everyone: role(0, bits), ..member(&[]) };
        in_channel(&somebody, &Place { kind: ChannelKind::Text, in_thread: true, overwrites: &[] })
    };
    assert_eq!(in_thread(VIEW | SEND | ATTACH), Permissions(VIEW));
    assert_eq!(in_thread(VIEW | THREADS | ATTACH), Permissions(VIEW | THREADS | SEND | ATTACH));
}

#[test]
fn what_cannot_be_read_denies() {
    let emptied = HeldRole { unreadable: true, ..role(1, SEND) };
    let overwrites = [overwrite(OverwriteTarget::Role(1), Permissions::PIN_MESSAGES.0, ATTACH | SEND)];
    let held = in_channel(&member(&[emptied]), &text(&overwrites));
    assert_eq!(held, Permissions(VIEW), "its denials stay, its allowances go");
    let overwrites =
        [overwrite(OverwriteTarget::Unreadable, 0, 0), overwrite(OverwriteTarget::Role(0), VIEW, 0)];
    assert_eq!(in_channel(&member(&[]), &text(&overwrites)), Permissions::NONE);
}
