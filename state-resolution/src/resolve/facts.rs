//! What the authorisation rules read in an event's content, parsed once.
//!
//! Foreign content can have any shape, and a field of the wrong one only matters to the rules that read it:
//! so each field is its own [`Field`], which the rules turn into a "no".
//!
//! **Errors**: none; a field that cannot be read is [`Malformed`].
//! **Source**: Matrix v1.19, "Authorization rules" of the room versions; which form a value may have is
//! `ruma`'s reading of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use ruma::{
    Int, OwnedUserId, UserId,
    room_version_rules::AuthorizationRules,
    serde::{btreemap_deserialize_v1_powerlevel_values, deserialize_v1_powerlevel},
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue as RawJsonValue;

use crate::Pdu;

/// A field that has not the form that its rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) type Field<T> = Result<T, Malformed>;

/// The parsed content of an event, by its type.
pub(super) enum Facts {
    Create(Box<Create>),
    Levels(Box<Levels>),
    JoinRule(Field<JoinRule>),
    Member(Member),
    /// Of any other type: no rule reads its content here.
    Other,
}

/// The types that the rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Levels,
    JoinRules,
    Member,
    ThirdPartyInvite,
    /// Special in the oldest room versions only.
    Aliases,
    Redaction,
    Other,
}

impl Kind {
    pub(super) fn of(event_type: &str) -> Self {
        match event_type {
            "m.room.member" => Kind::Member,
            "m.room.create" => Kind::Create,
            "m.room.power_levels" => Kind::Levels,
            "m.room.join_rules" => Kind::JoinRules,
            "m.room.third_party_invite" => Kind::ThirdPartyInvite,
            "m.room.aliases" => Kind::Aliases,
            "m.room.redaction" => Kind::Redaction,
            _ => Kind::Other,
        }
    }
}

