//! What a call answers when it does not do what it was asked.
//!
//! **Shapes**: `{"error": "a sentence for the operator"}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nexus_accounts::AccountError;
use nexus_event_store::StoreError;
use serde_json::json;

/// An answer that is not success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    /// What was asked for does not make sense (400).
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// What was asked about is not there (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// It cannot be done now (409).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, message: message.into() }
    }

    /// The server failed (500).
    pub fn failed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "an admin call failed");
        Self::failed(error.to_string())
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::UnknownUser | AccountError::UnknownDevice => Self::not_found(error.to_string()),
            other => Self::bad_request(other.to_string()),
        }
    }
}
