//! The routes of media: what uploads and describes, and what serves.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post, put},
};

use crate::{api::MatrixApi, endpoints::media};

/// Everything under `/_matrix` that is about media.
pub(super) fn routes() -> Router<MatrixApi> {
    let uploads = Router::new()
        .route("/_matrix/media/v3/upload", post(media::upload))
        .route("/_matrix/media/r0/upload", post(media::upload))
        .route("/_matrix/media/v3/upload/{server}/{id}", put(media::upload_to))
        // Media has its own bound, which the operator sets.
        .layer(DefaultBodyLimit::disable());
    let mut all = Router::new()
        .merge(uploads)
        .route("/_matrix/media/v1/create", post(media::create))
        .route("/_matrix/client/v1/media/config", get(media::config))
        .route("/_matrix/client/v1/media/download/{server}/{id}", get(media::download))
        .route("/_matrix/client/v1/media/download/{server}/{id}/{name}", get(media::download_as))
        .route("/_matrix/client/v1/media/thumbnail/{server}/{id}", get(media::thumbnail));
    for version in ["v3", "r0"] {
        let of = |call: &str| format!("/_matrix/media/{version}/{call}");
        all = all
            .route(&of("config"), get(media::config))
            .route(&of("download/{server}/{id}"), get(media::frozen))
            .route(&of("download/{server}/{id}/{name}"), get(media::frozen))
            .route(&of("thumbnail/{server}/{id}"), get(media::frozen));
    }
    all
}
