//! The HTTP side of media that both APIs share: a medium or a thumbnail as a response.
//!
//! **Shapes**: 200, 206 with `Content-Range`, 304, 416. **Invariant** (attack 44): every response of user
//! content carries a policy that lets it run nothing, `nosniff`, and a disposition: only types that are
//! harmless to show are `inline`.
//! **Source**: RFC 9110, "Range Requests"; Matrix v1.19, client-server API, "Serving inline content".

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::Response,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{ByteRange, Media, MediaError, Medium, Thumbnail, link::tag};

pub use crate::link::{mxc, parse_mxc};

const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; media-src 'self'; object-src 'self'; frame-ancestors 'none'";

/// What the specification lists as safe to show.
const INLINE: [&str; 35] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
    "audio/opus",
    "audio/3gpp",
    "audio/3gpp2",
    "video/3gpp",
    "video/3gpp2",
    "video/mpeg",
    "video/mp2t",
    "audio/x-m4a",
    "video/x-m4v",
];

/// Who may keep a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The client that asked, with its token.
    Client,
    /// Anybody: the link itself was the permission.
    Anybody,
}

/// A medium as a response, by the request's `Range`, `If-Range` and `If-None-Match`. `name` is shown in place
/// of the medium's own.
///
/// # Errors
/// The storage's, the store's. A range outside of the content is the response 416.
pub async fn medium(
    media: &Media,
    medium: &Medium,
    request: &HeaderMap,
    name: Option<&str>,
    keep: Keep,
) -> Result<Response, MediaError> {
    let tag = tag(&medium.sha256);
    if header(request, &IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.contains(&tag)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        common(response.headers_mut(), &tag, keep);
        return Ok(response);
    }
    let range = header(request, &RANGE)
        .filter(|_| header(request, &IF_RANGE).is_none_or(|condition| condition == tag))
        .map_or(ByteRange::Whole, ByteRange::parse);
    let content = match media.content(medium, range).await {
        Ok(content) => content,
        Err(MediaError::OutOfRange { bytes }) => return Ok(out_of_range(bytes)),
        Err(error) => return Err(error),
    };
    let (from, to) = (content.from, content.to);
    let mut response = Response::new(Body::from_stream(content.stream));
    let headers = response.headers_mut();
    common(headers, &tag, keep);
    set(headers, CONTENT_TYPE, &medium.content_type);
    set(
        headers,
        CONTENT_DISPOSITION,
        &disposition(&medium.content_type, name.or(medium.file_name.as_deref())),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
    if range != ByteRange::Whole {
        set(headers, CONTENT_RANGE, &format!("bytes {from}-{}/{}", to.saturating_sub(1), medium.bytes));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// A thumbnail as a response.
#[must_use]
pub fn thumbnail(thumbnail: Thumbnail, keep: Keep) -> Response {
    let mut response = Response::new(Body::from(thumbnail.bytes));
    let headers = response.headers_mut();
    common(headers, "", keep);
    headers.remove(ACCEPT_RANGES);
    set(headers, CONTENT_TYPE, thumbnail.content_type);
    let extension = if thumbnail.content_type == "image/png" { "png" } else { "jpg" };
    set(headers, CONTENT_DISPOSITION, &format!("inline; filename=\"thumbnail.{extension}\""));
    response
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Everything that gets here was checked to be printable ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn common(headers: &mut HeaderMap, tag: &str, keep: Keep) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let keep = match keep {
        Keep::Client => "private, max-age=86400, immutable",
        Keep::Anybody => "public, max-age=86400, immutable",
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    if !tag.is_empty() {
        set(headers, ETAG, tag);
    }
}

fn out_of_range(bytes: u64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    set(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{bytes}"));
    response
}

fn disposition(content_type: &str, name: Option<&str>) -> String {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let kind = if INLINE.contains(&essence) { "inline" } else { "attachment" };
    match name {
        None => kind.to_owned(),
        Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._- ".contains(&b)) => {
            format!("{kind}; filename=\"{name}\"")
        }
        Some(name) => format!("{kind}; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_types_are_shown_in_place() {
        assert_eq!(disposition("image/png", Some("a b.png")), "inline; filename=\"a b.png\"");
        assert_eq!(disposition("text/plain; charset=utf-8", None), "inline");
        for active in ["text/html", "image/svg+xml", "application/pdf", "application/xhtml+xml", "text/xml"] {
            assert_eq!(disposition(active, None), "attachment", "{active}");
        }
        assert_eq!(
            disposition("text/html", Some("\"\r\n;é")),
            "attachment; filename*=UTF-8''%22%0D%0A%3B%C3%A9"
        );
    }
}
