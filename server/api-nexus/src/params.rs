//! Path segments and query parameters.
//!
//! **Shapes**: path segments arrive percent-decoded once; ids in them are decimal snowflakes; booleans of a
//! query are `true`, `True`, `1` and their opposites. **Errors**: 400 with code 50035 naming the parameter.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use nexus_event_store::Snowflake;
use percent_encoding::percent_decode_str;

use crate::{error::ApiError, snowflake};

/// The parameters of the route's path, by name.
pub(crate) struct Path(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| {
            ApiError::field(&["path"], "STRING_TYPE_CONVERT", "The path is not percent-encoded UTF-8.")
        })?;
        Ok(Self(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl Path {
    /// A segment as text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A segment as an id.
    pub(crate) fn id(&self, name: &str) -> Result<Snowflake, ApiError> {
        let text = self.text(name);
        snowflake::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ApiError::field(&[name], "NUMBER_TYPE_COERCE", &format!("Value \"{shown}\" is not snowflake."))
        })
    }

    /// A segment as an id, or `None` for `@me`.
    pub(crate) fn id_or_me(&self, name: &str) -> Result<Option<Snowflake>, ApiError> {
        if self.text(name) == "@me" { Ok(None) } else { self.id(name).map(Some) }
    }
}

/// The query of a request. A query that starts with a stray `?` (serenity writes one) reads the same.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// Reads `a=b&c=d`. What is no UTF-8 once decoded is read with replacement characters.
    pub(crate) fn parse(query: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = query.trim_start_matches(['?', '&']).split('&').filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        Self(pairs.map(read).collect())
    }

    /// The last value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An id.
    pub(crate) fn id(&self, name: &str) -> Result<Option<Snowflake>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        snowflake::parse(text)
            .map(Some)
            .ok_or_else(|| ApiError::field(&[name], "NUMBER_TYPE_COERCE", "Value is not snowflake."))
    }

    /// A number from 1 to `max`; `default` when absent.
    pub(crate) fn limit(&self, max: usize, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text("limit") else { return Ok(default) };
        let number: i64 = text
            .parse()
            .map_err(|_| ApiError::field(&["limit"], "NUMBER_TYPE_COERCE", "Value is not int."))?;
        match usize::try_from(number) {
            Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
            Ok(limit) if limit > max => {
                let message = format!("int value should be less than or equal to {max}.");
                Err(ApiError::field(&["limit"], "NUMBER_TYPE_MAX", &message))
            }
            _ => Err(ApiError::field(
                &["limit"],
                "NUMBER_TYPE_MIN",
                "int value should be greater than or equal to 1.",
            )),
        }
    }

    /// A flag; absent or unreadable is `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "True" | "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_read_as_clients_write_them() {
        let query = Query::parse("?&limit=5&after=12&with_counts=True&q=a%20b+c");
        assert_eq!(query.limit(100, 50), Ok(5));
        assert_eq!(query.id("after"), Ok(Some(Snowflake(12))));
        assert_eq!(query.text("q"), Some("a b c"));
        assert!(query.flag("with_counts"));
        assert!(!query.flag("absent"));
    }

    #[test]
    fn bad_limits_are_named() {
        for bad in ["limit=0", "limit=-3", "limit=101", "limit=x", "limit=1.5", "limit="] {
            assert!(matches!(Query::parse(bad).limit(100, 50), Err(ApiError::Form(_))), "{bad}");
        }
        assert_eq!(Query::parse("").limit(100, 50), Ok(50));
        assert!(Query::parse("before=1e3").id("before").is_err());
    }
}
