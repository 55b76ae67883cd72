//! Ids and times as Discord's clients write and read them.
//!
//! **Shapes**: an id goes out as a decimal string and comes in as a string or an integer, never through a
//! float. A time goes out as ISO 8601 with microseconds and offset, `2026-01-02T03:04:05.678000+00:00`.

use nexus_event_store::Snowflake;
use serde_json::Value;
use time::OffsetDateTime;

/// Reads an id from a path, a query or a mention: one to twenty digits that fit 64 bits.
pub(crate) fn parse(text: &str) -> Option<Snowflake> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().map(Snowflake) } else { None }
}

/// Reads an id from a JSON body: a string of digits or an unsigned integer.
pub(crate) fn from_json(value: &Value) -> Option<Snowflake> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => number.as_u64().map(Snowflake),
        _ => None,
    }
}

/// The moment `unix_ms` as clients expect it.
pub(crate) fn iso_time(unix_ms: u64) -> String {
    let nanos = i128::from(unix_ms) * 1_000_000;
    // The far end of time is shown as the last moment that can be written.
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or_else(|_| {
        time::Date::MAX.with_hms(23, 59, 59).map_or(OffsetDateTime::UNIX_EPOCH, |at| at.assume_utc())
    });
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond()
    )
}

/// Reads an ISO 8601 time with an offset, as milliseconds since the Unix epoch.
pub(crate) fn parse_time(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &time::format_description::well_known::Iso8601::PARSING).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_come_as_strings_or_integers() {
        let good = [json!("1234567890123456789"), json!(1_234_567_890_123_456_789_u64)];
        for value in good {
            assert_eq!(from_json(&value), Some(Snowflake(1_234_567_890_123_456_789)), "{value}");
        }
        let bad = [
            json!(""),
            json!("+1"),
            json!("-1"),
            json!(-1),
            json!(1.5),
            json!("1x"),
            json!(null),
            json!("٣"),
        ];
        for value in bad {
            assert_eq!(from_json(&value), None, "{value}");
        }
        assert_eq!(parse("18446744073709551615"), Some(Snowflake(u64::MAX)));
        assert_eq!(parse("18446744073709551616"), None);
        assert_eq!(parse("000000000000000000001"), None);
    }

    #[test]
    fn times_come_with_an_offset() {
        for text in
            ["2026-01-02T03:04:05.678000+00:00", "2026-01-02T03:04:05.678Z", "2026-01-02T04:04:05.678+01:00"]
        {
            assert_eq!(parse_time(text), Some(1_767_323_045_678), "{text}");
        }
        for text in ["", "tomorrow", "2026-01-02", "2026-13-02T03:04:05Z", "1960-01-02T03:04:05Z"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_microseconds_and_an_offset() {
        assert_eq!(iso_time(1_767_323_045_678), "2026-01-02T03:04:05.678000+00:00");
        assert_eq!(iso_time(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(iso_time(u64::MAX), "9999-12-31T23:59:59.000000+00:00");
    }
}
