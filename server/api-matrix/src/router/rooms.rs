//! Routes of rooms beyond sending and reading: who may be in them, how they are found, what replaces them.

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    api::MatrixApi,
    endpoints::{aliases, forget, hierarchy, knock, moderation, public_rooms, room_summary, upgrade},
};

/// Below `/_matrix/client/v3`.
pub(super) fn v3() -> Router<MatrixApi> {
    Router::new()
        .route("/knock/{room}", post(knock::post))
        .route("/rooms/{room}/kick", post(moderation::kick))
        .route("/rooms/{room}/ban", post(moderation::ban))
        .route("/rooms/{room}/unban", post(moderation::unban))
        .route("/rooms/{room}/forget", post(forget::post))
        .route("/rooms/{room}/upgrade", post(upgrade::post))
        .route("/rooms/{room}/aliases", get(aliases::of_room))
        .route("/directory/room/{alias}", get(aliases::get).put(aliases::put).delete(aliases::delete))
        .route("/directory/list/room/{room}", get(public_rooms::visibility).put(public_rooms::set_visibility))
        .route("/publicRooms", get(public_rooms::get).post(public_rooms::post))
}

/// Below `/_matrix/client/v1`.
pub(super) fn v1() -> Router<MatrixApi> {
    Router::new()
        .route("/rooms/{room}/hierarchy", get(hierarchy::get))
        .route("/room_summary/{room}", get(room_summary::get))
}
