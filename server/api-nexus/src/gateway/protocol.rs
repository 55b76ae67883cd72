//! Frames of the gateway: what clients may send, what is sent, and the close codes.
//!
//! **Shapes**: `{"op", "d", "s", "t"}`; `s` and `t` are null but for op 0. Unknown keys are ignored, ids and
//! tokens are read as leniently as Discord does. **Errors**: a [`Close`]. **Source**: `discord-api-docs`,
//! "Gateway Opcodes and Close Codes".

use nexus_event_store::Snowflake;
use serde_json::Value;

use super::machine::Shard;
use crate::snowflake;

/// The longest frame a client may send, in bytes.
pub(crate) const FRAME_BYTES_MAX: usize = 4096;

/// Why the server closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Something of ours, or a planned restart: resume.
    Unknown,
    UnknownOpcode,
    Decode,
    NotAuthenticated,
    BadToken,
    AlreadyAuthenticated,
    InvalidSeq,
    RateLimited,
    InvalidShard,
    InvalidVersion,
    InvalidIntents,
}

impl Close {
    /// Code and reason.
    pub(crate) fn shown(self) -> (u16, &'static str) {
        match self {
            Self::Unknown => (4000, "Unknown error, try resuming."),
            Self::UnknownOpcode => (4001, "Unknown opcode."),
            Self::Decode => (4002, "Error while decoding payload."),
            Self::NotAuthenticated => (4003, "Not authenticated."),
            Self::BadToken => (4004, "Authentication failed."),
            Self::AlreadyAuthenticated => (4005, "Already authenticated."),
            Self::InvalidSeq => (4007, "Invalid sequence."),
            Self::RateLimited => (4008, "You are being rate limited."),
            Self::InvalidShard => (4010, "Invalid shard."),
            Self::InvalidVersion => (4012, "Invalid API version."),
            Self::InvalidIntents => (4013, "Invalid intent(s)."),
        }
    }
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientFrame {
    Heartbeat(Option<u64>),
    Identify(Identify),
    Resume(Resume),
    RequestMembers(MembersRequest),
    /// Presence, voice and the like, which this server knows but has nothing to do for.
    WithoutEffect,
}

/// Op 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identify {
    pub(crate) token: String,
    pub(crate) intents: Option<u64>,
    pub(crate) shard: Option<Shard>,
    pub(crate) large_threshold: u64,
}

/// Op 6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) token: String,
    pub(crate) session_id: String,
    pub(crate) seq: u64,
}

/// Op 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MembersRequest {
    pub(crate) guild: Snowflake,
    pub(crate) wanted: WantedMembers,
    pub(crate) presences: bool,
    pub(crate) nonce: Option<String>,
}

/// Which members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedMembers {
    All,
    StartingWith { query: String, limit: usize },
    Users(Vec<Snowflake>),
}

/// Reads a frame. Before a session there is one, only heartbeat, identify and resume are allowed; what else is
/// sent is not even looked into.
pub(crate) fn parse(bytes: &[u8], has_session: bool) -> Result<ClientFrame, Close> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(Close::Decode);
    }
    let frame: Value = serde_json::from_slice(bytes).map_err(|_| Close::Decode)?;
    let op = frame["op"].as_u64().ok_or(Close::Decode)?;
    let d = &frame["d"];
    match op {
        3 | 4 | 8 | 31 | 43 if !has_session => Err(Close::NotAuthenticated),
        2 | 6 if has_session => Err(Close::AlreadyAuthenticated),
        1 => Ok(ClientFrame::Heartbeat(d.as_u64())),
        2 => identify(d).map(ClientFrame::Identify),
        3 | 4 | 31 | 43 => Ok(ClientFrame::WithoutEffect),
        6 => resume(d).map(ClientFrame::Resume),
        8 => members(d).map(ClientFrame::RequestMembers),
        _ => Err(Close::UnknownOpcode),
    }
}

fn identify(d: &Value) -> Result<Identify, Close> {
    let token = d["token"].as_str().ok_or(Close::Decode)?.to_owned();
    let intents = match &d["intents"] {
        Value::Null => None,
        Value::Number(bits) => Some(bits.as_u64().ok_or(Close::InvalidIntents)?),
        _ => return Err(Close::Decode),
    };
    let shard = match &d["shard"] {
        Value::Null => None,
        Value::Array(pair) => match pair.as_slice() {
            [id, count] => {
                Some((id.as_u64().ok_or(Close::InvalidShard)?, count.as_u64().ok_or(Close::InvalidShard)?))
            }
            _ => return Err(Close::InvalidShard),
        },
        _ => return Err(Close::Decode),
    };
    if shard.is_some_and(|(id, count)| id >= count) {
        return Err(Close::InvalidShard);
    }
    let large_threshold = d["large_threshold"].as_u64().unwrap_or(50).clamp(50, 250);
    Ok(Identify { token, intents, shard, large_threshold })
}

fn resume(d: &Value) -> Result<Resume, Close> {
    let text = |field: &str| d[field].as_str().map(str::to_owned).ok_or(Close::Decode);
    // No number yet, as some libraries say it after a READY they never saw, means from the start.
    let seq = match &d["seq"] {
        Value::Null => 0,
        seq => seq.as_u64().ok_or(Close::Decode)?,
    };
    Ok(Resume { token: text("token")?, session_id: text("session_id")?, seq })
}

