//! Which API a path belongs to, and the shape of that API's errors.
//!
//! **Source**: Discord's error objects (`{message, code}`) for what lies outside `/_matrix` and
//! `/_nexus`; Matrix client-server API, "Standard error response", for what lies inside.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hyper::{Request, StatusCode, header};
use serde_json::json;

/// The part of the server that answers a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facade {
    /// The Matrix client-server API.
    Matrix,
    /// The Discord-shaped API and its gateway.
    Nexus,
    /// The page, health and metrics.
    Own,
}

impl Facade {
    /// A request for a WebSocket is for the gateway, also where there is a page.
    pub(super) fn of_request<B>(request: &Request<B>) -> Self {
        match Self::of(request.uri().path()) {
            Self::Own if request.headers().contains_key(header::UPGRADE) => Self::Nexus,
            facade => facade,
        }
    }

    pub(super) fn of(path: &str) -> Self {
        let under = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if ["/_matrix", "/_nexus", "/_synapse", "/.well-known/matrix"].into_iter().any(under) {
            Self::Matrix
        } else if ["/", "/health", "/metrics", crate::account_page::PATH].contains(&path) {
            Self::Own
        } else {
            Self::Nexus
        }
    }

    /// The name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Nexus => "nexus",
            Self::Own => "own",
        }
    }

    /// Whether pages of other origins may call it: clients in browsers are served from anywhere, and
    /// tokens travel in a header that a page must have been given.
    pub(crate) fn allows_other_origins(self) -> bool {
        self != Self::Own
    }

    /// An error that no handler made.
    pub(crate) fn error(self, status: StatusCode) -> Response {
        let text = status.canonical_reason().unwrap_or("Error");
        let body = match self {
            Self::Matrix => {
                let errcode = match status {
                    StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG => "M_TOO_LARGE",
                    _ => "M_UNKNOWN",
                };
                json!({"errcode": errcode, "error": text})
            }
            Self::Nexus | Self::Own => {
                let code = if status == StatusCode::PAYLOAD_TOO_LARGE { 40005 } else { 0 };
                json!({"message": format!("{}: {text}", status.as_u16()), "code": code})
            }
        };
        (status, Json(body)).into_response()
    }
}
