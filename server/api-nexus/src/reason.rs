//! `X-Audit-Log-Reason`: why something is done, percent-encoded UTF-8.
//!
//! **Errors**: 400 with code 50035 for more than [`REASON_CHARS`] characters. What is not UTF-8 once decoded
//! is read with replacement characters; an empty reason is none.

use axum::{extract::FromRequestParts, http::request::Parts};
use percent_encoding::percent_decode;

use crate::error::ApiError;

const HEADER: &str = "x-audit-log-reason";

/// The longest reason, in characters.
const REASON_CHARS: usize = 512;

/// The reason that a request gives.
pub(crate) struct Reason(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Reason {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let text = percent_decode(value.as_bytes()).decode_utf8_lossy().trim().to_owned();
        if text.chars().count() > REASON_CHARS {
            let message = format!("Must be {REASON_CHARS} or fewer in length.");
            return Err(ApiError::field(&["reason"], "BASE_TYPE_MAX_LENGTH", &message));
        }
        Ok(Self((!text.is_empty()).then_some(text)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn read(value: &[u8]) -> Result<Option<String>, ApiError> {
        let request = Request::get("/").header(HEADER, value).body(()).unwrap();
        Reason::from_request_parts(&mut request.into_parts().0, &()).await.map(|reason| reason.0)
    }

    #[tokio::test]
    async fn reasons_are_percent_decoded_and_bounded() {
        assert_eq!(read(b"spam%20%F0%9F%91%8E").await, Ok(Some("spam 👎".to_owned())));
        assert_eq!(read(b"plain text").await, Ok(Some("plain text".to_owned())));
        assert_eq!(read(b"%20").await, Ok(None));
        assert_eq!(read(b"%FF").await, Ok(Some("\u{fffd}".to_owned())));
        assert!(read("%61".repeat(512).as_bytes()).await.is_ok());
        assert!(matches!(read("%61".repeat(513).as_bytes()).await, Err(ApiError::Form(_))));
    }
}