fn members(d: &Value) -> Result<MembersRequest, Close> {
    let guild = match &d["guild_id"] {
        // Old libraries send a list.
        Value::Array(guilds) => guilds.first().and_then(snowflake::from_json),
        guild => snowflake::from_json(guild),
    };
    let limit = usize::try_from(d["limit"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
    let wanted = match (&d["user_ids"], d["query"].as_str()) {
        (Value::Array(users), _) => {
            WantedMembers::Users(users.iter().filter_map(snowflake::from_json).collect())
        }
        (Value::Null, Some("")) if limit == 0 => WantedMembers::All,
        (Value::Null, Some(query)) => WantedMembers::StartingWith { query: query.to_owned(), limit },
        (Value::Null, None) => return Err(Close::Decode),
        (user, _) => WantedMembers::Users(vec![snowflake::from_json(user).ok_or(Close::Decode)?]),
    };
    Ok(MembersRequest {
        guild: guild.ok_or(Close::Decode)?,
        wanted,
        presences: d["presences"].as_bool().unwrap_or(false),
        nonce: d["nonce"].as_str().filter(|nonce| nonce.len() <= 32).map(str::to_owned),
    })
}

/// Op 0.
pub(crate) fn dispatch(name: &str, seq: u64, d: &str) -> String {
    format!("{{\"op\":0,\"s\":{seq},\"t\":\"{name}\",\"d\":{d}}}")
}

/// Op 10.
pub(crate) fn hello(heartbeat_interval_ms: u128) -> String {
    format!(
        "{{\"op\":10,\"s\":null,\"t\":null,\"d\":{{\"heartbeat_interval\":{heartbeat_interval_ms},\"_trace\":[]}}}}"
    )
}

/// Op 11.
pub(crate) const HEARTBEAT_ACK: &str = r#"{"op":11,"s":null,"t":null,"d":null}"#;

/// Op 9: the session is gone, identify anew.
pub(crate) const INVALID_SESSION: &str = r#"{"op":9,"s":null,"t":null,"d":false}"#;

/// Op 7: reconnect and resume.
pub(crate) const RECONNECT: &str = r#"{"op":7,"s":null,"t":null,"d":null}"#;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(frame: &str, expected: &Expect) {
        expected.assert_eq(&format!("{:?}", parse(frame.as_bytes(), !frame.contains("token"))));
    }

    #[test]
    fn what_the_libraries_send_is_read() {
        check(
            r#"{"op":2,"v":10,"d":{"token":"Bot x","intents":513,"properties":{},"compress":true,
                "large_threshold":250,"shard":[0,1],"presence":{"since":{"secs":1},"game":null}}}"#,
            &expect![[
                r#"Ok(Identify(Identify { token: "Bot x", intents: Some(513), shard: Some((0, 1)), large_threshold: 250 }))"#
            ]],
        );
        check(r#"{"op":1,"d":null}"#, &expect!["Ok(Heartbeat(None))"]);
        check(r#"{"op":1,"d":42}"#, &expect!["Ok(Heartbeat(Some(42)))"]);
        check(
            r#"{"op":6,"d":{"token":"t","session_id":"s","seq":7}}"#,
            &expect![[r#"Ok(Resume(Resume { token: "t", session_id: "s", seq: 7 }))"#]],
        );
        check(
            r#"{"op":8,"d":{"guild_id":5,"query":"","limit":0,"nonce":"n"}}"#,
            &expect![[
                r#"Ok(RequestMembers(MembersRequest { guild: Snowflake(5), wanted: All, presences: false, nonce: Some("n") }))"#
            ]],
        );
        check(
            r#"{"op":8,"d":{"guild_id":["5"],"user_ids":"9","presences":true}}"#,
            &expect![
                "Ok(RequestMembers(MembersRequest { guild: Snowflake(5), wanted: Users([Snowflake(9)]), presences: true, nonce: None }))"
            ],
        );
        check(r#"{"op":4,"d":{"guild_id":5}}"#, &expect!["Ok(WithoutEffect)"]);
    }

    #[test]
    fn what_is_wrong_closes_with_its_code() {
        check("{", &expect!["Err(Decode)"]);
        check("[]", &expect!["Err(Decode)"]);
        check(r#"{"op":"2"}"#, &expect!["Err(Decode)"]);
        check(r#"{"op":99,"d":null}"#, &expect!["Err(UnknownOpcode)"]);
        assert_eq!(parse(br#"{"op":2,"d":null}"#, false), Err(Close::Decode));
        assert_eq!(parse(br#"{"op":2,"d":null}"#, true), Err(Close::AlreadyAuthenticated));
        assert_eq!(parse(br#"{"op":8,"d":{}}"#, false), Err(Close::NotAuthenticated));
        check(r#"{"op":2,"d":{"token":"x","intents":-1}}"#, &expect!["Err(InvalidIntents)"]);
        check(r#"{"op":2,"d":{"token":"x","intents":"all"}}"#, &expect!["Err(Decode)"]);
        check(r#"{"op":2,"d":{"token":"x","shard":[1,1]}}"#, &expect!["Err(InvalidShard)"]);
        check(r#"{"op":2,"d":{"token":"x","shard":[0,0]}}"#, &expect!["Err(InvalidShard)"]);
        check(r#"{"op":6,"d":{"token":"t","session_id":"s","seq":"7"}}"#, &expect!["Err(Decode)"]);
        assert_eq!(parse(&[b' '; FRAME_BYTES_MAX + 1], true), Err(Close::Decode));
        assert_eq!(parse(b"\xff", true), Err(Close::Decode));
    }
}
