//! The JSON body of a request, also when it comes as a form.
//!
//! **Shapes**: `application/json` (the default), or `multipart/form-data` with a `payload_json` part or one
//! part per field; an empty body reads as `{}`. **Units**: at most [`BODY_BYTES_MAX`] bytes; nesting is
//! bounded by the parser (128). **Errors**: 413 with code 40005, 400 with 50109 for what is not JSON.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Multipart, Request},
    http::header::CONTENT_TYPE,
};
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The largest body: a message with all its embeds is far smaller.
const BODY_BYTES_MAX: usize = 256 << 10;

/// A body, read as JSON.
pub(crate) struct Json(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            return from_form(request, state).await.map(Self);
        }
        let bytes = bounded(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads JSON; nothing at all is `{}`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(bytes).map_err(|_| ApiError::NotJson)
}

async fn bounded(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let too_large = std::error::Error::source(&error).is_some_and(|inner| inner.is::<LengthLimitError>());
        if too_large { ApiError::TooLarge } else { ApiError::NotJson }
    })
}

/// Files are for messages, which read them by `message_body`: saying so beats dropping them.
async fn from_form<S: Send + Sync>(request: Request, state: &S) -> Result<Value, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = bounded(body).await?;
    let request = Request::from_parts(parts, Body::from(bytes));
    let mut form = Multipart::from_request(request, state).await.map_err(|_| ApiError::NotJson)?;
    let mut fields = Map::new();
    let mut payload = None;
    while let Some(part) = form.next_field().await.map_err(|_| ApiError::NotJson)? {
        let name = part.name().unwrap_or_default().to_owned();
        if part.file_name().is_some() || name.starts_with("files[") {
            let message = "This takes no files.";
            return Err(ApiError::field(&["attachments"], "ATTACHMENT_NOT_ALLOWED", message));
        }
        let text = part.text().await.map_err(|_| ApiError::NotJson)?;
        if name == "payload_json" {
            payload = Some(parse(text.as_bytes())?);
        } else {
            // One part per field: JSON where it parses, else a string.
            fields.insert(name, serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
    }
    Ok(payload.unwrap_or(Value::Object(fields)))
}

#[cfg(test)]
mod tests {
    use axum::http::Request as HttpRequest;
    use serde_json::json;

    use super::*;

    async fn read(kind: &str, body: impl Into<Body>) -> Result<Value, ApiError> {
        let request = HttpRequest::post("/").header(CONTENT_TYPE, kind).body(body.into()).unwrap();
        Json::from_request(request, &()).await.map(|json| json.0)
    }

    fn form(parts: &[(&str, &str)]) -> String {
        let part = |(head, text): &(&str, &str)| {
            format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--xyz--\r\n"
    }

    #[tokio::test]
    async fn json_is_read_and_anything_else_is_refused() {
        assert_eq!(read("application/json", "").await, Ok(json!({})));
        assert_eq!(read("application/json", r#"{"a":1}"#).await, Ok(json!({"a": 1})));
        let deep = "[".repeat(4000) + &"]".repeat(4000);
        for bad in [&b"{"[..], b"\xff\xfe", b"{\"a\":\"\xff\"}", b"{}x", b"1e999", deep.as_bytes()] {
            assert_eq!(read("application/json", bad.to_vec()).await, Err(ApiError::NotJson));
        }
        let large = format!("\"{}\"", "a".repeat(BODY_BYTES_MAX));
        assert_eq!(read("application/json", large).await, Err(ApiError::TooLarge));
    }

    #[tokio::test]
    async fn a_form_is_read_like_json() {
        let kind = "multipart/form-data; boundary=xyz";
        let body = form(&[("name=\"payload_json\"", r#"{"content":"hi"}"#)]);
        assert_eq!(read(kind, body).await, Ok(json!({"content": "hi"})));
        let body = form(&[("name=\"content\"", "hi there"), ("name=\"tts\"", "false")]);
        assert_eq!(read(kind, body).await, Ok(json!({"content": "hi there", "tts": false})));
        let body =
            form(&[("name=\"files[0]\"; filename=\"a.txt\"", "data"), ("name=\"payload_json\"", "{}")]);
        assert!(matches!(read(kind, body).await, Err(ApiError::Form(_))));
        assert_eq!(read(kind, "--nothing").await, Err(ApiError::NotJson));
    }
}
