//! The body of a message with its files, which become media while they arrive.
//!
//! **Shapes**: JSON, or `multipart/form-data` with `payload_json` (or one part per field) and up to ten
//! `files[n]`. **Units**: a file has at most what the operator allows; what is not a file at most 256 KiB.
//! **Errors**: 413 with 40005 for a file that is too large, 50035 for one file too many.
//! **Invariant**: files of a message that is not sent are removed again, see [`Files::discard`].

use axum::{
    extract::{FromRequest as _, Multipart, Request, multipart::Field},
    http::header::CONTENT_TYPE,
};
use futures_util::TryStreamExt as _;
use nexus_event_store::UserNo;
use nexus_media::{Media, Medium, NewMedium};
use serde_json::{Map, Value};

use crate::{body, error::ApiError};

const FILES: usize = 10;
const FIELDS: usize = 50;
const FIELD_BYTES_MAX: usize = 256 << 10;

/// The files of a message by the number that the body gives them.
#[derive(Debug, Default)]
pub(crate) struct Files(pub(crate) Vec<(u64, Medium)>);

impl Files {
    /// Removes the files: their message was refused.
    pub(crate) async fn discard(self, media: &Media) {
        for (_, medium) in self.0 {
            if let Err(error) = media.delete(&medium.id).await {
                tracing::warn!(%error, "a file of a message that was not sent stays");
            }
        }
    }
}

/// Reads a body; its files belong to `uploader`, who must be allowed to attach them.
pub(crate) async fn read(
    request: Request,
    media: &Media,
    uploader: UserNo,
    may_attach: bool,
) -> Result<(Value, Files), ApiError> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        let body::Json(value) = body::Json::from_request(request, &()).await?;
        return Ok((value, Files::default()));
    }
    let form = Multipart::from_request(request, &()).await.map_err(|_| ApiError::NotJson)?;
    let mut files = Files::default();
    match read_parts(form, media, uploader, may_attach, &mut files).await {
        Ok(value) => Ok((value, files)),
        Err(error) => {
            files.discard(media).await;
            Err(error)
        }
    }
}

async fn read_parts(
    mut form: Multipart,
    media: &Media,
    uploader: UserNo,
    may_attach: bool,
    files: &mut Files,
) -> Result<Value, ApiError> {
    let (mut fields, mut payload) = (Map::new(), None);
    let mut unnumbered = 0;
    while let Some(part) = form.next_field().await.map_err(|error| cut(&error))? {
        let name = part.name().unwrap_or_default().to_owned();
        let number = file_number(&name);
        if number.is_none() && part.file_name().is_none() {
            let text = text(part).await?;
            if name == "payload_json" {
                payload = Some(body::parse(text.as_bytes())?);
            } else if fields.len() < FIELDS {
                // One part per field: JSON where it parses, else a string.
                fields.insert(name, serde_json::from_str(&text).unwrap_or(Value::String(text)));
            }
            continue;
        }
        if !may_attach {
            return Err(ApiError::MissingPermissions);
        }
        if files.0.len() >= FILES {
            let message = format!("Must be {FILES} or fewer in length.");
            return Err(ApiError::field(&["files"], "BASE_TYPE_MAX_LENGTH", &message));
        }
        let number = number.unwrap_or_else(|| {
            unnumbered += 1;
            unnumbered - 1
        });
        let new = NewMedium {
            content_type: part.content_type().map(str::to_owned),
            file_name: Some(part.file_name().unwrap_or("unknown").to_owned()),
        };
        let content = Box::pin(part.map_err(axum::Error::new));
        files.0.push((number, media.upload(uploader, new, content).await?));
    }
    Ok(payload.unwrap_or(Value::Object(fields)))
}

/// The `n` of `files[n]`.
fn file_number(name: &str) -> Option<u64> {
    name.strip_prefix("files[")?.strip_suffix(']')?.parse().ok()
}

async fn text(mut part: Field<'_>) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| cut(&error))? {
        if bytes.len() + chunk.len() > FIELD_BYTES_MAX {
            return Err(ApiError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::NotJson)
}

fn cut(error: &axum::extract::multipart::MultipartError) -> ApiError {
    if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::TooLarge
    } else {
        ApiError::NotJson
    }
}
