//! Request bodies: one JSON object, read strictly, and its fields taken one by one.
//!
//! **Units**: a body has at most [`BODY_BYTES_MAX`] bytes and [`BODY_TIME_MAX`] to arrive.
//! **Errors**: 413 `M_TOO_LARGE`; 408 for a body that does not end; 400 `M_NOT_JSON` for what does not parse,
//! invalid UTF-8 included; 400 `M_BAD_JSON` for what parses but is no object, holds a number no event can,
//! or has a field of another type (named); 400 `M_MISSING_PARAM` for a field that must be there.
//! The `Content-Type` is not looked at: clients forget it.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRef, FromRequest, Request},
};
use nexus_event_store::{Bytes, world::World};
use nexus_state_resolution::{JsonError, JsonLimits, parse_object};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};

use crate::error::ApiError;

/// The largest request body.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// The longest a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// A body that must be a JSON object and may hold an event.
pub(crate) struct JsonBody(pub(crate) CanonicalJsonObject);

/// A body that is a JSON object or nothing at all.
pub(crate) struct OptionalBody(pub(crate) Fields);

impl<S> FromRequest<S> for JsonBody
where
    S: Send + Sync,
    World: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = read(request.into_body(), &World::from_ref(state)).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl<S> FromRequest<S> for Fields
where
    S: Send + Sync,
    World: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        JsonBody::from_request(request, state).await.map(|JsonBody(object)| Fields(object))
    }
}

impl<S> FromRequest<S> for OptionalBody
where
    S: Send + Sync,
    World: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = read(request.into_body(), &World::from_ref(state)).await?;
        let object = if bytes.is_empty() { CanonicalJsonObject::new() } else { parse(&bytes)? };
        Ok(Self(Fields(object)))
    }
}

async fn read(body: Body, world: &World) -> Result<Bytes, ApiError> {
    let late = world.clock.sleep(BODY_TIME_MAX);
    tokio::select! {
        biased;
        // `to_bytes` fails for a body over the limit and for a connection that broke; who broke it will
        // not read the answer.
        read = to_bytes(body, BODY_BYTES_MAX) => read.map_err(|_| ApiError::too_large("the body is too large")),
        () = late => Err(ApiError::too_slow()),
    }
}

fn parse(bytes: &[u8]) -> Result<CanonicalJsonObject, ApiError> {
    let limits = JsonLimits { max_bytes: BODY_BYTES_MAX, ..JsonLimits::EVENT };
    parse_object(bytes, limits).map_err(|error| match error {
        JsonError::TooLarge { .. } => ApiError::too_large(error.to_string()),
        JsonError::NotUtf8 { .. } | JsonError::NotJson { .. } => ApiError::not_json(error.to_string()),
        JsonError::NotObject | JsonError::TooDeep { .. } | JsonError::FloatOrHugeInteger { .. } => {
            ApiError::bad_json(error.to_string())
        }
    })
}

/// The fields of an object, taken out one by one. A field that is `null` counts as absent, as most
/// clients mean it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(pub(crate) CanonicalJsonObject);

impl Fields {
    fn take(&mut self, name: &str) -> Option<CanonicalJsonValue> {
        self.0.remove(name).filter(|value| *value != CanonicalJsonValue::Null)
    }

    /// An optional string.
    pub(crate) fn string(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(CanonicalJsonValue::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.string(name)?.ok_or_else(|| ApiError::missing_param(name))
    }

    /// An optional boolean, false when absent.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<bool, ApiError> {
        match self.take(name) {
            None => Ok(false),
            Some(CanonicalJsonValue::Bool(value)) => Ok(value),
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    /// An optional boolean.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        if self.0.get(name).is_none_or(|value| *value == CanonicalJsonValue::Null) {
            return Ok(None);
        }
        self.boolean(name).map(Some)
    }

    /// A boolean that must be there.
    pub(crate) fn required_boolean(&mut self, name: &'static str) -> Result<bool, ApiError> {
        if !self.0.contains_key(name) {
            return Err(ApiError::missing_param(name));
        }
        self.boolean(name)
    }