impl Facts {
    pub(super) fn read(rules: &AuthorizationRules, kind: Kind, pdu: &Pdu) -> Self {
        match kind {
            Kind::Create => Facts::Create(Box::new(Create::read(rules, pdu))),
            Kind::Levels => Facts::Levels(Box::new(Levels::read(rules, pdu.content()))),
            Kind::JoinRules => Facts::JoinRule(JoinRule::read(pdu.content())),
            Kind::Member => Facts::Member(Member::read(pdu.content())),
            Kind::ThirdPartyInvite | Kind::Aliases | Kind::Redaction | Kind::Other => Facts::Other,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawJsonValue) -> Field<T> {
    serde_json::from_str(raw.get()).map_err(|_| Malformed)
}

/// `m.room.create`.
pub(super) struct Create {
    /// Whether users of other servers than the creator's may take part.
    pub(super) federate: Field<bool>,
    pub(super) creators: Field<Creators>,
    pub(super) sender: OwnedUserId,
}

/// Who made the room.
pub(super) struct Creators {
    pub(super) creator: OwnedUserId,
    pub(super) additional: BTreeSet<OwnedUserId>,
}

impl Creators {
    pub(super) fn contains(&self, user: &UserId) -> bool {
        self.creator == *user || self.additional.contains(user)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &OwnedUserId> {
        std::iter::once(&self.creator).chain(&self.additional)
    }
}

impl Create {
    fn read(rules: &AuthorizationRules, pdu: &Pdu) -> Self {
        #[derive(Deserialize)]
        struct Federate {
            #[serde(rename = "m.federate")]
            federate: Option<bool>,
        }
        let federate = parse::<Federate>(pdu.content()).map(|content| content.federate.unwrap_or(true));
        Self { federate, creators: Self::read_creators(rules, pdu), sender: pdu.sender().to_owned() }
    }

    fn read_creators(rules: &AuthorizationRules, pdu: &Pdu) -> Field<Creators> {
        #[derive(Deserialize)]
        struct Creator {
            creator: OwnedUserId,
        }
        #[derive(Deserialize)]
        struct Additional {
            #[serde(default)]
            additional_creators: BTreeSet<OwnedUserId>,
        }
        let creator = if rules.use_room_create_sender {
            pdu.sender().to_owned()
        } else {
            parse::<Creator>(pdu.content())?.creator
        };
        let additional = if rules.additional_room_creators {
            parse::<Additional>(pdu.content())?.additional_creators
        } else {
            BTreeSet::new()
        };
        Ok(Creators { creator, additional })
    }
}

/// `m.room.join_rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinRule {
    Public,
    Invite,
    Knock,
    Restricted,
    KnockRestricted,
    /// One that lets nobody in.
    Other,
}

impl JoinRule {
    fn read(content: &RawJsonValue) -> Field<Self> {
        #[derive(Deserialize)]
        struct Content<'a> {
            #[serde(borrow)]
            join_rule: Cow<'a, str>,
        }
        Ok(match &*parse::<Content<'_>>(content)?.join_rule {
            "public" => JoinRule::Public,
            "invite" => JoinRule::Invite,
            "knock" => JoinRule::Knock,
            "restricted" => JoinRule::Restricted,
            "knock_restricted" => JoinRule::KnockRestricted,
            _ => JoinRule::Other,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Join,
    Invite,
    Leave,
    Ban,
    Knock,
    /// One that no rule knows.
    Other,
}

/// `m.room.member`.
pub(super) struct Member {
    pub(super) membership: Field<Membership>,
    /// Who vouches for a restricted join.
    pub(super) via: Field<Option<OwnedUserId>>,
    /// Whether it claims to follow from an invite by e-mail or the like.
    pub(super) by_third_party: bool,
}

impl Member {
    fn read(content: &RawJsonValue) -> Self {
        #[derive(Deserialize)]
        struct Content<'a> {
            #[serde(borrow)]
            membership: Cow<'a, str>,
            #[serde(borrow)]
            join_authorised_via_users_server: Option<Cow<'a, str>>,
            third_party_invite: Option<IgnoredAny>,
        }
        let Ok(content) = parse::<Content<'_>>(content) else { return Self::read_each(content) };
        let via = content.join_authorised_via_users_server.map(|user| OwnedUserId::try_from(&*user));
        Self {
            membership: Ok(Membership::from(&*content.membership)),
            via: via.transpose().map_err(|_| Malformed),
            by_third_party: content.third_party_invite.is_some(),
        }
    }

    /// Field by field, where one of them is not text.
    fn read_each(content: &RawJsonValue) -> Self {
        #[derive(Deserialize)]
        struct Content<'a> {
            #[serde(borrow)]
            membership: Option<&'a RawJsonValue>,
            #[serde(borrow)]
            join_authorised_via_users_server: Option<&'a RawJsonValue>,
            third_party_invite: Option<IgnoredAny>,
        }
        let Ok(content) = parse::<Content<'_>>(content) else {
            return Self { membership: Err(Malformed), via: Err(Malformed), by_third_party: false };
        };
        let membership = content.membership.ok_or(Malformed).and_then(parse::<Cow<'_, str>>);
        Self {
            membership: membership.map(|membership| Membership::from(&*membership)),
            via: content.join_authorised_via_users_server.map(parse).transpose(),
            by_third_party: content.third_party_invite.is_some(),
        }
    }
}

impl From<&str> for Membership {
    fn from(membership: &str) -> Self {
        match membership {
            "join" => Membership::Join,
            "invite" => Membership::Invite,
            "leave" => Membership::Leave,
            "ban" => Membership::Ban,
            "knock" => Membership::Knock,
            _ => Membership::Other,
        }
    }
}

/// A level of `m.room.power_levels` that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    UsersDefault,
    EventsDefault,
    StateDefault,
    Ban,
    Redact,
    Kick,
    Invite,
}

impl Level {
    pub(super) const ALL: [Level; 7] = [
        Level::UsersDefault,
        Level::EventsDefault,
        Level::StateDefault,
        Level::Ban,
        Level::Redact,
        Level::Kick,
        Level::Invite,
    ];

