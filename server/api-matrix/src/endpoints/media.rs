//! Media: `POST /_matrix/media/v3/upload`, `POST /_matrix/media/v1/create`,
//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`, and under `/_matrix/client/v1/media` `config`,
//! `download` and `thumbnail`, which need a token.
//!
//! The calls of the same names that need none are frozen, as the specification wants it: nothing was uploaded
//! here before they were. Media of other servers are fetched once there is federation.
//!
//! **Source**: Matrix v1.19, client-server API, "Content repository".

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::Response,
};
use nexus_media::{
    Fit, Media, MediaError, Medium, NewMedium, ThumbnailSize,
    reply::{self, Keep},
};
use nexus_views::Views;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{auth::Auth, error::ApiError, path::Segments, query::Params};

/// How long a download waits for a medium whose address is known and whose content is still to come.
const PATIENCE_MS: u64 = 20_000;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What may be said of an upload in its query.
#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    filename: Option<String>,
}

fn description(query: UploadQuery, headers: &HeaderMap) -> NewMedium {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    NewMedium { content_type, file_name: query.filename }
}

/// Uploads a file.
pub(crate) async fn upload(
    State(media): State<Media>,
    State(views): State<Views>,
    auth: Auth,
    Params(query): Params<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let new = description(query, &headers);
    let medium = media.upload(auth.0.user, new, body.into_data_stream()).await?;
    Ok(Json(json!({ "content_uri": reply::mxc(views.server_name().as_str(), &medium.id) })))
}

/// Gives out an address whose content comes later.
pub(crate) async fn create(
    State(media): State<Media>,
    State(views): State<Views>,
    auth: Auth,
) -> Result<Json<Value>, ApiError> {
    let reserved = media.reserve(auth.0.user).await?;
    Ok(Json(json!({
        "content_uri": reply::mxc(views.server_name().as_str(), &reserved.id),
        "unused_expires_at": reserved.expires_ms,
    })))
}

/// Uploads the content of an address that was given out.
pub(crate) async fn upload_to(
    State(media): State<Media>,
    State(views): State<Views>,
    auth: Auth,
    Segments((server, id)): Segments<(String, String)>,
    Params(query): Params<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    if server != views.server_name().as_str() {
        return Err(ApiError::forbidden("the address is another server's"));
    }
    let new = description(query, &headers);
    media.upload_reserved(auth.0.user, &id, new, body.into_data_stream()).await?;
    Ok(Json(json!({})))
}

/// The largest file.
pub(crate) async fn config(State(media): State<Media>, _: Auth) -> Json<Value> {
    Json(json!({ "m.upload.size": media.upload_bytes_max() }))
}

/// How long to wait.
#[derive(Deserialize)]
pub(crate) struct DownloadQuery {
    timeout_ms: Option<u64>,
}

/// A file.
pub(crate) async fn download(
    State(media): State<Media>,
    State(views): State<Views>,
    _: Auth,
    Segments((server, id)): Segments<(String, String)>,
    Params(query): Params<DownloadQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let medium = find(&media, &views, &server, &id, query.timeout_ms).await?;
    Ok(reply::medium(&media, &medium, &headers, None, Keep::Client).await?)
}

/// A file under a name of the caller's choice.
pub(crate) async fn download_as(
    State(media): State<Media>,
    State(views): State<Views>,
    _: Auth,
    Segments((server, id, name)): Segments<(String, String, String)>,
    Params(query): Params<DownloadQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let medium = find(&media, &views, &server, &id, query.timeout_ms).await?;
    Ok(reply::medium(&media, &medium, &headers, Some(&name), Keep::Client).await?)
}

/// Which thumbnail.
#[derive(Deserialize)]
pub(crate) struct ThumbnailQuery {
    width: u32,
    height: u32,
    method: Option<String>,
    timeout_ms: Option<u64>,
}

/// A smaller copy of a picture.
pub(crate) async fn thumbnail(
    State(media): State<Media>,
    State(views): State<Views>,
    _: Auth,
    Segments((server, id)): Segments<(String, String)>,
    Params(query): Params<ThumbnailQuery>,
) -> Result<Response, ApiError> {
    let fit = match query.method.as_deref() {
        None | Some("scale") => Fit::Scale,
        Some("crop") => Fit::Crop,
        Some(_) => return Err(ApiError::invalid_param("method is neither scale nor crop")),
    };
    if query.width == 0 || query.height == 0 {
        return Err(ApiError::invalid_param("width and height must be positive"));
    }
    let medium = find(&media, &views, &server, &id, query.timeout_ms).await?;
    let wanted = ThumbnailSize { width: query.width, height: query.height, fit };
    Ok(reply::thumbnail(media.thumbnail(&medium, wanted).await?, Keep::Client))
}

/// What needs no token and was frozen before this server had any media.
pub(crate) async fn frozen() -> ApiError {
    ApiError::not_found("media need a token: use /_matrix/client/v1/media")
}

/// A medium of this server, waited for while only its address is known.
async fn find(
    media: &Media,
    views: &Views,
    server: &str,
    id: &str,
    timeout_ms: Option<u64>,
) -> Result<Medium, ApiError> {
    if server != views.server_name().as_str() {
        return Err(ApiError::not_found("media of other servers cannot be fetched yet"));
    }
    let clock = &media.world().clock;
    let patience = Duration::from_millis(timeout_ms.unwrap_or(PATIENCE_MS).min(PATIENCE_MS));
    let until = clock.monotonic() + patience;
    loop {
        match media.medium(id).await {
            Err(MediaError::NotYetUploaded) if clock.monotonic() < until => clock.sleep(LOOK_AGAIN).await,
            found => return Ok(found?),
        }
    }
}
