//! Routes of rooms beyond sending and reading: who may be in them, how they are found.

use axum::{Router, routing::post};

use crate::{
    api::MatrixApi,
    endpoints::{forget, knock, moderation},
};

/// Below `/_matrix/client/v3`.
pub(super) fn v3() -> Router<MatrixApi> {
    Router::new()
        .route("/knock/{room}", post(knock::post))
        .route("/rooms/{room}/kick", post(moderation::kick))
        .route("/rooms/{room}/ban", post(moderation::ban))
        .route("/rooms/{room}/unban", post(moderation::unban))
        .route("/rooms/{room}/forget", post(forget::post))
}
