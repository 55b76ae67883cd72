//! Media: `GET /media?after=&limit=&user=`, `GET /media/{id}`, `POST /media/{id}/delete`,
//! `POST /users/{name}/media/delete`.
//!
//! **Shapes**: a medium is `{id, bytes, type, name, uploader, created_ms, sha256}`.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use nexus_media::{MediaError, Medium};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminParts, users::find};
use crate::Refusal;

const PAGE_MAX: usize = 500;

type Reply = Result<Json<Value>, Refusal>;

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<usize>,
    user: Option<String>,
}

pub(super) async fn list(State(parts): State<AdminParts>, Query(page): Query<Page>) -> Reply {
    let limit = page.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let after = page.after.as_deref();
    let media = match &page.user {
        Some(name) => {
            let user = find(&parts, name).await?.user;
            parts.media.list_of(user, after, limit).await?
        }
        None => parts.media.list(after, limit).await?,
    };
    let next = media.last().filter(|_| media.len() == limit).map(|medium| medium.id.clone());
    let mut shown = Vec::with_capacity(media.len());
    for medium in &media {
        shown.push(json_of(&parts, medium).await?);
    }
    Ok(Json(json!({ "media": shown, "next": next })))
}

pub(super) async fn show(State(parts): State<AdminParts>, Path(id): Path<String>) -> Reply {
    let medium = parts.media.medium(plain(&id)).await?;
    Ok(Json(json_of(&parts, &medium).await?))
}

pub(super) async fn delete(State(parts): State<AdminParts>, Path(id): Path<String>) -> Reply {
    parts.media.delete(plain(&id)).await?;
    Ok(Json(json!({ "deleted": 1 })))
}

pub(super) async fn delete_of_user(State(parts): State<AdminParts>, Path(name): Path<String>) -> Reply {
    let user = find(&parts, &name).await?.user;
    Ok(Json(json!({ "deleted": parts.media.delete_all_of(user).await? })))
}

/// An id as it is, or of a whole `mxc` address.
fn plain(id: &str) -> &str {
    nexus_media::reply::parse_mxc(id).map_or(id, |(_, id)| id)
}

async fn json_of(parts: &AdminParts, medium: &Medium) -> Result<Value, Refusal> {
    let sha256: String = medium.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "id": medium.id,
        "bytes": medium.bytes,
        "type": medium.content_type,
        "name": medium.file_name,
        "uploader": parts.views.user_id(medium.uploader).await?,
        "created_ms": medium.created_ms,
        "sha256": sha256,
    }))
}

impl From<MediaError> for Refusal {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Unknown | MediaError::NotYetUploaded => Self::not_found(error.to_string()),
            MediaError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "an admin call failed");
                Self::failed(other.to_string())
            }
        }
    }
}
