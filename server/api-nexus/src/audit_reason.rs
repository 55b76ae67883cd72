//! Why a moderator acts: `X-Audit-Log-Reason`, percent-encoded UTF-8, cut at 512 characters.

use axum::{extract::FromRequestParts, http::request::Parts};
use percent_encoding::percent_decode_str;

const REASON_CHARS: usize = 512;

/// The reason, if one was given that can be read.
pub(crate) struct AuditReason(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for AuditReason {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let given = parts.headers.get("x-audit-log-reason").and_then(|value| value.to_str().ok());
        Ok(Self(given.and_then(read)))
    }
}

fn read(given: &str) -> Option<String> {
    let reason = percent_decode_str(given).decode_utf8().ok()?;
    let reason: String =
        reason.trim().chars().filter(|character| *character != '\0').take(REASON_CHARS).collect();
    Some(reason).filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_decoded_and_cut() {
        assert_eq!(read("too%20loud%20%F0%9F%94%8A").as_deref(), Some("too loud 🔊"));
        assert_eq!(read(&"x".repeat(600)).map(|reason| reason.len()), Some(REASON_CHARS));
        assert_eq!(read("%20"), None);
        assert_eq!(read("%FF"), None);
    }
}
