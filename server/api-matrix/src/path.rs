//! Path segments: percent-decoded exactly once by axum, then read as Matrix identifiers.
//!
//! **Errors**: 400 `M_INVALID_PARAM` for a segment that is not UTF-8 or not the identifier it must be.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The decoded path parameters, in order.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Segments<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Self(segments))
            .map_err(|_| ApiError::invalid_param("the path is not percent-encoded UTF-8"))
    }
}

/// Reads a room id.
pub(crate) fn room_id(text: &str) -> Result<OwnedRoomId, ApiError> {
    RoomId::parse(text).map_err(|_| ApiError::invalid_param("not a room id"))
}

/// Reads an event id.
pub(crate) fn event_id(text: &str) -> Result<OwnedEventId, ApiError> {
    EventId::parse(text).map_err(|_| ApiError::invalid_param("not an event id"))
}

/// Reads a user id.
pub(crate) fn user_id(text: &str) -> Result<OwnedUserId, ApiError> {
    UserId::parse(text).map_err(|_| ApiError::invalid_param("not a user id"))
}