    fn name(self) -> &'static str {
        match self {
            Level::UsersDefault => "users_default",
            Level::EventsDefault => "events_default",
            Level::StateDefault => "state_default",
            Level::Ban => "ban",
            Level::Redact => "redact",
            Level::Kick => "kick",
            Level::Invite => "invite",
        }
    }

    /// What holds where nothing is written.
    pub(super) fn default(self) -> Int {
        match self {
            Level::UsersDefault | Level::EventsDefault | Level::Invite => Int::from(0),
            Level::StateDefault | Level::Ban | Level::Redact | Level::Kick => Int::from(50),
        }
    }
}

/// `m.room.power_levels`.
pub(super) struct Levels {
    numbers: [Field<Option<Int>>; 7],
    pub(super) events: Field<Option<BTreeMap<String, Int>>>,
    pub(super) notifications: Field<Option<BTreeMap<String, Int>>>,
    pub(super) users: Field<Option<BTreeMap<OwnedUserId, Int>>>,
}

impl Levels {
    fn read(rules: &AuthorizationRules, content: &RawJsonValue) -> Self {
        // A map, because `null` in a field is not its absence.
        let content = parse::<BTreeMap<String, &RawJsonValue>>(content);
        let field = |name: &str| match &content {
            Ok(content) => Ok(content.get(name).copied()),
            Err(Malformed) => Err(Malformed),
        };
        Self {
            numbers: Level::ALL.map(|level| match field(level.name())? {
                Some(raw) => read_level(rules, raw).map(Some),
                None => Ok(None),
            }),
            events: field("events").and_then(|raw| read_map(rules, raw)),
            // Where no rule is about them, nothing in them is malformed.
            notifications: match rules.limit_notifications_power_levels {
                true => field("notifications").and_then(|raw| read_map(rules, raw)),
                false => Ok(None),
            },
            users: field("users").and_then(|raw| read_map(rules, raw)),
        }
    }

    /// A level as it is written.
    pub(super) fn written(&self, level: Level) -> Field<Option<Int>> {
        self.numbers[level as usize]
    }

    /// A level as it holds.
    pub(super) fn level(&self, level: Level) -> Field<Int> {
        Ok(self.written(level)?.unwrap_or_else(|| level.default()))
    }

    /// The level of a user who is no creator.
    pub(super) fn user(&self, user: &UserId) -> Field<Int> {
        match map(&self.users)?.and_then(|users| users.get(user)) {
            Some(level) => Ok(*level),
            None => self.level(Level::UsersDefault),
        }
    }

    /// The level that sending a state event of a type takes.
    pub(super) fn state_event(&self, event_type: &str) -> Field<Int> {
        match map(&self.events)?.and_then(|events| events.get(event_type)) {
            Some(level) => Ok(*level),
            None => self.level(Level::StateDefault),
        }
    }
}

/// A map of levels, if there is one.
pub(super) fn map<K: Ord>(field: &Field<Option<BTreeMap<K, Int>>>) -> Field<Option<&BTreeMap<K, Int>>> {
    field.as_ref().map(Option::as_ref).map_err(|_| Malformed)
}

/// Before room version 10 a level may be written as a string.
fn read_level(rules: &AuthorizationRules, raw: &RawJsonValue) -> Field<Int> {
    if rules.integer_power_levels {
        return parse(raw);
    }
    deserialize_v1_powerlevel(&mut serde_json::Deserializer::from_str(raw.get())).map_err(|_| Malformed)
}

fn read_map<K: DeserializeOwned + Ord>(
    rules: &AuthorizationRules,
    raw: Option<&RawJsonValue>,
) -> Field<Option<BTreeMap<K, Int>>> {
    let Some(raw) = raw else { return Ok(None) };
    if rules.integer_power_levels {
        return parse(raw).map(Some);
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    btreemap_deserialize_v1_powerlevel_values(&mut json).map(Some).map_err(|_| Malformed)
}
