//! Who is asking: the token of a request.
//!
//! **Shapes**: `Authorization: Bot TOKEN` or `Bearer TOKEN`; tokens of the Matrix API are good too.
//! **Errors**: 401 for a token that is missing, unknown, revoked or expired, and for nothing else.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use nexus_accounts::{Accounts, Login};
use nexus_event_store::UserNo;
use nexus_rooms::Actor;
use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// The longest reason, in characters.
const REASON_CHARS: usize = 512;

/// The authenticated caller, and why they act.
pub(crate) struct Caller(pub(crate) Login, Option<String>);

impl Caller {
    /// The caller as commands name it.
    pub(crate) fn actor(&self) -> Actor {
        Actor { user: self.0.user_id.clone(), device: self.0.device.clone(), reason: self.reason() }
    }

    /// Why, as `X-Audit-Log-Reason` says.
    pub(crate) fn reason(&self) -> Option<String> {
        self.1.clone()
    }

    /// The caller as queries name it.
    pub(crate) fn user(&self) -> UserNo {
        self.0.user
    }

    /// Refuses bots, as Discord does on the calls that are for people.
    pub(crate) fn no_bots(&self) -> Result<(), ApiError> {
        if self.0.is_bot { Err(ApiError::NotForBots) } else { Ok(()) }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Accounts: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(token_of).ok_or(ApiError::Unauthorized)?;
        let login = Accounts::from_ref(state).authenticate(token).await?;
        let reason = audit_reason(&parts.headers);
        login.map(|login| Self(login, reason)).ok_or(ApiError::Unauthorized)
    }
}

/// Why somebody acts, percent-encoded in a header; an empty reason is none.
fn audit_reason(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-audit-log-reason")?.to_str().ok()?;
    let reason = percent_decode_str(value).decode_utf8().ok()?;
    let reason: String = reason.chars().filter(|sign| *sign != '\0').take(REASON_CHARS).collect();
    Some(reason).filter(|reason| !reason.trim().is_empty())
}

pub(crate) fn token_of(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("Bot") || scheme.eq_ignore_ascii_case("Bearer");
    let token = token.trim();
    (known && !token.is_empty()).then_some(token)
}

/// The token of a gateway payload, where some libraries leave the `Bot ` in front.
pub(crate) fn bare_token(token: &str) -> &str {
    token_of(token).unwrap_or(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_percent_encoded_and_bounded() {
        let reason = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("X-Audit-Log-Reason", value.parse().unwrap());
            audit_reason(&headers)
        };
        assert_eq!(reason("sp%C3%A4t%20%F0%9F%98%80").as_deref(), Some("spät 😀"));
        assert_eq!(reason(&"x".repeat(600)).map(|text| text.len()), Some(512));
        assert_eq!((reason("%FF"), reason("%20"), audit_reason(&HeaderMap::new())), (None, None, None));
    }

    #[test]
    fn tokens_come_with_a_scheme() {
        assert_eq!(token_of("Bot abc.d"), Some("abc.d"));
        assert_eq!(token_of("bearer  abc"), Some("abc"));
        for bad in ["", "abc", "Bot", "Bot ", "Basic abc"] {
            assert_eq!(token_of(bad), None, "{bad}");
        }
        assert_eq!(bare_token("Bot abc"), "abc");
        assert_eq!(bare_token("abc"), "abc");
    }
}
