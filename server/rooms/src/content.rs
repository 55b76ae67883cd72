//! Event content from Rust values.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::Value;

/// The object of a `json!({..})` literal that has no floats in it.
pub(crate) fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value) {
        Ok(CanonicalJsonValue::Object(object)) => object,
        // Only literals of this crate come here; their numbers are integers and they are objects.
        _ => CanonicalJsonObject::new(),
    }
}

/// A string field.
pub(crate) fn string<'a>(content: &'a CanonicalJsonObject, field: &str) -> Option<&'a str> {
    content.get(field).and_then(CanonicalJsonValue::as_str)
}

/// The relation that content declares: its kind and the event.
pub(crate) fn relation(content: &CanonicalJsonObject) -> Option<(&str, &str)> {
    let relates = content.get("m.relates_to")?.as_object()?;
    Some((string(relates, "rel_type")?, string(relates, "event_id")?))
}
