//! `GET /attachments/{channel_id}/{attachment_id}/{file_name}`, beside the API as Discord's own are, and
//! `POST /attachments/refresh-urls`.
//!
//! A link carries its own permission: whoever was shown it may read the file until it expires, and who has an
//! old one may have it made new. **Errors**: 404 for a link that was not made here, or is no longer good.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use nexus_media::{
    Fit, Link, Media, MediaError, ThumbnailSize,
    reply::{self, Keep},
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    api::NexusConfig,
    auth::Caller,
    body,
    error::ApiError,
    form,
    params::{Path, Query},
};

/// The most links of a request.
const LINKS: usize = 50;

/// A file.
pub(crate) async fn get(
    State(media): State<Media>,
    path: Path,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (channel, attachment) = (path.id("channel_id"), path.id("attachment_id"));
    let (Ok(channel), Ok(attachment)) = (channel, attachment) else { return Ok(gone()) };
    let part = |name: &str| query.text(name).unwrap_or_default();
    let file_name = path.text("file_name");
    let link = Link { channel: channel.0, attachment: attachment.0, file_name, media_id: part("m") };
    if !media.is_good_link(link, part("is"), part("ex"), part("hm")).await? {
        return Ok(gone());
    }
    let medium = match media.medium(link.media_id).await {
        Ok(medium) => medium,
        Err(MediaError::Unknown | MediaError::NotYetUploaded) => return Ok(gone()),
        Err(error) => return Err(error.into()),
    };
    let side =
        |name: &str| query.text(name).and_then(|text| text.parse::<u32>().ok()).filter(|side| *side > 0);
    if let (Some(width), Some(height)) = (side("width"), side("height"))
        && medium.pixels.is_some()
    {
        match media.thumbnail(&medium, ThumbnailSize { width, height, fit: Fit::Scale }).await {
            Ok(thumbnail) => return Ok(reply::thumbnail(thumbnail, Keep::Anybody)),
            // Too large to be made smaller: the file itself will do.
            Err(MediaError::NotAPicture(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reply::medium(&media, &medium, &headers, Some(file_name), Keep::Anybody).await?)
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, "This content is no longer available.").into_response()
}

/// New links for old ones.
pub(crate) async fn refresh(
    State(media): State<Media>,
    State(config): State<Arc<NexusConfig>>,
    _: Caller,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let urls = form::read(&body, |form| {
        form.require("attachment_urls");
        form.list("attachment_urls", LINKS).unwrap_or_default().to_vec()
    })?;
    let mut refreshed = Vec::new();
    for url in urls.iter().filter_map(Value::as_str) {
        if let Some(new) = refreshed_link(&media, &config.public_url, url).await? {
            refreshed.push(json!({ "original": url, "refreshed": new }));
        }
    }
    Ok(Json(json!({ "refreshed_urls": refreshed })))
}

async fn refreshed_link(media: &Media, public_url: &str, url: &str) -> Result<Option<String>, ApiError> {
    let Some(uri) = url.strip_prefix(public_url).and_then(|rest| rest.parse::<Uri>().ok()) else {
        return Ok(None);
    };
    let mut segments = uri.path().strip_prefix("/attachments/").unwrap_or_default().splitn(3, '/');
    let mut number = || segments.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(channel), Some(attachment)) = (number(), number()) else { return Ok(None) };
    let Ok(file_name) = percent_decode_str(segments.next().unwrap_or_default()).decode_utf8() else {
        return Ok(None);
    };
    let query = Query::parse(uri.query().unwrap_or_default());
    let part = |name: &str| query.text(name).unwrap_or_default();
    let link = Link { channel, attachment, file_name: &file_name, media_id: part("m") };
    if !media.was_link(link, part("is"), part("ex"), part("hm")).await? {
        return Ok(None);
    }
    Ok(Some(format!("{public_url}{}", media.link(link).await?)))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use serde_json::json;

    use crate::test_server::{Reply, Server, User, text};

    async fn post(user: &User<'_>, method: &str, path: &str, parts: &[(&str, &str)]) -> Reply {
        let part = |(head, body): &(&str, &str)| {
            format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
        };
        let body = parts.iter().map(part).collect::<String>() + "--xyz--\r\n";
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v10{path}"))
            .header("authorization", &user.token)
            .header("content-type", "multipart/form-data; boundary=xyz");
        user.server.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn fetch(server: &Server, url: &str) -> Reply {
        let path = url.strip_prefix("http://a.example").unwrap();
        server.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn files_come_with_messages_and_are_read_by_their_links() {
        let server = Server::start().await;
        let olga = server.register("olga").await;
        let (_, channel) = olga.make_guild().await;
        let payload =
            json!({ "content": "two files", "attachments": [{ "id": "1", "description": "notes" }] });
        let parts = [
            ("name=\"files[0]\"; filename=\"a.txt\"", "first"),
            ("name=\"files[1]\"; filename=\"SPOILER_b.txt\"", "second"),
            ("name=\"payload_json\"", &payload.to_string()),
        ];
        let messages = format!("/channels/{channel}/messages");
        let sent = post(&olga, "POST", &messages, &parts).await.ok();
        let files = sent["attachments"].as_array().unwrap().clone();
        assert_eq!(sent["content"], "two files");
        assert_eq!(files.len(), 2);
        assert_eq!((&files[0]["filename"], &files[0]["size"]), (&json!("a.txt"), &json!(5)));
        assert_eq!((&files[1]["description"], &files[1]["flags"]), (&json!("notes"), &json!(32)));
        let reply = fetch(&server, &text(&files[1]["url"])).await;
        assert_eq!(reply.ok(), "second");
        let forged = text(&files[1]["url"]).replace("hm=", "hm=0");
        assert_eq!(fetch(&server, &forged).await.status.as_u16(), 404);

        let id = text(&sent["id"]);
        let kept = json!({ "attachments": [{ "id": files[1]["id"] }] });
        let edited = olga.call("PATCH", &format!("{messages}/{id}"), kept).await.ok();
        assert_eq!(edited["content"], "two files");
        assert_eq!(edited["attachments"].as_array().unwrap().len(), 1);
        assert_eq!(edited["attachments"][0]["id"], files[1]["id"]);

        let urls =
            json!({ "attachment_urls": [files[0]["url"], forged, "http://elsewhere/attachments/1/2/x"] });
        let new = olga.call("POST", "/attachments/refresh-urls", urls).await.ok();
        assert_eq!(new["refreshed_urls"].as_array().unwrap().len(), 1);
        assert_eq!(fetch(&server, &text(&new["refreshed_urls"][0]["refreshed"])).await.ok(), "first");
    }

    #[tokio::test]
    async fn a_message_that_is_refused_leaves_no_file() {
        let server = Server::start().await;
        let olga = server.register("olga").await;
        let (_, channel) = olga.make_guild().await;
        let messages = format!("/channels/{channel}/messages");
        let file = ("name=\"files[0]\"; filename=\"a.txt\"", "data");
        let large = "x".repeat((1 << 20) + 1);
        let cases: [(Vec<(&str, &str)>, &str); 4] = [
            (vec![file, ("name=\"payload_json\"", r#"{"content":5}"#)], "400 50035"),
            (vec![file, ("name=\"payload_json\"", r#"{"attachments":[{"id":7}]}"#)], "400 50035"),
            (vec![file; 11], "400 50035"),
            (vec![file, ("name=\"files[1]\"; filename=\"b\"", &large)], "413 40005"),
        ];
        for (parts, expected) in cases {
            assert_eq!(post(&olga, "POST", &messages, &parts).await.error(), expected);
        }
        assert_eq!(olga.get(&messages).await, json!([]));
        assert_eq!(server.media_rows().await, 0);
        let alone = post(&olga, "POST", &messages, &[file]).await.ok();
        assert_eq!((&alone["content"], &alone["attachments"][0]["size"]), (&json!(""), &json!(4)));
        assert_eq!(server.media_rows().await, 1);
    }
}
