//! The room versions this server speaks, and the rules each of them means.
//!
//! A version is an opaque name with a set of rules, never a number to compare: code asks
//! `version.rules()` for the rule it needs. Supporting another version is one more line here.
//!
//! **Errors**: an unknown name is `None`; the caller says which errcode that is.
//! **Source**: Matrix specification v1.19, `rooms/`.

use std::fmt;

use ruma::room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules};
use serde::{Serialize, Serializer};

/// A supported room version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoomVersion {
    /// Version 1: event ids that servers choose, state resolution by depth.
    V1,
    /// Version 2: state resolution v2.
    V2,
    /// Version 3: the event id is a hash, in the standard base64 alphabet.
    V3,
    /// Version 4: event ids in the URL-safe alphabet.
    V4,
    /// Version 5: signing keys are valid for a time only.
    V5,
    /// Version 6: canonical JSON is strict, `m.room.aliases` is an event like others.
    V6,
    /// Version 7: knocking.
    V7,
    /// Version 8: restricted joins.
    V8,
    /// Version 9: a redacted restricted join keeps who authorised it.
    V9,
    /// Version 10: integer power levels, `knock_restricted`.
    V10,
    /// Version 11: new redaction rules, `redacts` inside the content.
    V11,
    /// Version 12: the room id is the create event's hash, creators above every level.
    V12,
}

static RULES: [RoomVersionRules; RoomVersion::ALL.len()] = [
    RoomVersionRules::V1,
    RoomVersionRules::V2,
    RoomVersionRules::V3,
    RoomVersionRules::V4,
    RoomVersionRules::V5,
    RoomVersionRules::V6,
    RoomVersionRules::V7,
    RoomVersionRules::V8,
    RoomVersionRules::V9,
    RoomVersionRules::V10,
    RoomVersionRules::V11,
    RoomVersionRules::V12,
];

const NAMES: [&str; RoomVersion::ALL.len()] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

impl RoomVersion {
    /// Every supported version, oldest first.
    pub const ALL: [RoomVersion; 12] = [
        RoomVersion::V1,
        RoomVersion::V2,
        RoomVersion::V3,
        RoomVersion::V4,
        RoomVersion::V5,
        RoomVersion::V6,
        RoomVersion::V7,
        RoomVersion::V8,
        RoomVersion::V9,
        RoomVersion::V10,
        RoomVersion::V11,
        RoomVersion::V12,
    ];

    /// The version of this name, if it is supported.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// The name, as in `content.room_version` of the create event.
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The rules of this version.
    pub fn rules(self) -> &'static RoomVersionRules {
        &RULES[self as usize]
    }

    /// Whether the room id is the id of the create event with `!` in place of `$`.
    pub fn room_id_is_create_event(self) -> bool {
        self.rules().authorization.room_create_event_id_as_room_id
    }

    /// Whether a redaction names its target in `content.redacts` rather than at the top level.
    pub fn redacts_in_content(self) -> bool {
        self.rules().redaction.content_field_redacts
    }

    /// Whether an event carries its id, which its server chose; else the id is its hash.
    pub fn names_its_events(self) -> bool {
        self.rules().event_format.require_event_id
    }

    /// Whether an event cites others as pairs of id and reference hash rather than as ids.
    pub fn cites_by_hash(self) -> bool {
        self.rules().events_reference_format == EventsReferenceFormatVersion::V1
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RoomVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::RoomVersion;

    #[test]
    fn names_parse_back_and_foreign_names_do_not() {
        for version in RoomVersion::ALL {
            assert_eq!(RoomVersion::parse(version.as_str()), Some(version));
        }
        for name in ["", "0", "13", "012", " 10", "1.0", "org.matrix.hydra.11"] {
            assert_eq!(RoomVersion::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn what_differs_between_versions() {
        let table: String = RoomVersion::ALL
            .into_iter()
            .map(|version| {
                let rules = version.rules();
                let facts = [
                    ("event ids", format!("{:?}", rules.event_id_format)),
                    ("citations", format!("{:?}", rules.events_reference_format)),
                    ("room ids", format!("{:?}", rules.room_id_format)),
                    ("key validity", rules.enforce_key_validity.to_string()),
                    ("redacts in content", version.redacts_in_content().to_string()),
                ];
                let facts: Vec<String> = facts.iter().map(|(name, fact)| format!("{name} {fact}")).collect();
                format!("{version}: {}\n", facts.join(", "))
            })
            .collect();
        expect![[r#"
            1: event ids V1, citations V1, room ids V1, key validity false, redacts in content false
            2: event ids V1, citations V1, room ids V1, key validity false, redacts in content false
            3: event ids V2, citations V2, room ids V1, key validity false, redacts in content false
            4: event ids V3, citations V2, room ids V1, key validity false, redacts in content false
            5: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            6: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            7: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            8: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            9: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            10: event ids V3, citations V2, room ids V1, key validity true, redacts in content false
            11: event ids V3, citations V2, room ids V1, key validity true, redacts in content true
            12: event ids V3, citations V2, room ids V2, key validity true, redacts in content true
        "#]]
        .assert_eq(&table);
    }
}
