//! The room versions this server speaks, and the rules each of them means.
//!
//! A version is an opaque name with a set of rules, never a number to compare: code asks
//! `version.rules()` for the rule it needs. Supporting another version is one more line here.
//!
//! **Errors**: an unknown name is `None`; the caller says which errcode that is.
//! **Source**: Matrix specification v1.19, `rooms/`.

use std::fmt;

use ruma::room_version_rules::RoomVersionRules;

/// A supported room version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoomVersion {
    /// Version 10: integer power levels, `knock_restricted`.
    V10,
    /// Version 11: new redaction rules, `redacts` inside the content.
    V11,
    /// Version 12: the room id is the create event's hash, creators above every level.
    V12,
}

static V10: RoomVersionRules = RoomVersionRules::V10;
static V11: RoomVersionRules = RoomVersionRules::V11;
static V12: RoomVersionRules = RoomVersionRules::V12;

impl RoomVersion {
    /// Every supported version, oldest first.
    pub const ALL: [RoomVersion; 3] = [RoomVersion::V10, RoomVersion::V11, RoomVersion::V12];

    /// The version of this name, if it is supported.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// The name, as in `content.room_version` of the create event.
    pub fn as_str(self) -> &'static str {
        match self {
            RoomVersion::V10 => "10",
            RoomVersion::V11 => "11",
            RoomVersion::V12 => "12",
        }
    }

    /// The rules of this version.
    pub fn rules(self) -> &'static RoomVersionRules {
        match self {
            RoomVersion::V10 => &V10,
            RoomVersion::V11 => &V11,
            RoomVersion::V12 => &V12,
        }
    }

    /// Whether the room id is the id of the create event with `!` in place of `$`.
    pub fn room_id_is_create_event(self) -> bool {
        self.rules().authorization.room_create_event_id_as_room_id
    }

    /// Whether a redaction names its target in `content.redacts` rather than at the top level.
    pub fn redacts_in_content(self) -> bool {
        self.rules().redaction.content_field_redacts
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
        for name in ["", "1", "9", "13", "012", " 10", "org.matrix.hydra.11"] {
            assert_eq!(RoomVersion::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn what_differs_between_versions() {
        let table: String = RoomVersion::ALL
            .into_iter()
            .map(|version| {
                format!(
                    "{version}: room id is create={} redacts in content={}\n",
                    version.room_id_is_create_event(),
                    version.redacts_in_content()
                )
            })
            .collect();
        expect![[r#"
            10: room id is create=false redacts in content=false
            11: room id is create=false redacts in content=true
            12: room id is create=true redacts in content=true
        "#]]
        .assert_eq(&table);
    }
}