    /// An optional number that is not negative.
    pub(crate) fn natural(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(CanonicalJsonValue::Integer(value)) => u64::try_from(i64::from(value))
                .map(Some)
                .map_err(|_| wrong(name, "a number that is not negative")),
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    /// An optional object.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Fields>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(CanonicalJsonValue::Object(object)) => Ok(Some(Fields(object))),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    /// An optional list of objects, empty when absent.
    pub(crate) fn objects(&mut self, name: &'static str) -> Result<Vec<Fields>, ApiError> {
        let items = self.list(name)?.into_iter();
        items
            .map(|item| match item {
                CanonicalJsonValue::Object(object) => Ok(Fields(object)),
                _ => Err(wrong(name, "a list of objects")),
            })
            .collect()
    }

    /// An optional list of strings, empty when absent.
    pub(crate) fn strings(&mut self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let items = self.list(name)?.into_iter();
        items
            .map(|item| match item {
                CanonicalJsonValue::String(text) => Ok(text),
                _ => Err(wrong(name, "a list of strings")),
            })
            .collect()
    }

    fn list(&mut self, name: &'static str) -> Result<Vec<CanonicalJsonValue>, ApiError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(CanonicalJsonValue::Array(items)) => Ok(items),
            Some(_) => Err(wrong(name, "a list")),
        }
    }
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::bad_json(format!("{name} must be {expected}"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn outcome(bytes: &[u8]) -> String {
        match parse(bytes) {
            Ok(object) => format!("{} fields", object.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn bodies_are_told_apart() {
        let deep = [&b"{\"a\":"[..], &b"[".repeat(500), &b"]".repeat(500), b"}"].concat();
        let cases: [&[u8]; 12] = [
            b"{}",
            b"",
            b"{",
            b"{} {}",
            b"{\"a\":\"\xff\"}",
            b"[]",
            b"null",
            b"{\"a\":{\"b\":[1,2.5]}}",
            b"{\"a\":9007199254740992}",
            b"{\"a\":NaN}",
            b"{\"a\":\"x\x00\"}",
            &deep,
        ];
        let table: String = cases
            .iter()
            .map(|bytes| {
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(24)]);
                format!("{} -> {}\n", shown.escape_default(), outcome(bytes))
            })
            .collect();
        expect![[r#"
            {} -> 0 fields
             -> 400 M_NOT_JSON: not JSON at line 1, column 0
            { -> 400 M_NOT_JSON: not JSON at line 1, column 1
            {} {} -> 400 M_NOT_JSON: not JSON at line 1, column 4
            {\"a\":\"\u{fffd}\"} -> 400 M_NOT_JSON: not UTF-8 at byte 6
            [] -> 400 M_BAD_JSON: not a JSON object
            null -> 400 M_BAD_JSON: not a JSON object
            {\"a\":{\"b\":[1,2.5]}} -> 400 M_BAD_JSON: not an integer between -(2^53)+1 and (2^53)-1: a.b[1]
            {\"a\":9007199254740992} -> 400 M_BAD_JSON: not an integer between -(2^53)+1 and (2^53)-1: a
            {\"a\":NaN} -> 400 M_NOT_JSON: not JSON at line 1, column 6
            {\"a\":\"x\u{0}\"} -> 400 M_NOT_JSON: not JSON at line 1, column 8
            {\"a\":[[[[[[[[[[[[[[[[[[[ -> 400 M_BAD_JSON: JSON is nested deeper than 100
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn fields_are_named_when_they_are_of_another_type() {
        let text = br#"{"s":5,"b":"x","n":-1,"m":"x","o":[],"l":{},"ls":[1],"none":null}"#;
        let mut fields = Fields(parse(text).unwrap());
        let messages = [
            fields.string("s").unwrap_err(),
            fields.boolean("b").unwrap_err(),
            fields.natural("n").unwrap_err(),
            fields.natural("m").unwrap_err(),
            fields.object("o").unwrap_err(),
            fields.objects("l").unwrap_err(),
            fields.strings("ls").unwrap_err(),
            fields.required_string("none").unwrap_err(),
            fields.required_boolean("absent").unwrap_err(),
        ];
        let table: String = messages.iter().map(|error| format!("{error}\n")).collect();
        expect![[r#"
            400 M_BAD_JSON: s must be a string
            400 M_BAD_JSON: b must be a boolean
            400 M_BAD_JSON: n must be a number that is not negative
            400 M_BAD_JSON: m must be a number
            400 M_BAD_JSON: o must be an object
            400 M_BAD_JSON: l must be a list
            400 M_BAD_JSON: ls must be a list of strings
            400 M_MISSING_PARAM: none is missing
            400 M_MISSING_PARAM: absent is missing
        "#]]
        .assert_eq(&table);
    }
}
