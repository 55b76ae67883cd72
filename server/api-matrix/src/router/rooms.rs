//! Routes of rooms beyond sending and reading: who may be in them, how they are found, what replaces them.

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::{
    api::MatrixApi,
    endpoints::{
        aliases, context, forget, hierarchy, knock, moderation, mutual_rooms, public_rooms, receipts,
        relations, room_summary, tags, threads, timestamp, upgrade, user_directory,
    },
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
        .route("/rooms/{room}/receipt/{kind}/{event}", post(receipts::post))
        .route("/rooms/{room}/read_markers", post(receipts::read_markers))
        .route("/rooms/{room}/context/{event}", get(context::get))
        .route("/user/{user}/rooms/{room}/tags", get(tags::list))
        .route("/user/{user}/rooms/{room}/tags/{tag}", put(tags::put).delete(tags::delete))
        .route("/user_directory/search", post(user_directory::search))
        .route("/publicRooms", get(public_rooms::get).post(public_rooms::post))
}

/// Below `/_matrix/client/v1`.
pub(super) fn v1() -> Router<MatrixApi> {
    Router::new()
        .route("/rooms/{room}/hierarchy", get(hierarchy::get))
        .route("/rooms/{room}/relations/{event}", get(relations::get))
        .route("/rooms/{room}/relations/{event}/{rel}", get(relations::get))
        .route("/rooms/{room}/relations/{event}/{rel}/{kind}", get(relations::get))
        .route("/rooms/{room}/threads", get(threads::get))
        .route("/rooms/{room}/timestamp_to_event", get(timestamp::get))
        .route("/mutual_rooms", get(mutual_rooms::get))
        .route("/room_summary/{room}", get(room_summary::get))
}
