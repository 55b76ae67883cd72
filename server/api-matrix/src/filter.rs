//! Filters: what a client wants of `/sync` and `/messages`.
//!
//! **Shapes**: the JSON of the specification, read strictly; a field that this server does not act on is
//! accepted and ignored.
//! **Errors**: 400 `M_NOT_JSON` or `M_BAD_JSON` for a filter of another shape.
//! **Source**: Matrix v1.19, client-server API, "Filtering". An entry of a `not_` list wins; type lists take
//! `*`; an absent list restricts nothing, an empty one matches nothing.

use nexus_state_resolution::Pdu;
use nexus_views::Event;
use ruma::RoomId;
use serde::Deserialize;

use crate::error::ApiError;

/// How many events a timeline gets when the client does not say.
const LIMIT_DEFAULT: usize = 10;

/// The most events that a page has.
pub(crate) const LIMIT_MAX: usize = 1000;

/// A whole filter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// What to tell of rooms.
    pub(crate) room: RoomFilter,
    /// Which global account data.
    pub(crate) account_data: EventFilter,
}

/// The part of a filter that is about rooms.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoomFilter {
    rooms: Option<Vec<String>>,
    not_rooms: Vec<String>,
    /// Tell of rooms that were left before the sync, too.
    pub(crate) include_leave: bool,
    /// Which events of the timeline.
    pub(crate) timeline: EventFilter,
    /// Which state events.
    pub(crate) state: EventFilter,
    /// Which of what is not logged.
    pub(crate) ephemeral: EventFilter,
    /// Which account data of the room.
    pub(crate) account_data: EventFilter,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EventFilter {
    limit: Option<u64>,
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<Vec<String>>,
    not_senders: Vec<String>,
    rooms: Option<Vec<String>>,
    not_rooms: Vec<String>,
    contains_url: Option<bool>,
    /// Count what is unread in threads apart from the rest.
    pub(crate) unread_thread_notifications: bool,
    /// Of the members, tell only of those who matter to the events told.
    pub(crate) lazy_load_members: bool,
}

impl Filter {
    /// Reads a filter's JSON.
    pub(crate) fn parse(json: &str) -> Result<Self, ApiError> {
        serde_json::from_str(json).map_err(|error| refusal(&error))
    }
}

impl RoomFilter {
    /// Whether to tell of a room at all.
    pub(crate) fn admits_room(&self, room: &RoomId) -> bool {
        admits(self.rooms.as_deref(), &self.not_rooms, |entry| entry == room.as_str())
    }
}

impl EventFilter {
    /// Reads the filter of one kind of event, as `/messages` takes it.
    pub(crate) fn parse(json: &str) -> Result<Self, ApiError> {
        serde_json::from_str(json).map_err(|error| refusal(&error))
    }

    /// How many events.
    pub(crate) fn limit(&self) -> usize {
        self.limit_or(LIMIT_DEFAULT)
    }

    /// How many events, `default` if the client does not say.
    pub(crate) fn limit_or(&self, default: usize) -> usize {
        let asked = self.limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        asked.clamp(1, LIMIT_MAX)
    }

    /// Whether an event of this type, whoever sent it, is wanted.
    pub(crate) fn admits_type(&self, event_type: &str) -> bool {
        admits(self.types.as_deref(), &self.not_types, |pattern| glob(pattern, event_type))
    }

    /// Whether anything of a room is wanted.
    pub(crate) fn admits_room(&self, room: &RoomId) -> bool {
        admits(self.rooms.as_deref(), &self.not_rooms, |entry| entry == room.as_str())
    }

    /// Whether an event is wanted.
    pub(crate) fn admits(&self, event: &Event) -> bool {
        let pdu = &event.pdu;
        self.admits_type(pdu.event_type())
            && admits(self.senders.as_deref(), &self.not_senders, |entry| entry == pdu.sender().as_str())
            && self.admits_room(pdu.room_id())
            && self.contains_url.is_none_or(|wanted| has_url(pdu) == wanted)
    }
}

fn refusal(error: &serde_json::Error) -> ApiError {
    let message = format!("filter: {error}");
    if error.is_data() { ApiError::bad_json(message) } else { ApiError::not_json(message) }
}

fn admits(include: Option<&[String]>, exclude: &[String], matches: impl Fn(&str) -> bool) -> bool {
    !exclude.iter().any(|entry| matches(entry))
        && include.is_none_or(|include| include.iter().any(|entry| matches(entry)))
}

fn has_url(pdu: &Pdu) -> bool {
    #[derive(Deserialize)]
    struct Url {
        #[serde(rename = "url")]
        _url: String,
    }
    pdu.content_as::<Url>().is_ok()
}

/// Whether `pattern`, in which `*` stands for anything, matches all of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The leftmost place leaves the most for what follows.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.messages", false),
            ("m.room.*", "m.room.message", true),
            ("m.room.*", "m.room.", true),
            ("m.room.*", "m.reaction", false),
            ("*", "", true),
            ("*.message", "m.room.message", true),
            ("m.*.message", "m.room.message", true),
            ("m.*.message", "m.message", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn exclusion_wins_and_an_empty_list_matches_nothing() {
        let filter = EventFilter::parse(r#"{"types":["m.*"],"not_types":["m.room.member"]}"#).unwrap();
        assert!(filter.admits_type("m.reaction"));
        assert!(!filter.admits_type("m.room.member"));
        assert!(!filter.admits_type("org.example"));
        assert!(!EventFilter::parse(r#"{"types":[]}"#).unwrap().admits_type("m.room.message"));
        assert!(EventFilter::default().admits_type("anything"));
    }

    #[test]
    fn limits_stay_within_bounds() {
        let limit = |json: &str| EventFilter::parse(json).unwrap().limit();
        assert_eq!(limit("{}"), 10);
        assert_eq!(limit(r#"{"limit":0}"#), 1);
        assert_eq!(limit(r#"{"limit":50}"#), 50);
        assert_eq!(limit(r#"{"limit":18446744073709551615}"#), LIMIT_MAX);
    }

    #[test]
    fn filters_of_another_shape_are_refused() {
        let refusals: String =
            ["{", r#"{"room":5}"#, r#"{"room":{"timeline":{"limit":-1}}}"#, "[1]", "\u{0}"]
                .into_iter()
                .map(|json| match Filter::parse(json) {
                    Ok(filter) => format!("{json:?} read as {filter:?}\n"),
                    Err(error) => format!("{json:?} -> {error}\n"),
                })
                .collect();
        expect_test::expect![[r#"
            "{" -> 400 M_NOT_JSON: filter: EOF while parsing an object at line 1 column 1
            "{\"room\":5}" -> 400 M_BAD_JSON: filter: invalid type: integer `5`, expected struct RoomFilter at line 1 column 9
            "{\"room\":{\"timeline\":{\"limit\":-1}}}" -> 400 M_BAD_JSON: filter: invalid value: integer `-1`, expected u64 at line 1 column 31
            "[1]" -> 400 M_BAD_JSON: filter: invalid type: integer `1`, expected struct RoomFilter at line 1 column 2
            "\0" -> 400 M_NOT_JSON: filter: expected value at line 1 column 1
        "#]].assert_eq(&refusals);
    }

    #[test]
    fn what_is_not_acted_on_is_accepted() {
        let json = r#"{"event_format":"client","presence":{"types":[]},"room":{"state":{"lazy_load_members":true,
            "include_redundant_members":false},"timeline":{"unread_thread_notifications":true}}}"#;
        let filter = Filter::parse(json).unwrap();
        assert!(filter.room.state.lazy_load_members);
    }
}
