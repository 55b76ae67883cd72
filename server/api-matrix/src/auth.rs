//! Who is asking: the access token of a request.
//!
//! **Shapes**: `Authorization: Bearer <token>` (or `Bot <token>`, as Discord's libraries say it) or
//! `?access_token=`. The header wins.
//! **Errors**: 401 `M_MISSING_TOKEN` without a token; 401 `M_UNKNOWN_TOKEN` for one that is not good, with
//! `soft_logout` when it has merely expired and a refresh token will renew it.

use axum::{
    extract::{FromRef, FromRequestParts, Query},
    http::{HeaderMap, Uri, header::AUTHORIZATION, request::Parts},
};
use nexus_accounts::{Accounts, Login, SessionMark};
use nexus_rooms::Actor;
use serde::Deserialize;

use crate::error::ApiError;

/// The device that asks.
pub(crate) struct Auth(pub(crate) Login);

impl Auth {
    /// The same, as commands name it.
    pub(crate) fn actor(&self) -> Actor {
        Actor { user: self.0.user_id.clone(), device: self.0.device.clone(), reason: None }
    }
}

impl<S> FromRequestParts<S> for Auth
where
    S: Send + Sync,
    Accounts: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = token(parts).ok_or_else(ApiError::missing_token)?;
        let accounts = Accounts::from_ref(state);
        accounts.authenticate(&token).await?.map(Self).ok_or_else(ApiError::unknown_token)
    }
}

/// The device that asks, if it says who it is. A token that is not good is refused all the same.
pub(crate) struct OptionalAuth(pub(crate) Option<Login>);

impl<S> FromRequestParts<S> for OptionalAuth
where
    S: Send + Sync,
    Accounts: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.headers.get(AUTHORIZATION).is_none() && from_query(&parts.uri).is_none() {
            return Ok(Self(None));
        }
        Auth::from_request_parts(parts, state).await.map(|Auth(login)| Self(Some(login)))
    }
}

/// The token of a request, for what takes so long that it must be looked at again.
pub(crate) struct Token(String);

impl Token {
    /// The session that the token belongs to.
    pub(crate) async fn session(&self, accounts: &Accounts) -> Result<SessionMark, ApiError> {
        accounts.session_of(&self.0).await?.ok_or_else(ApiError::unknown_token)
    }

    /// Refuses a token that has ended since the request began.
    pub(crate) async fn check_again(&self, accounts: &Accounts) -> Result<(), ApiError> {
        accounts.authenticate(&self.0).await?.map(drop).ok_or_else(ApiError::unknown_token)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        token(parts).map(Self).ok_or_else(ApiError::missing_token)
    }
}

pub(crate) fn token(parts: &Parts) -> Option<String> {
    token_in(&parts.headers, &parts.uri)
}

/// The token of a request.
pub(crate) fn token_in(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    match headers.get(AUTHORIZATION) {
        Some(value) => value.to_str().ok().and_then(bearer).map(str::to_owned),
        None => from_query(uri),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("Bot");
    let token = token.trim();
    (known && !token.is_empty()).then_some(token)
}

fn from_query(uri: &Uri) -> Option<String> {
    #[derive(Deserialize)]
    struct Token {
        access_token: Option<String>,
    }
    let Query(Token { access_token }) = Query::try_from_uri(uri).ok()?;
    access_token.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn token_of(header: Option<&str>, uri: &str) -> Option<String> {
        let mut request = Request::get(uri);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header.as_bytes());
        }
        token(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn tokens_come_from_the_header_or_the_query() {
        let found = |header, uri| token_of(header, uri);
        assert_eq!(found(Some("Bearer abc"), "/"), Some("abc".to_owned()));
        assert_eq!(found(Some("bearer abc"), "/"), Some("abc".to_owned()));
        assert_eq!(found(Some("Bot abc"), "/"), Some("abc".to_owned()));
        assert_eq!(found(None, "/x?since=1&access_token=a%2Bc"), Some("a+c".to_owned()));
        assert_eq!(found(Some("Bearer abc"), "/?access_token=other"), Some("abc".to_owned()));
    }

    #[test]
    fn what_is_no_token_is_missing() {
        for header in
            [None, Some("Bearer "), Some("Bearer"), Some("Basic YWxpY2U6cHc="), Some("éè"), Some("")]
        {
            assert_eq!(token_of(header, "/"), None, "{header:?}");
        }
        assert_eq!(token_of(None, "/?access_token="), None);
        assert_eq!(
            token_of(Some("Basic x"), "/?access_token=abc"),
            None,
            "a wrong header is not passed over"
        );
    }
}
