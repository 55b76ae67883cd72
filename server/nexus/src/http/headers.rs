//! Headers that every response has.
//!
//! **Invariant**: a header that a handler has set stays; only absent ones are added. Cookies play no part
//! in any API, so `Access-Control-Allow-Origin: *` gives a foreign page nothing it was not handed.

use axum::{body::Body, response::Response};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::Facade;

const EVERYWHERE: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // No response but the page is a document; the page names its own policy.
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

const OTHER_ORIGINS: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "X-Requested-With, Content-Type, Authorization, Date, X-Audit-Log-Reason",
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Retry-After, Via, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
         X-RateLimit-Reset-After, X-RateLimit-Bucket, X-RateLimit-Global, X-RateLimit-Scope",
    ),
];

/// Adds what is missing.
pub(super) fn complete(facade: Facade, headers: &mut HeaderMap) {
    let other_origins = facade.allows_other_origins().then_some(OTHER_ORIGINS).into_iter().flatten();
    for (name, value) in EVERYWHERE.into_iter().chain(other_origins) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The answer to a browser that asks whether it may.
pub(super) fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
